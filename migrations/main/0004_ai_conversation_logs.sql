-- The log of the AI assistant: one row for each question and its answer. Times are UTC.

CREATE TABLE IF NOT EXISTS ai_conversation_logs (
    id INT AUTO_INCREMENT PRIMARY KEY,
    conversation_id VARCHAR(100) NOT NULL,
    timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    user VARCHAR(255) NOT NULL,
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
    stop_reason VARCHAR(100),
    -- The names of the request's tools, one a line; NULL if unknown.
    tools MEDIUMTEXT,
    -- Lists are sorted by these three indexes.
    INDEX idx_timestamp (timestamp),
    INDEX idx_user_timestamp (user, timestamp),
    INDEX idx_conversation_timestamp (conversation_id, timestamp),
    -- A covering index for statistics and usage, which then do not read the long texts.
    INDEX idx_figures (timestamp, user, model, conversation_id, success, duration_ms, input_tokens, output_tokens, cached_tokens, cache_creation_tokens)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
