-- The Node service numbered each table by itself. A row whose id an earlier table has too gets a new one, past all
-- that are in use; nothing else refers to these ids.
UPDATE `paid` colliding
    JOIN (
        SELECT
            id AS old_id,
            ROW_NUMBER() OVER (ORDER BY id) + GREATEST((SELECT COALESCE(MAX(id), 0) FROM `active`), (SELECT COALESCE(MAX(id), 0) FROM `paid`), (SELECT COALESCE(MAX(id), 0) FROM `net`), (SELECT COALESCE(MAX(id), 0) FROM `returns`)) AS new_id
        FROM `paid`
        WHERE id IN (SELECT id FROM `active`)
    ) renumbered ON renumbered.old_id = colliding.id
SET colliding.id = renumbered.new_id
