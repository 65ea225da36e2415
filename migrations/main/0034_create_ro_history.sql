-- What happened to repair orders: one row for each change, written in its transaction. Rows stay when their order moves or
-- is deleted; ids of orders are never used again. `changes` is a JSON list of `{field, old, new}`, `digest` tells whether
-- another program has written the order since, and the last four columns are a step of the status, where it is one. UTC.
CREATE TABLE IF NOT EXISTS ro_history (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    order_id INT NOT NULL,
    revision INT NOT NULL,
    ro_number VARCHAR(50) NOT NULL,
    action VARCHAR(10) NOT NULL,
    changed_at DATETIME(3) NOT NULL,
    user VARCHAR(255),
    program VARCHAR(50),
    request_id VARCHAR(100),
    changes MEDIUMTEXT NOT NULL,
    digest BINARY(16),
    status VARCHAR(255),
    status_date DATE,
    cost DECIMAL(15, 2),
    notes MEDIUMTEXT,
    UNIQUE KEY revision (order_id, revision),
    INDEX idx_ro_number (ro_number)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci
