-- PartNumberKey is the number as it is searched for: trimmed, in capitals, compared character by character. Without it,
-- trimming and uppercasing would keep the search from using an index. The indexes with Qty are for low
-- stock and for the sums by table.
SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'inventoryindex' AND COLUMN_NAME = 'PartNumberKey'),
    'DO 0',
    'ALTER TABLE inventoryindex ADD COLUMN PartNumberKey VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(TRIM(PartNumber))) STORED, ADD INDEX idx_part_number_key (PartNumberKey), ADD INDEX idx_qty (Qty), ADD INDEX idx_table_qty (TableName, Qty)'
);
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
