# Runs a program that must not outlive the writer of our standard input; see supervise.rs.
# Arguments: mark, seconds between SIGTERM and SIGKILL, directory to remove at the end or "", program and arguments.
mark=$1 grace=$2 remove=$3
shift 3

# The running processes that carry our mark.
marked() {
    if [ -r /proc/self/environ ]; then
        grep -lsF "ROTRACKER_SUPERVISED=$mark" /proc/[0-9]*/environ | sed 's|[^0-9]||g'
    else
        ps -A -E -ww -o pid= -o command= | grep -F "ROTRACKER_SUPERVISED=$mark" | sed 's/^ *\([0-9]*\).*/\1/'
    fi
}

stop() {
    trap : HUP INT TERM USR1
    if [ "$grace" -gt 0 ]; then
        # Repeatedly: a server that is just starting may overhear it.
        (
            left=$((grace * 5))
            while kill -TERM "$program" && [ $left -gt 0 ]; do
                sleep 0.2
                left=$((left - 1))
            done
            kill -KILL "$program"
        ) &
    else
        # They stand still first, so that none starts another, or gets to complain that another is gone.
        # shellcheck disable=SC2046 # one argument per process
        kill -STOP "$program" $(marked)
        # shellcheck disable=SC2046
        kill -KILL "$program" $(marked)
    fi 2>/dev/null
}

# A shell gives what it starts in the background an empty standard input, so the pipe moves to 3 first.
exec 3<&0 </dev/null
(
    ROTRACKER_SUPERVISED=$mark
    export ROTRACKER_SUPERVISED
    exec "$@"
) 3<&- &
program=$!
trap stop HUP INT TERM USR1
(
    read -r _ <&3
    kill -USR1 $$
) 2>/dev/null &
reader=$!
exec 3<&-

# A signal ends `wait` early, so the program may still be there.
while :; do
    { wait "$program"; } 2>/dev/null
    status=$?
    kill -0 "$program" 2>/dev/null || break
done
# A shell that was just forked may lose SIGTERM; nothing loses SIGKILL.
kill -KILL "$reader" 2>/dev/null

signal=TERM
[ "$grace" -gt 0 ] || signal=KILL
round=0
while [ $round -lt 50 ]; do
    left=$(marked)
    [ -n "$left" ] || break
    [ $round -lt 20 ] || signal=KILL
    # shellcheck disable=SC2086 # one argument per process
    kill -$signal $left 2>/dev/null
    sleep 0.1
    round=$((round + 1))
done

[ -z "$remove" ] || rm -rf -- "$remove"
{ wait; } 2>/dev/null
exit "$status"
