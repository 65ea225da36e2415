-- Gives every new row the next id of the shared sequence (unless it brings its own) and takes its number; a number or
-- id that any of the four tables has is refused as a duplicate key.
DROP TRIGGER IF EXISTS register_inserted_active;
CREATE TRIGGER register_inserted_active BEFORE INSERT ON `active` FOR EACH ROW
BEGIN
    INSERT INTO ro_registry (id, ro_number) VALUES (NULLIF(NEW.id, 0), TRIM(NEW.RO));
    IF COALESCE(NEW.id, 0) = 0 THEN
        SET NEW.id = LAST_INSERT_ID();
    END IF;
END
