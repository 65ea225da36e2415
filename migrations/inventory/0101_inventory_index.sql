-- The index of all parts. A row stands for a row of one of the eleven tables, which it names, and has the quantity that counts.
--
-- Two part numbers with one key are the same part. The key is the number in capitals, without white space, control and invisible
-- format characters, and with `-` for each typographic dash (U+2010 to U+2015, U+2212). `inventoryindex`, the eleven tables and
-- `transactions` compute it alike, so that it also holds for rows that other programs write. `~` stands for a backslash,
-- which CHAR(92) puts in its place: MySQL parses the expression again when a session opens the table, and with
-- NO_BACKSLASH_ESCAPES it would read a written backslash differently.

CREATE TABLE IF NOT EXISTS inventoryindex (
    IndexId INT AUTO_INCREMENT PRIMARY KEY,
    PartNumber VARCHAR(100) NOT NULL,
    TableName VARCHAR(100) NOT NULL,
    RowId INT NOT NULL,
    -- NULL if unknown.
    Qty INT DEFAULT 0,
    `Condition` VARCHAR(50),
    Location VARCHAR(100),
    -- The time at which the quantity was last changed or the row inserted by this program, in UTC.
    LastSeen DATETIME,
    PartNumberKey VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(REGEXP_REPLACE(
        REGEXP_REPLACE(PartNumber COLLATE utf8mb4_bin, REPLACE('[~p{Z}~p{Cc}~p{Cf}]' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ''),
        '[‐-―−]', '-'
    ))) STORED,
    -- The number of the table among the eleven, and 0 for others. Sums by it are quicker than by the name.
    TableNumber TINYINT UNSIGNED GENERATED ALWAYS AS (FIELD(
        TableName, 'stock_room', 'bins_inventory', 'md82_parts', '727_parts', 'terra', 'asia_ar_parts', 'b_e_r__r_a_i',
        'bolivia_part', 'delta_apa', 'asia_ar_sanford_parts', 'apa_sanford_ar_757'
    )) STORED,
    UNIQUE KEY unique_location (TableName, RowId),
    INDEX idx_part_number (PartNumber),
    INDEX idx_part_number_key (PartNumberKey),
    -- These two are for low stock and for the sums by table.
    INDEX idx_qty (Qty),
    INDEX idx_table_qty (TableNumber, Qty)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
