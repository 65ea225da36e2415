#!/bin/sh
# Writes both databases as SQL to standard output, as they are at one instant, while people go on working. The SQL names the place in
# the binary log from which `roll_forward.sh` goes on.
#
#   infra/backup.sh OPTIONS MAIN INVENTORY >backup.sql
#
# OPTIONS is the absolute path of a file with `[client]`, host, port, user and password of the account that
# `migrations/backup_account.sql` creates. CLIENT in the environment is `mysql` (the default) or `mariadb`, as the server is.
set -eu
if [ $# -lt 2 ]; then
    sed -n 's/^#   \(infra\)/usage: \1/p' "$0" >&2
    exit 2
fi
options=$1
shift

case "${CLIENT:-mysql}" in
mariadb)
    client=mariadb
    dump="mariadb-dump --defaults-file=$options --master-data=2"
    ;;
mysql)
    client=mysql
    # The new server has a history of transactions of its own.
    dump="mysqldump --defaults-file=$options --source-data=2 --set-gtid-purged=OFF --no-tablespaces"
    ;;
*) echo "CLIENT must be mysql or mariadb" >&2 && exit 2 ;;
esac
# In the other formats the log does not say of each change which database it is in.
format=$($client --defaults-file="$options" --skip-column-names --execute 'SELECT @@GLOBAL.binlog_format')
[ "$format" = ROW ] || { echo "the server has binlog_format = $format, and roll_forward.sh needs ROW" >&2 && exit 1; }
# `roll_forward.sh` compares the time in the last line with instants in UTC.
export TZ=UTC
# shellcheck disable=SC2086 # a command and its options
exec $dump --single-transaction --quick --hex-blob --triggers --routines --events --databases "$@"
