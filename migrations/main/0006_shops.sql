-- The repair shops. The columns are those of the table that the importer reads, since nothing else fills it.

CREATE TABLE IF NOT EXISTS shops (
    id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    Customer BIGINT,
    Business_Name VARCHAR(500),
    Address_Line_1 VARCHAR(500),
    Address_Line_2 VARCHAR(500),
    Address_Line_3 VARCHAR(500),
    Address_Line_4 VARCHAR(500),
    City VARCHAR(500),
    State VARCHAR(500),
    ZIP VARCHAR(500),
    Country VARCHAR(500),
    Phone VARCHAR(500),
    Toll_Free VARCHAR(500),
    Fax VARCHAR(500),
    Email VARCHAR(500),
    Website VARCHAR(500),
    Contact VARCHAR(500),
    Payment_Terms VARCHAR(500),
    ILS_Code VARCHAR(500),
    Last_Sale_Date VARCHAR(500),
    YTD_Sales DOUBLE,
    created_at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP,
    INDEX idx_business_name (Business_Name(100))
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
