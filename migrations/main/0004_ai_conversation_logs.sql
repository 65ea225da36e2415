-- The log of the AI assistant: one row for each question and its answer. Times are UTC.
--
-- Users and conversations compare byte for byte, with one exception. utf8mb4_bin, the only such collation of text that MySQL 8.0 and
-- MariaDB 10.11 have in common, ignores blanks at the end. The service stores none there, because it trims both names.

CREATE TABLE IF NOT EXISTS ai_conversation_logs (
    id INT AUTO_INCREMENT PRIMARY KEY,
    conversation_id VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    user VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    user_message MEDIUMTEXT NOT NULL,
    ai_response MEDIUMTEXT NOT NULL,
    success BOOLEAN DEFAULT TRUE,
    error MEDIUMTEXT,
    model VARCHAR(100),
    duration_ms INT,
    context_ro_count INT,
    input_tokens INT,
    output_tokens INT,
    cached_tokens INT,
    cache_creation_tokens INT,
    -- Lists are sorted by these three indexes.
    INDEX idx_timestamp (timestamp),
    INDEX idx_user_timestamp (user, timestamp),
    INDEX idx_conversation_timestamp (conversation_id, timestamp),
    -- A covering index for statistics and usage, which then do not read the long texts.
    INDEX idx_figures (timestamp, user, model, conversation_id, success, duration_ms, input_tokens, output_tokens, cached_tokens, cache_creation_tokens)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
