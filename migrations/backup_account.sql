-- The account that `infra/backup.sh` and the copy of the binary log use, on a server of one's own. It can read everything in the two
-- databases and in the binary log, and change nothing. An administrator runs this file once, after `accounts.sql`. It can be repeated.
--
-- Replace the four names in angle brackets in a copy outside of the repository, as those of `accounts.sql`.

CREATE USER IF NOT EXISTS '<backup>'@'%' IDENTIFIED BY '<backup password>';
GRANT SELECT, TRIGGER, SHOW VIEW, EVENT ON <main>.* TO '<backup>'@'%';
GRANT SELECT, TRIGGER, SHOW VIEW, EVENT ON <inventory>.* TO '<backup>'@'%';

-- The backup stops commits for a moment, to learn which place in the binary log it belongs to (RELOAD, REPLICATION CLIENT). The copy of
-- the binary log is read as a replica reads it (REPLICATION SLAVE).
GRANT RELOAD, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO '<backup>'@'%';
