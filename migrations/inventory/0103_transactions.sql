-- The ledger of stock: one row for each change of a quantity, inserted in its transaction. Times are UTC.

CREATE TABLE IF NOT EXISTS transactions (
    TxnId INT AUTO_INCREMENT PRIMARY KEY,
    Timestamp DATETIME DEFAULT CURRENT_TIMESTAMP,
    Action VARCHAR(50) NOT NULL,
    PartNumber VARCHAR(100) NOT NULL,
    -- NULL if the quantity before or after the change is unknown.
    DeltaQty INT,
    -- NULL if unknown.
    NewQty INT,
    RONumber VARCHAR(50),
    Note TEXT,
    -- The changed row of inventoryindex, since several rows may have one part number. Rows of other programs have none.
    IndexId INT,
    ChangedBy VARCHAR(255),
    ChangedByProgram VARCHAR(50),
    RequestId VARCHAR(100),
    -- As in `inventoryindex`.
    PartNumberKey VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(REGEXP_REPLACE(
        REGEXP_REPLACE(PartNumber COLLATE utf8mb4_bin, REPLACE('[~p{Z}~p{Cc}~p{Cf}]' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ''),
        '[‐-―−]', '-'
    ))) STORED,
    -- As in `ro_registry`.
    RONumberKey VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(TRIM(REGEXP_REPLACE(
        REGEXP_REPLACE(
            REGEXP_REPLACE(
                RONumber COLLATE utf8mb4_bin,
                REPLACE('[~p{Cf}~x{0}-~x{8}~x{E}-~x{1F}~x{7F}-~x{84}~x{86}-~x{9F}]' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ''
            ),
            REPLACE('[~p{Z}~p{Cc}]+' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ' '
        ),
        '[‐-―−]', '-'
    )))) STORED,
    INDEX idx_timestamp (Timestamp),
    INDEX idx_ro_number_key (RONumberKey),
    INDEX idx_index_id (IndexId),
    -- A covering index for the usage of a part, and for the transactions of one.
    INDEX idx_usage (PartNumberKey, Action, Timestamp, DeltaQty)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
