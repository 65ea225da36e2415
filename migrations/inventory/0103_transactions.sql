-- The ledger of stock: one row for each change of a quantity, inserted in its transaction. Times are UTC.

CREATE TABLE IF NOT EXISTS transactions (
    TxnId INT AUTO_INCREMENT PRIMARY KEY,
    Timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    Action VARCHAR(50) NOT NULL,
    PartNumber VARCHAR(100) NOT NULL,
    DeltaQty INT NOT NULL,
    NewQty INT NOT NULL,
    RONumber VARCHAR(50),
    Note TEXT,
    -- The changed row of inventoryindex, since several rows may have one part number. Rows of other programs have none.
    IndexId INT,
    ChangedBy VARCHAR(255),
    ChangedByProgram VARCHAR(50),
    RequestId VARCHAR(100),
    INDEX idx_part_number (PartNumber),
    INDEX idx_timestamp (Timestamp),
    INDEX idx_ro_number (RONumber),
    INDEX idx_index_id (IndexId),
    -- A covering index for the usage of a part.
    INDEX idx_usage (PartNumber, Action, Timestamp, DeltaQty)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
