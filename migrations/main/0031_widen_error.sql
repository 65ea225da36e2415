SET @alter = (
    SELECT IF(
        DATA_TYPE IN ('mediumtext', 'longtext'),
        'DO 0',
        CONCAT('ALTER TABLE ai_conversation_logs MODIFY error MEDIUMTEXT', IF(IS_NULLABLE = 'YES', '', ' NOT NULL'))
    )
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND COLUMN_NAME = 'error'
);
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
