-- The databases of one stage and the two accounts that use them. An account that may create databases and accounts runs this
-- file once for each stage: root, or avnadmin on Aiven. It can be repeated.
--
-- Replace the six names in angle brackets in a copy outside of the repository. A file in which one is left stops at its first
-- statement. The passwords are long random texts without quotes and backslashes. Where the server offers TLS, `REQUIRE SSL`
-- after each password keeps the accounts from being used without it.

CREATE DATABASE IF NOT EXISTS <main> CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
CREATE DATABASE IF NOT EXISTS <inventory> CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The account that migrates, of the function `migrate` and of `rotracker migrate`. It owns the triggers, which run with its rights
-- whichever account changes a row. So it is never dropped, and keeps these rights: without them no order and no part can be
-- changed. Its password can be changed at any time.
CREATE USER IF NOT EXISTS '<migrator>'@'%' IDENTIFIED BY '<migrator password>';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, TRIGGER ON <main>.* TO '<migrator>'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, TRIGGER ON <inventory>.* TO '<migrator>'@'%';

-- The account that serves requests, of the other functions, of `rotracker serve` and of all commands but `migrate`. It can change
-- rows, but no table.
CREATE USER IF NOT EXISTS '<service>'@'%' IDENTIFIED BY '<service password>';
GRANT SELECT, INSERT, UPDATE, DELETE ON <main>.* TO '<service>'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON <inventory>.* TO '<service>'@'%';
