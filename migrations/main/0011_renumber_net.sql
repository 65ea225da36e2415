UPDATE `net` colliding
    JOIN (
        SELECT
            id AS old_id,
            ROW_NUMBER() OVER (ORDER BY id) + GREATEST((SELECT COALESCE(MAX(id), 0) FROM `active`), (SELECT COALESCE(MAX(id), 0) FROM `paid`), (SELECT COALESCE(MAX(id), 0) FROM `net`), (SELECT COALESCE(MAX(id), 0) FROM `returns`)) AS new_id
        FROM `net`
        WHERE id IN (SELECT id FROM `active` UNION ALL SELECT id FROM `paid`)
    ) renumbered ON renumbered.old_id = colliding.id
SET colliding.id = renumbered.new_id
