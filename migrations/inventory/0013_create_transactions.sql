-- The ledger: every change of a quantity. UTC.
CREATE TABLE IF NOT EXISTS transactions (
    TxnId INT AUTO_INCREMENT PRIMARY KEY,
    Timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    Action VARCHAR(50) NOT NULL,
    PartNumber VARCHAR(100) NOT NULL,
    DeltaQty INT NOT NULL,
    NewQty INT NOT NULL,
    RONumber VARCHAR(50),
    Note TEXT,
    INDEX idx_part_number (PartNumber),
    INDEX idx_timestamp (Timestamp),
    INDEX idx_ro_number (RONumber)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci
