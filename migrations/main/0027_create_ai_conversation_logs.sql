-- The specification's table, with room for long texts. A live database has it already, maybe with more columns, and keeps
-- it. UTC.
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
    INDEX idx_conversation (conversation_id),
    INDEX idx_user (user),
    INDEX idx_timestamp (timestamp)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci
