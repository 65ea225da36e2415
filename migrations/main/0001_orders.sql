-- Repair orders. Each archive status has a table of its own, and all four are alike.
-- The names of the tables and columns are those of the service that this one replaces, CURENT_STATUS included.

CREATE TABLE IF NOT EXISTS `active` (
    id INT AUTO_INCREMENT PRIMARY KEY,
    RO VARCHAR(50) NOT NULL,
    DATE_MADE DATE,
    SHOP_NAME VARCHAR(255),
    PART VARCHAR(100),
    SERIAL VARCHAR(100),
    PART_DESCRIPTION TEXT,
    REQ_WORK TEXT,
    DATE_DROPPED_OFF DATE,
    ESTIMATED_COST DECIMAL(10, 2),
    FINAL_COST DECIMAL(10, 2),
    TERMS VARCHAR(50),
    SHOP_REF VARCHAR(100),
    ESTIMATED_DELIVERY_DATE DATE,
    CURENT_STATUS VARCHAR(100),
    CURENT_STATUS_DATE DATE,
    GENTHRUST_STATUS VARCHAR(100),
    SHOP_STATUS VARCHAR(100),
    TRACKING_NUMBER_PICKING_UP VARCHAR(100),
    NOTES TEXT,
    LAST_DATE_UPDATED DATE,
    NEXT_DATE_TO_UPDATE DATE,
    -- Not unique, since in this collation `X-Ä1` equals `X-A1`. `ro_registry` keeps numbers unique over the four tables.
    INDEX RO (RO),
    -- Covers the figures of the dashboard by status.
    INDEX idx_figures (CURENT_STATUS, ESTIMATED_COST),
    INDEX idx_next_update (NEXT_DATE_TO_UPDATE)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS `paid` LIKE `active`;
CREATE TABLE IF NOT EXISTS `net` LIKE `active`;
CREATE TABLE IF NOT EXISTS `returns` LIKE `active`;
