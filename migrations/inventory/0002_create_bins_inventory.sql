-- As the specification has it: the condition is spelt out here, and abbreviated in the other tables. BIN is the bin's
-- number, by which the API filters.
CREATE TABLE IF NOT EXISTS bins_inventory (
    id INT AUTO_INCREMENT PRIMARY KEY,
    PN VARCHAR(100),
    Qty INT,
    SERIAL VARCHAR(100),
    `CONDITION` VARCHAR(50),
    LOCATION VARCHAR(100),
    DESCRIPTION TEXT,
    `BIN` VARCHAR(50),
    INDEX idx_pn (PN)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci
