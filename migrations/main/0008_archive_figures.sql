-- The number of archived orders and the sum of their final costs, so that the dashboard does not read every order that was ever
-- archived. Triggers keep them, so that they also hold for rows that other programs write.
--
-- The orders of each kind are spread over eight rows by their ids. Two changes of archived orders wait for each other only if they
-- meet in one of them.
--
-- TRUNCATE fires no triggers and would leave the figures as they were. Use DELETE.

CREATE TABLE IF NOT EXISTS archive_figures (
    archive VARCHAR(10) NOT NULL,
    -- The status of returned orders; empty if they have none, and for `paid` and `net`, whose statuses the dashboard does not count.
    status VARCHAR(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- The remainder of the ids divided by eight.
    slot INT NOT NULL,
    orders INT NOT NULL,
    final_cost DECIMAL(20, 2) NOT NULL,
    PRIMARY KEY (archive, status, slot)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;

DROP TRIGGER IF EXISTS count_inserted_paid;
CREATE TRIGGER count_inserted_paid AFTER INSERT ON `paid` FOR EACH ROW
BEGIN
    INSERT INTO archive_figures (archive, status, slot, orders, final_cost)
    VALUES ('PAID', '', NEW.id % 8, 1, COALESCE(NEW.FINAL_COST, 0))
    ON DUPLICATE KEY UPDATE orders = orders + 1, final_cost = final_cost + COALESCE(NEW.FINAL_COST, 0);
END;

DROP TRIGGER IF EXISTS count_updated_paid;
CREATE TRIGGER count_updated_paid AFTER UPDATE ON `paid` FOR EACH ROW
BEGIN
    IF NOT (NEW.FINAL_COST <=> OLD.FINAL_COST AND NEW.id = OLD.id) THEN
        UPDATE archive_figures
        SET orders = orders - 1, final_cost = final_cost - COALESCE(OLD.FINAL_COST, 0)
        WHERE archive = 'PAID' AND status = '' AND slot = OLD.id % 8;
        INSERT INTO archive_figures (archive, status, slot, orders, final_cost)
        VALUES ('PAID', '', NEW.id % 8, 1, COALESCE(NEW.FINAL_COST, 0))
        ON DUPLICATE KEY UPDATE orders = orders + 1, final_cost = final_cost + COALESCE(NEW.FINAL_COST, 0);
    END IF;
END;

DROP TRIGGER IF EXISTS count_deleted_paid;
CREATE TRIGGER count_deleted_paid AFTER DELETE ON `paid` FOR EACH ROW
BEGIN
    UPDATE archive_figures
    SET orders = orders - 1, final_cost = final_cost - COALESCE(OLD.FINAL_COST, 0)
    WHERE archive = 'PAID' AND status = '' AND slot = OLD.id % 8;
END;

-- The same for `net`.
DROP TRIGGER IF EXISTS count_inserted_net;
CREATE TRIGGER count_inserted_net AFTER INSERT ON `net` FOR EACH ROW
BEGIN
    INSERT INTO archive_figures (archive, status, slot, orders, final_cost)
    VALUES ('NET', '', NEW.id % 8, 1, COALESCE(NEW.FINAL_COST, 0))
    ON DUPLICATE KEY UPDATE orders = orders + 1, final_cost = final_cost + COALESCE(NEW.FINAL_COST, 0);
END;

DROP TRIGGER IF EXISTS count_updated_net;
CREATE TRIGGER count_updated_net AFTER UPDATE ON `net` FOR EACH ROW
BEGIN
    IF NOT (NEW.FINAL_COST <=> OLD.FINAL_COST AND NEW.id = OLD.id) THEN
        UPDATE archive_figures
        SET orders = orders - 1, final_cost = final_cost - COALESCE(OLD.FINAL_COST, 0)
        WHERE archive = 'NET' AND status = '' AND slot = OLD.id % 8;
        INSERT INTO archive_figures (archive, status, slot, orders, final_cost)
        VALUES ('NET', '', NEW.id % 8, 1, COALESCE(NEW.FINAL_COST, 0))
        ON DUPLICATE KEY UPDATE orders = orders + 1, final_cost = final_cost + COALESCE(NEW.FINAL_COST, 0);
    END IF;
END;

DROP TRIGGER IF EXISTS count_deleted_net;
CREATE TRIGGER count_deleted_net AFTER DELETE ON `net` FOR EACH ROW
BEGIN
    UPDATE archive_figures
    SET orders = orders - 1, final_cost = final_cost - COALESCE(OLD.FINAL_COST, 0)
    WHERE archive = 'NET' AND status = '' AND slot = OLD.id % 8;
END;

-- The same for `returns`, by status, character by character.
DROP TRIGGER IF EXISTS count_inserted_returns;
CREATE TRIGGER count_inserted_returns AFTER INSERT ON `returns` FOR EACH ROW
BEGIN
    INSERT INTO archive_figures (archive, status, slot, orders, final_cost)
    VALUES ('RETURNED', COALESCE(NEW.CURENT_STATUS, ''), NEW.id % 8, 1, COALESCE(NEW.FINAL_COST, 0))
    ON DUPLICATE KEY UPDATE orders = orders + 1, final_cost = final_cost + COALESCE(NEW.FINAL_COST, 0);
END;

DROP TRIGGER IF EXISTS count_updated_returns;
CREATE TRIGGER count_updated_returns AFTER UPDATE ON `returns` FOR EACH ROW
BEGIN
    IF NOT (NEW.FINAL_COST <=> OLD.FINAL_COST AND NEW.id = OLD.id
        AND CAST(NEW.CURENT_STATUS AS BINARY) <=> CAST(OLD.CURENT_STATUS AS BINARY)) THEN
        UPDATE archive_figures
        SET orders = orders - 1, final_cost = final_cost - COALESCE(OLD.FINAL_COST, 0)
        WHERE archive = 'RETURNED' AND status = COALESCE(OLD.CURENT_STATUS, '') AND slot = OLD.id % 8;
        INSERT INTO archive_figures (archive, status, slot, orders, final_cost)
        VALUES ('RETURNED', COALESCE(NEW.CURENT_STATUS, ''), NEW.id % 8, 1, COALESCE(NEW.FINAL_COST, 0))
        ON DUPLICATE KEY UPDATE orders = orders + 1, final_cost = final_cost + COALESCE(NEW.FINAL_COST, 0);
    END IF;
END;

DROP TRIGGER IF EXISTS count_deleted_returns;
CREATE TRIGGER count_deleted_returns AFTER DELETE ON `returns` FOR EACH ROW
BEGIN
    UPDATE archive_figures
    SET orders = orders - 1, final_cost = final_cost - COALESCE(OLD.FINAL_COST, 0)
    WHERE archive = 'RETURNED' AND status = COALESCE(OLD.CURENT_STATUS, '') AND slot = OLD.id % 8;
END;

-- A database may have archived orders already, and rows of a migration that was cut off.
DELETE FROM archive_figures;
-- Rows are locked while they are counted, so that no change meanwhile is lost. Sessions that read committed rows would not lock them.
-- REPLACE, since the triggers may have inserted rows.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
REPLACE INTO archive_figures (archive, status, slot, orders, final_cost)
SELECT 'PAID', '', id % 8, COUNT(*), COALESCE(SUM(FINAL_COST), 0)
FROM paid
GROUP BY id % 8
UNION ALL
SELECT 'NET', '', id % 8, COUNT(*), COALESCE(SUM(FINAL_COST), 0)
FROM net
GROUP BY id % 8
UNION ALL
SELECT 'RETURNED', COALESCE(CURENT_STATUS, '') COLLATE utf8mb4_bin, id % 8, COUNT(*), COALESCE(SUM(FINAL_COST), 0)
FROM `returns`
GROUP BY COALESCE(CURENT_STATUS, '') COLLATE utf8mb4_bin, id % 8;
