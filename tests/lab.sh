# Sourced by scripts that run drills on a lab: starts it, or ends the script with 0 where this machine cannot have one.
# Needs $firedrill, the program, and $lab, the lab's name. Writes up.txt into the current folder.
# shellcheck shell=bash
if ! "$firedrill" lab up --name "$lab" >up.txt 2>&1; then
    if grep -q 'a lab cannot start here' up.txt; then
        echo "skipped: $(grep -v '^ *$' up.txt | head -3 | tr '\n' ' ')"
        exit 0
    fi
    cat up.txt
    exit 1
fi
