-- IndexId is the row of inventoryindex that was changed, since several rows may have the same part number. Transactions
-- of the Node service have none. idx_usage gives the pieces used of a part without reading its transactions.
SET @alter = IF(
    EXISTS (SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'transactions' AND COLUMN_NAME = 'IndexId'),
    'DO 0',
    'ALTER TABLE transactions ADD COLUMN IndexId INT, ADD INDEX idx_index_id (IndexId), ADD INDEX idx_usage (PartNumber, Action, Timestamp, DeltaQty)'
);
PREPARE alter_table FROM @alter;
EXECUTE alter_table;
DEALLOCATE PREPARE alter_table
