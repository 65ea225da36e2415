-- As for `active`.
DROP TRIGGER IF EXISTS register_inserted_paid;
CREATE TRIGGER register_inserted_paid BEFORE INSERT ON `paid` FOR EACH ROW
BEGIN
    INSERT INTO ro_registry (id, ro_number) VALUES (NULLIF(NEW.id, 0), TRIM(NEW.RO));
    IF COALESCE(NEW.id, 0) = 0 THEN
        SET NEW.id = LAST_INSERT_ID();
    END IF;
END
