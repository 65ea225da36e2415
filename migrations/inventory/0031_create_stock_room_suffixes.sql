CREATE TABLE IF NOT EXISTS stock_room_suffixes (
    Suffix VARCHAR(255) NOT NULL,
    Position TINYINT UNSIGNED NOT NULL,
    RowId INT NOT NULL,
    PRIMARY KEY (Suffix, Position, RowId)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
