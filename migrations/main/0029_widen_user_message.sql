-- TEXT holds 64 KB, of which long conversations have more. A column that holds more than that already stays as it is, and
-- one that may be empty stays so.
SET @alter = (
    SELECT IF(
        DATA_TYPE IN ('mediumtext', 'longtext'),
        'DO 0',
        CONCAT('ALTER TABLE ai_conversation_logs MODIFY user_message MEDIUMTEXT', IF(IS_NULLABLE = 'YES', '', ' NOT NULL'))
    )
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'ai_conversation_logs' AND COLUMN_NAME = 'user_message'
);
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
