-- The history of repair orders: one row for each change, inserted in its transaction. Rows stay when their order is moved or
-- deleted; ids of orders are never used again. Times are UTC.

CREATE TABLE IF NOT EXISTS ro_history (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id INT NOT NULL,
    -- Numbers the changes of an order, from 1.
    revision INT NOT NULL,
    ro_number VARCHAR(50) NOT NULL,
    action VARCHAR(10) NOT NULL,
    changed_at DATETIME(3) NOT NULL,
    user VARCHAR(255),
    program VARCHAR(50),
    request_id VARCHAR(100),
    -- A JSON list of {field, old, new}.
    changes MEDIUMTEXT NOT NULL,
    -- A digest of the order after the change, which tells whether another program has changed it since, and the names of the
    -- columns that it covers.
    digest BINARY(16),
    digest_columns TEXT,
    -- The status, its date, and the cost and the note that came with it, if the change set the status.
    status VARCHAR(255),
    status_date DATE,
    cost DECIMAL(15, 2),
    notes MEDIUMTEXT,
    -- As in `ro_registry`.
    number_key VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(TRIM(REGEXP_REPLACE(
        REGEXP_REPLACE(
            REGEXP_REPLACE(
                ro_number COLLATE utf8mb4_bin,
                REPLACE('[~p{Cf}~x{0}-~x{8}~x{E}-~x{1F}~x{7F}-~x{84}~x{86}-~x{9F}]' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ''
            ),
            REPLACE('[~p{Z}~p{Cc}]+' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ' '
        ),
        '[‐-―−]', '-'
    )))) STORED,
    UNIQUE KEY revision (order_id, revision),
    INDEX idx_number_key (number_key)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
