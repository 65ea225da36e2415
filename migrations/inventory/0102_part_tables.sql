-- The eleven tables of parts, which grew out of Excel sheets. Other programs write them, too. The key of a part number is that of
-- `inventoryindex`.

CREATE TABLE IF NOT EXISTS stock_room (
    id INT AUTO_INCREMENT PRIMARY KEY,
    PN VARCHAR(100),
    QTY INT,
    SERIAL VARCHAR(100),
    COND VARCHAR(50),
    LOCATION VARCHAR(100),
    DESCRIPTION TEXT,
    PartNumberKey VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(REGEXP_REPLACE(
        REGEXP_REPLACE(PN COLLATE utf8mb4_bin, REPLACE('[~p{Z}~p{Cc}~p{Cf}]' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ''),
        '[‐-―−]', '-'
    ))) STORED,
    INDEX idx_pn (PN)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS md82_parts LIKE stock_room;
CREATE TABLE IF NOT EXISTS `727_parts` LIKE stock_room;
CREATE TABLE IF NOT EXISTS terra LIKE stock_room;
CREATE TABLE IF NOT EXISTS asia_ar_parts LIKE stock_room;
CREATE TABLE IF NOT EXISTS b_e_r__r_a_i LIKE stock_room;
CREATE TABLE IF NOT EXISTS bolivia_part LIKE stock_room;
CREATE TABLE IF NOT EXISTS delta_apa LIKE stock_room;
CREATE TABLE IF NOT EXISTS asia_ar_sanford_parts LIKE stock_room;
CREATE TABLE IF NOT EXISTS apa_sanford_ar_757 LIKE stock_room;

-- Only the bins have a number of the bin, and spell CONDITION out.
CREATE TABLE IF NOT EXISTS bins_inventory (
    id INT AUTO_INCREMENT PRIMARY KEY,
    PN VARCHAR(100),
    Qty INT,
    SERIAL VARCHAR(100),
    `CONDITION` VARCHAR(50),
    LOCATION VARCHAR(100),
    DESCRIPTION TEXT,
    `BIN` VARCHAR(50),
    PartNumberKey VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(REGEXP_REPLACE(
        REGEXP_REPLACE(PN COLLATE utf8mb4_bin, REPLACE('[~p{Z}~p{Cc}~p{Cf}]' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ''),
        '[‐-―−]', '-'
    ))) STORED,
    INDEX idx_pn (PN)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
