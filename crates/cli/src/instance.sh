# Runs one instance of a function, and runs it anew when it fails, as Lambda does. `cargo lambda watch` would not: it
# counts a failed instance as there until the code changes, and an instance fails whenever a browser leaves in the
# middle of an answer. Arguments: the function's program.
delay=0
while :; do
    began=$(date +%s)
    "$@" && exit
    # What fails again and again may take longer and longer.
    if [ $(($(date +%s) - began)) -gt 2 ]; then
        delay=0
    elif [ $delay -lt 10 ]; then
        delay=$((delay + 1))
    fi
    sleep $delay
done
