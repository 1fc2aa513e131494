# The project's recipes. Each is also a plain command, so that `just` is never needed.

# A whole drill on this machine.
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# All tests that need nothing installed.
test *ARGS:
    cargo test --workspace {{ARGS}}

# Everything that has to pass before a change lands.
ci:
    bash .ci/run

# All of it, also what `ci` takes by turn from commit to commit. Takes about an hour and a half.
full:
    FIREDRILL_ALL=1 bash .ci/run
    tests/scenarios.sh
    FIREDRILL_ALL=1 tests/monkeys.sh
    tests/stores.sh

# Agents killed at random, by number: --trials N --seed S.
crash-matrix *ARGS:
    tests/crash_trials.sh {{ARGS}}

# How often verdicts are right, over drills of made-up systems: DRILLS of each.
truth DRILLS="1000":
    FIREDRILL_TRUTH={{DRILLS}} cargo test --profile dist -p firedrill-judge --lib truth_bench -- --nocapture --test-threads 1

# How often a run is called worse than several baseline runs: RUNS of each made-up system.
truth-usual RUNS="300":
    FIREDRILL_TRUTH={{RUNS}} cargo test --profile dist -p firedrill-history --lib usual::bench -- --nocapture --test-threads 1

# The numbers in docs/numbers.md, measured on this machine.
bench *ARGS:
    tests/bench.sh {{ARGS}}

# How long it takes to build, from nothing and after a change.
build-times:
    tests/build_times.sh

# What is installed: optimised as a whole.
dist:
    cargo build --profile dist -p firedrill -p firedrill-agent

# Tests under a stock Debian kernel with systemd, in QEMU.
kernel:
    tests/kernel/run.sh

# The scenarios that everybody gets, on a lab.
scenarios *NAMES:
    tests/scenarios.sh {{NAMES}}

# Drills of real stores, in good and in broken configurations, on labs: STORE or STORE/FLEET.
stores *NAMES:
    tests/stores.sh {{NAMES}}

# A game day that a control room starts at its time, on a lab.
gameday:
    tests/gameday.sh

# The report in a real browser.
pages:
    tests/pages.sh

# How many crates the default build has, against the recorded number.
crates:
    tests/crates.sh

# Licences, duplicate crates, sources.
deny:
    tests/deny.sh
