-- Rows that were there before the triggers.
REPLACE INTO part_number_suffixes (Suffix, Position, IndexId)
WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 255)
SELECT SUBSTRING(PartNumberKey, place), place, IndexId
FROM inventoryindex JOIN places ON place <= CHAR_LENGTH(PartNumberKey)
