-- Rows that were there before the triggers.
REPLACE INTO inventoryindex_suffixes (Suffix, Position, RowId)
WITH RECURSIVE places (place) AS (SELECT 1 UNION ALL SELECT place + 1 FROM places WHERE place < 255)
SELECT SUBSTRING(UPPER(TRIM(PartNumber)), place), place, IndexId FROM inventoryindex JOIN places ON place <= CHAR_LENGTH(TRIM(PartNumber))
