# Runs one instance of a function, and runs it anew when it fails, as Lambda does. `cargo lambda watch` would not: it
# counts a failed instance as there until the code changes, and an instance fails whenever a browser leaves in the
# middle of an answer. Arguments: the function's program.
failures=0
while :; do
    began=$(date +%s)
    "$@" && exit
    [ $(($(date +%s) - began)) -lt 2 ] || failures=0
    failures=$((failures + 1))
    # One that never works would fill the screen.
    if [ $failures -lt 20 ]; then sleep 0.1; else sleep 5; fi
done
