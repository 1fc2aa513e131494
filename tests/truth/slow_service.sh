# A service of a lab's host that takes 3 s to stop, kept as runsv keeps one (see agent/src/service/runit.rs for the files).
# Goes on in the background.
set -eu
mkdir -p /run/service/slow/supervise
cd /run/service/slow/supervise
mkfifo -m 600 control ok

# pid, wanted (u, d), whether TERM was sent, what runs (0 nothing, 1 the service)
say() {
    {
        printf '\100\000\000\000\145\000\000\001\000\000\000\011'
        for shift in 0 8 16 24; do printf "\\$(printf %03o $(($1 >> shift & 255)))"; done
        printf "\\000$2\\00$3\\00$4"
    } >status.new
    mv status.new status
}

up() {
    sleep 600 >/dev/null 2>&1 &
    pid=$!
    say $pid u 0 1
}

up
exec 3<>control
while :; do
    case $(dd bs=1 count=1 <&3 2>/dev/null) in
        d)
            say $pid d 1 1
            sleep 3
            kill $pid
            wait $pid || :
            say 0 d 0 0
            ;;
        u) up ;;
    esac
done </dev/null >/dev/null 2>&1 &
