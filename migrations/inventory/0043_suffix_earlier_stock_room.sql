REPLACE INTO stock_room_suffixes (Suffix, Position, RowId)
WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 255)
SELECT SUBSTRING(UPPER(TRIM(PN)), place), place, id FROM stock_room JOIN places ON place <= CHAR_LENGTH(TRIM(PN))
