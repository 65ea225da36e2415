-- What an exchange cost, by which usage is added up. Entries of the Node service have none.
SET @additions = CONCAT_WS(
    ', ',
    IF(
        EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND COLUMN_NAME = 'input_tokens'),
        NULL,
        'ADD COLUMN input_tokens INT'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND COLUMN_NAME = 'output_tokens'),
        NULL,
        'ADD COLUMN output_tokens INT'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND COLUMN_NAME = 'cached_tokens'),
        NULL,
        'ADD COLUMN cached_tokens INT'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND COLUMN_NAME = 'cache_creation_tokens'),
        NULL,
        'ADD COLUMN cache_creation_tokens INT'
    )
);
SET @alter = IF(@additions = '', 'DO 0', CONCAT('ALTER TABLE ai_conversation_logs ', @additions));
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
