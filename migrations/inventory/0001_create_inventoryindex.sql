-- The specification's table. A live database has it already, maybe with more columns, and keeps it.
CREATE TABLE IF NOT EXISTS inventoryindex (
    IndexId INT AUTO_INCREMENT PRIMARY KEY,
    PartNumber VARCHAR(100) NOT NULL,
    TableName VARCHAR(100) NOT NULL,
    RowId INT NOT NULL,
    Qty INT DEFAULT 0,
    `Condition` VARCHAR(50),
    Location VARCHAR(100),
    UNIQUE KEY unique_location (TableName, RowId),
    INDEX idx_part_number (PartNumber)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci
