DROP TRIGGER IF EXISTS suffix_inserted_stock_room;
CREATE TRIGGER suffix_inserted_stock_room AFTER INSERT ON stock_room FOR EACH ROW
BEGIN
    DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(NEW.PN));
    DECLARE place INT DEFAULT CHAR_LENGTH(number);
    WHILE place > 0 DO
        REPLACE INTO stock_room_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.id);
        SET place = place - 1;
    END WHILE;
END
