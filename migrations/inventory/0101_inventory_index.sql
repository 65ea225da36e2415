-- The index of all parts. A row stands for a row of one of the eleven tables, which it names, and has the quantity that counts.

CREATE TABLE IF NOT EXISTS inventoryindex (
    IndexId INT AUTO_INCREMENT PRIMARY KEY,
    PartNumber VARCHAR(100) NOT NULL,
    TableName VARCHAR(100) NOT NULL,
    RowId INT NOT NULL,
    Qty INT DEFAULT 0,
    `Condition` VARCHAR(50),
    Location VARCHAR(100),
    -- The number as searches compare it: trimmed, in capitals, character by character.
    PartNumberKey VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(TRIM(PartNumber))) STORED,
    UNIQUE KEY unique_location (TableName, RowId),
    INDEX idx_part_number (PartNumber),
    INDEX idx_part_number_key (PartNumberKey),
    -- These two are for low stock and for the sums by table.
    INDEX idx_qty (Qty),
    INDEX idx_table_qty (TableName, Qty)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
