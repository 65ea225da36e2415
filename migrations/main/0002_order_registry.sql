-- One row for every repair order: the sequence of ids that the four tables share, the numbers that are taken, and the table
-- that has the order. Triggers keep it, so that it also holds for rows that other programs write.
--
-- A program that moves an order from one table to another must delete the row before it inserts it, in one transaction. Sessions
-- of this program (`@program`) may insert first, so that they can copy the row within the database.
--
-- Two numbers with one key are the same. The key is the number in capitals, trimmed, with one blank for each run of white space,
-- without control and invisible format characters, and with `-` for each typographic dash (U+2010 to U+2015, U+2212). It is
-- compared character by character, so that accents count: `ro1` is `RO1`, but `X-Ä1` is not `X-A1`. `ro_history` and
-- `transactions` compute it alike. `~` stands for a backslash, which CHAR(92) puts in its place: MySQL parses the expression again
-- when a session opens the table, and with NO_BACKSLASH_ESCAPES it would read a written backslash differently.
--
-- TRUNCATE fires no triggers and would leave the numbers of its rows taken. Use DELETE.

CREATE TABLE IF NOT EXISTS ro_registry (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    ro_number VARCHAR(50) NOT NULL,
    archive VARCHAR(10) NOT NULL,
    number_key VARCHAR(50) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin GENERATED ALWAYS AS (UPPER(TRIM(REGEXP_REPLACE(
        REGEXP_REPLACE(
            REGEXP_REPLACE(
                ro_number COLLATE utf8mb4_bin,
                REPLACE('[~p{Cf}~x{0}-~x{8}~x{E}-~x{1F}~x{7F}-~x{84}~x{86}-~x{9F}]' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ''
            ),
            REPLACE('[~p{Z}~p{Cc}]+' COLLATE utf8mb4_bin, '~', CHAR(92 USING utf8mb4)), ' '
        ),
        '[‐-―−]', '-'
    )))) STORED,
    UNIQUE KEY number_key (number_key)
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

-- Copies a change of the number or the id. Numbers are compared byte by byte, because in the table's collation `ro1` equals `RO1`.
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
BEGIN
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'ACTIVE';
END;

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
BEGIN
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'PAID';
END;

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
BEGIN
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'NET';
END;

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
BEGIN
    DELETE FROM ro_registry WHERE id = OLD.id AND archive = 'RETURNED';
END;
