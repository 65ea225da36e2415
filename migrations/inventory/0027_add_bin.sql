-- The specification filters by a bin's number without giving it a column. (Prepared, because MySQL has no ADD COLUMN IF
-- NOT EXISTS.)
SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'bins_inventory' AND COLUMN_NAME = 'BIN'),
    'DO 0',
    'ALTER TABLE bins_inventory ADD COLUMN `BIN` VARCHAR(50)'
);
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
