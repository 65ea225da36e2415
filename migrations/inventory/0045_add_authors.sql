-- Who changed a quantity, and in which request: the subject of a verified token, or a program. Transactions of the Node
-- service have neither.
SET @additions = CONCAT_WS(
    ', ',
    IF(
        EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'transactions' AND COLUMN_NAME = 'ChangedBy'),
        NULL,
        'ADD COLUMN ChangedBy VARCHAR(255)'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'transactions' AND COLUMN_NAME = 'ChangedByProgram'),
        NULL,
        'ADD COLUMN ChangedByProgram VARCHAR(50)'
    ),
    IF(
        EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'transactions' AND COLUMN_NAME = 'RequestId'),
        NULL,
        'ADD COLUMN RequestId VARCHAR(100)'
    )
);
SET @alter = IF(@additions = '', 'DO 0', CONCAT('ALTER TABLE transactions ', @additions));
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
