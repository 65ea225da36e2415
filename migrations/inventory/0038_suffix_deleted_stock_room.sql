DROP TRIGGER IF EXISTS suffix_deleted_stock_room;
CREATE TRIGGER suffix_deleted_stock_room AFTER DELETE ON stock_room FOR EACH ROW
BEGIN
    DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(OLD.PN));
    DECLARE place INT DEFAULT CHAR_LENGTH(former);
    WHILE place > 0 DO
        DELETE FROM stock_room_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.id;
        SET place = place - 1;
    END WHILE;
END
