DROP TRIGGER IF EXISTS suffix_inserted_inventoryindex;
CREATE TRIGGER suffix_inserted_inventoryindex AFTER INSERT ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(NEW.PartNumber));
    DECLARE place INT DEFAULT CHAR_LENGTH(number);
    WHILE place > 0 DO
        REPLACE INTO inventoryindex_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.IndexId);
        SET place = place - 1;
    END WHILE;
END
