DROP TRIGGER IF EXISTS suffix_deleted_inventoryindex;
CREATE TRIGGER suffix_deleted_inventoryindex AFTER DELETE ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(OLD.PartNumber));
    DECLARE place INT DEFAULT CHAR_LENGTH(former);
    WHILE place > 0 DO
        DELETE FROM inventoryindex_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.IndexId;
        SET place = place - 1;
    END WHILE;
END
