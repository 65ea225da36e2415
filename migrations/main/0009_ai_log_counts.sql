-- The number of entries that each user has in the log of the assistant, so that a page of the log can show their total without counting
-- every entry. Triggers keep them, so that they also hold for rows that other programs write.
--
-- The row of a user without entries is deleted, so that no name stays behind.
--
-- A transaction that changes the log of a user locks that user's row until it ends. Two of them may deadlock, and the service runs the
-- one that is rolled back again.
--
-- TRUNCATE fires no triggers and would leave the numbers as they were. Use DELETE.

CREATE TABLE IF NOT EXISTS ai_log_counts (
    user VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    entries INT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;

DROP TRIGGER IF EXISTS count_inserted_log;
CREATE TRIGGER count_inserted_log AFTER INSERT ON ai_conversation_logs FOR EACH ROW
BEGIN
    INSERT INTO ai_log_counts (user, entries) VALUES (NEW.user, 1) ON DUPLICATE KEY UPDATE entries = entries + 1;
END;

DROP TRIGGER IF EXISTS count_updated_log;
CREATE TRIGGER count_updated_log AFTER UPDATE ON ai_conversation_logs FOR EACH ROW
BEGIN
    IF NEW.user <> OLD.user THEN
        UPDATE ai_log_counts SET entries = entries - 1 WHERE user = OLD.user;
        DELETE FROM ai_log_counts WHERE user = OLD.user AND entries = 0;
        INSERT INTO ai_log_counts (user, entries) VALUES (NEW.user, 1) ON DUPLICATE KEY UPDATE entries = entries + 1;
    END IF;
END;

DROP TRIGGER IF EXISTS count_deleted_log;
CREATE TRIGGER count_deleted_log AFTER DELETE ON ai_conversation_logs FOR EACH ROW
BEGIN
    UPDATE ai_log_counts SET entries = entries - 1 WHERE user = OLD.user;
    DELETE FROM ai_log_counts WHERE user = OLD.user AND entries = 0;
END;

-- A database may have entries already, and rows of a migration that was cut off.
DELETE FROM ai_log_counts;
-- Rows are locked while they are counted, so that no change meanwhile is lost. Sessions that read committed rows would not lock them.
-- REPLACE, since the triggers may have inserted rows.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
REPLACE INTO ai_log_counts (user, entries)
SELECT user, COUNT(*)
FROM ai_conversation_logs
GROUP BY user;
