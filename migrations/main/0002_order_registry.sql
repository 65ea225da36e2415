-- One row for every repair order: the sequence of ids that the four tables share, the numbers that are taken, and the table
-- that has the order. Triggers keep it, so that it also holds for rows that other programs write.
--
-- A program that moves an order from one table to another must delete the row before it inserts it, in one transaction. Sessions
-- of this program (`@program`) may insert first, so that they can copy the row within the database.
--
-- TRUNCATE fires no triggers and would leave the numbers of its rows taken. Use DELETE.

CREATE TABLE IF NOT EXISTS ro_registry (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    ro_number VARCHAR(50) NOT NULL,
    archive VARCHAR(10) NOT NULL,
    UNIQUE KEY ro_number (ro_number)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;

-- Gives a new row the next id, unless it has one, and takes its number. An id or a number that any of the four tables has is a
-- duplicate key.
DROP TRIGGER IF EXISTS register_inserted_active;
CREATE TRIGGER register_inserted_active BEFORE INSERT ON `active` FOR EACH ROW
BEGIN
    IF @program = 'rotracker' AND EXISTS (SELECT 1 FROM ro_registry WHERE id = NEW.id) THEN
        UPDATE ro_registry SET ro_number = TRIM(NEW.RO), archive = 'ACTIVE' WHERE id = NEW.id;
    ELSE
        INSERT INTO ro_registry (id, ro_number, archive) VALUES (NULLIF(NEW.id, 0), TRIM(NEW.RO), 'ACTIVE');
        IF COALESCE(NEW.id, 0) = 0 THEN
            SET NEW.id = LAST_INSERT_ID();
        END IF;
    END IF;
END;

-- Copies a change of the number or the id. Numbers are compared byte by byte, because in the collation `ro1` equals `RO1`.
DROP TRIGGER IF EXISTS register_updated_active;
CREATE TRIGGER register_updated_active BEFORE UPDATE ON `active` FOR EACH ROW
BEGIN
    IF NEW.id <> OLD.id OR CAST(NEW.RO AS BINARY) <> CAST(OLD.RO AS BINARY) THEN
        UPDATE ro_registry SET id = NEW.id, ro_number = TRIM(NEW.RO) WHERE id = OLD.id;
    END IF;
END;

-- Frees the id and the number, unless the order was moved to another table.
DROP TRIGGER IF EXISTS register_deleted_active;
CREATE TRIGGER register_deleted_active AFTER DELETE ON `active` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'ACTIVE';

-- The same for `paid`.
DROP TRIGGER IF EXISTS register_inserted_paid;
CREATE TRIGGER register_inserted_paid BEFORE INSERT ON `paid` FOR EACH ROW
BEGIN
    IF @program = 'rotracker' AND EXISTS (SELECT 1 FROM ro_registry WHERE id = NEW.id) THEN
        UPDATE ro_registry SET ro_number = TRIM(NEW.RO), archive = 'PAID' WHERE id = NEW.id;
    ELSE
        INSERT INTO ro_registry (id, ro_number, archive) VALUES (NULLIF(NEW.id, 0), TRIM(NEW.RO), 'PAID');
        IF COALESCE(NEW.id, 0) = 0 THEN
            SET NEW.id = LAST_INSERT_ID();
        END IF;
    END IF;
END;

DROP TRIGGER IF EXISTS register_updated_paid;
CREATE TRIGGER register_updated_paid BEFORE UPDATE ON `paid` FOR EACH ROW
BEGIN
    IF NEW.id <> OLD.id OR CAST(NEW.RO AS BINARY) <> CAST(OLD.RO AS BINARY) THEN
        UPDATE ro_registry SET id = NEW.id, ro_number = TRIM(NEW.RO) WHERE id = OLD.id;
    END IF;
END;

DROP TRIGGER IF EXISTS register_deleted_paid;
CREATE TRIGGER register_deleted_paid AFTER DELETE ON `paid` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'PAID';

-- The same for `net`.
DROP TRIGGER IF EXISTS register_inserted_net;
CREATE TRIGGER register_inserted_net BEFORE INSERT ON `net` FOR EACH ROW
BEGIN
    IF @program = 'rotracker' AND EXISTS (SELECT 1 FROM ro_registry WHERE id = NEW.id) THEN
        UPDATE ro_registry SET ro_number = TRIM(NEW.RO), archive = 'NET' WHERE id = NEW.id;
    ELSE
        INSERT INTO ro_registry (id, ro_number, archive) VALUES (NULLIF(NEW.id, 0), TRIM(NEW.RO), 'NET');
        IF COALESCE(NEW.id, 0) = 0 THEN
            SET NEW.id = LAST_INSERT_ID();
        END IF;
    END IF;
END;

DROP TRIGGER IF EXISTS register_updated_net;
CREATE TRIGGER register_updated_net BEFORE UPDATE ON `net` FOR EACH ROW
BEGIN
    IF NEW.id <> OLD.id OR CAST(NEW.RO AS BINARY) <> CAST(OLD.RO AS BINARY) THEN
        UPDATE ro_registry SET id = NEW.id, ro_number = TRIM(NEW.RO) WHERE id = OLD.id;
    END IF;
END;

DROP TRIGGER IF EXISTS register_deleted_net;
CREATE TRIGGER register_deleted_net AFTER DELETE ON `net` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'NET';

-- The same for `returns`.
DROP TRIGGER IF EXISTS register_inserted_returns;
CREATE TRIGGER register_inserted_returns BEFORE INSERT ON `returns` FOR EACH ROW
BEGIN
    IF @program = 'rotracker' AND EXISTS (SELECT 1 FROM ro_registry WHERE id = NEW.id) THEN
        UPDATE ro_registry SET ro_number = TRIM(NEW.RO), archive = 'RETURNED' WHERE id = NEW.id;
    ELSE
        INSERT INTO ro_registry (id, ro_number, archive) VALUES (NULLIF(NEW.id, 0), TRIM(NEW.RO), 'RETURNED');
        IF COALESCE(NEW.id, 0) = 0 THEN
            SET NEW.id = LAST_INSERT_ID();
        END IF;
    END IF;
END;

DROP TRIGGER IF EXISTS register_updated_returns;
CREATE TRIGGER register_updated_returns BEFORE UPDATE ON `returns` FOR EACH ROW
BEGIN
    IF NEW.id <> OLD.id OR CAST(NEW.RO AS BINARY) <> CAST(OLD.RO AS BINARY) THEN
        UPDATE ro_registry SET id = NEW.id, ro_number = TRIM(NEW.RO) WHERE id = OLD.id;
    END IF;
END;

DROP TRIGGER IF EXISTS register_deleted_returns;
CREATE TRIGGER register_deleted_returns AFTER DELETE ON `returns` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'RETURNED';
