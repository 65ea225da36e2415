-- Every row that an import has read, as it was found: nothing of a source is lost, also not the columns that have no place here.
-- A row of a source that is read again with other content is a new row, and the former one names it. By its key, an import knows
-- which of our rows a row of the source became. Times are UTC.

CREATE TABLE IF NOT EXISTS import_rows (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    -- The database or the file, the table or the sheet, and the position of the row in it, from 1.
    source VARCHAR(255) NOT NULL,
    source_table VARCHAR(255) NOT NULL,
    source_row BIGINT NOT NULL,
    -- The rows among which the key is unique.
    group_name VARCHAR(64) NOT NULL,
    -- A digest of the values by which the source knows the row, and one of the whole row.
    key_digest BINARY(16) NOT NULL,
    content_digest BINARY(16) NOT NULL,
    -- A JSON object of the columns as they were found.
    original MEDIUMTEXT NOT NULL,
    -- A JSON object of the values that the row gave ours when it was last accepted; NULL if it never was.
    imported MEDIUMTEXT,
    -- What became of the row: imported, corrected, updated, unchanged, rejected or skipped.
    class VARCHAR(10) NOT NULL,
    -- A JSON list of the corrections, or of the reasons for which it was rejected or skipped.
    reasons MEDIUMTEXT,
    -- The table and the id of the row that it became.
    target_table VARCHAR(64),
    target_id BIGINT,
    read_at DATETIME(3) NOT NULL,
    -- The later version of the same row of the source.
    replaced_by BIGINT,
    INDEX idx_group (source(100), group_name, replaced_by),
    INDEX idx_target (target_table, target_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
