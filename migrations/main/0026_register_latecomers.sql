-- Rows that another program wrote after `register_orders` and before the triggers.
INSERT INTO ro_registry (id, ro_number)
SELECT id, TRIM(RO) FROM (
    SELECT id, RO FROM active UNION ALL SELECT id, RO FROM paid UNION ALL SELECT id, RO FROM net
    UNION ALL SELECT id, RO FROM `returns`
) orders
WHERE id NOT IN (SELECT id FROM ro_registry)
