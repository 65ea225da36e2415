#!/bin/sh
# Applies the changes that followed a backup of `backup.sh`, up to an instant, to a server that has the backup and nothing else.
#
#   infra/roll_forward.sh BACKUP OPTIONS LOGS 'YYYY-MM-DD hh:mm:ss' MAIN INVENTORY
#
# BACKUP is the file of `backup.sh`, OPTIONS the absolute path of a file with `[client]`, host, port, user and password of an
# administrator of the new server, and LOGS the directory with the copies of the binary log. The instant is in UTC, and within the
# copies; what was changed in that second or later is left out. CLIENT is that of `backup.sh`.
set -eu
if [ $# -lt 5 ]; then
    sed -n 's/^#   \(infra\)/usage: \1/p' "$0" >&2
    exit 2
fi
backup=$1 options=$2 logs=$3 until=$4
shift 4

fail() {
    echo "$1" >&2
    exit 1
}

# Whether an instant is before another one, as texts.
is_before() {
    [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort | head -n 1)" = "$1" ]
}

case "${CLIENT:-mysql}" in
mariadb) reader=mariadb-binlog client=mariadb ;;
mysql) reader="mysqlbinlog --skip-gtids" client=mysql ;;
*) echo "CLIENT must be mysql or mariadb" >&2 && exit 2 ;;
esac

for database in "$@"; do
    grep -q "^USE \`$database\`;" "$backup" || fail "$backup has no database $database"
done
# In the backup: `-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000002', MASTER_LOG_POS=157;`, with SOURCE in that of MySQL.
place=$(sed -n "/^-- CHANGE .*_LOG_FILE='/{s/.*_LOG_FILE='\([^']*\)', *[A-Z]*_LOG_POS=\([0-9]*\).*/\1 \2/p;q;}" "$backup")
completed=$(tail -n 1 "$backup" | sed -n 's/^-- Dump completed on \(.*[0-9]\)$/\1/p' | sed 's/  / 0/')
[ -n "$place" ] && [ -n "$completed" ] || fail "$backup is no whole file of backup.sh"
is_before "$completed" "$until" || fail "the backup was completed at $completed, and $until must be later"

first=${place% *} position=${place#* }
cd "$logs"
[ -f "$first" ] || fail "$logs has no copy of the binary log $first"
files=$(find . -maxdepth 1 -name "${first%.*}.[0-9]*" | sed 's|^\./||' | sort | sed -n "/^$first\$/,\$p")
# An event begins with `#261128 14:05:31 server id 1`, or with a blank before an hour of one digit.
last=$(TZ=UTC $reader "$(echo "$files" | tail -n 1)" | sed -n 's/^#\([0-9]\{6\} [ 0-9:]\{8\}\) server id.*/\1/p' | tail -n 1)
last=$(echo "$last" | sed 's/  / 0/; s/^\(..\)\(..\)/20\1-\2-/')
is_before "$last" "$until" && fail "the copies of the binary log end at $last, before $until"

changes=$(mktemp)
trap 'rm -f "$changes"' EXIT
# No transaction changes both databases, so each can be brought forward by itself. Other databases of the server are left out.
for database in "$@"; do
    # shellcheck disable=SC2086 # a command and its options, and names without blanks
    TZ=UTC $reader --database="$database" --start-position="$position" --stop-datetime="$until" $files >"$changes"
    $client --defaults-file="$options" --binary-mode <"$changes"
    echo "$database has the changes before $until"
done
