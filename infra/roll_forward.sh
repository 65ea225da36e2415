#!/bin/sh
# Applies the changes that followed a backup of `backup.sh`, up to an instant, to a server that has the backup and nothing else.
#
#   infra/roll_forward.sh BACKUP OPTIONS LOGS 'YYYY-MM-DD hh:mm:ss' MAIN INVENTORY
#
# BACKUP is the file of `backup.sh`, OPTIONS the absolute path of a file with `[client]`, host, port, user and password of an
# administrator of the new server, and LOGS the directory with the copies of the binary log. The instant is in UTC; what was changed
# in that second or later is left out. CLIENT is that of `backup.sh`.
set -eu
backup=$1 options=$2 logs=$3 until=$4
shift 4

case "${CLIENT:-mysql}" in
mariadb) reader=mariadb-binlog client=mariadb ;;
mysql) reader="mysqlbinlog --skip-gtids" client=mysql ;;
*) echo "CLIENT must be mysql or mariadb" >&2 && exit 2 ;;
esac

# In the backup: `-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000002', MASTER_LOG_POS=157;`, with SOURCE in that of MySQL.
place=$(sed -n "/^-- CHANGE .*_LOG_FILE='/{s/.*_LOG_FILE='\([^']*\)', *[A-Z]*_LOG_POS=\([0-9]*\).*/\1 \2/p;q;}" "$backup")
first=${place% *} position=${place#* }
cd "$logs"
if [ -z "$place" ] || [ ! -f "$first" ]; then
    echo "$logs has no copy of the binary log ${first:-, and the backup does not name one}" >&2
    exit 1
fi
files=$(find . -maxdepth 1 -name "${first%.*}.[0-9]*" | sed 's|^\./||' | sort | sed -n "/^$first\$/,\$p")

changes=$(mktemp)
trap 'rm -f "$changes"' EXIT
# No transaction changes both databases, so each can be brought forward by itself. Other databases of the server are left out.
for database in "$@"; do
    # shellcheck disable=SC2086 # a command and its options, and names without blanks
    TZ=UTC $reader --database="$database" --start-position="$position" --stop-datetime="$until" $files >"$changes"
    $client --defaults-file="$options" --binary-mode <"$changes"
done
