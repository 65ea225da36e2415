-- The first three give pages and conversations in their order; the specification's one-column indexes would leave them to be
-- sorted. idx_figures has all that statistics and usage are made of, so that they never read the texts.
SET @additions = CONCAT_WS(
    ', ',
    IF(
        EXISTS (SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND INDEX_NAME = 'idx_timestamp'),
        NULL,
        'ADD INDEX idx_timestamp (timestamp)'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND INDEX_NAME = 'idx_user_timestamp'),
        NULL,
        'ADD INDEX idx_user_timestamp (user, timestamp)'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND INDEX_NAME = 'idx_conversation_timestamp'),
        NULL,
        'ADD INDEX idx_conversation_timestamp (conversation_id, timestamp)'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND INDEX_NAME = 'idx_figures'),
        NULL,
        'ADD INDEX idx_figures (timestamp, user, model, conversation_id, success, duration_ms, input_tokens, output_tokens, cached_tokens, cache_creation_tokens)'
    )
);
SET @alter = IF(@additions = '', 'DO 0', CONCAT('ALTER TABLE ai_conversation_logs ', @additions));
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
