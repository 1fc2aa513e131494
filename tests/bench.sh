#!/usr/bin/env bash
# Builds what is measured, then prints every number of docs/numbers.md with its target beside it. No root, no set-up.
#
#   tests/bench.sh [check|scale|history|inject|fleet|idle|deaths|lines|queues|logs|serve|live|kills|prober|statsd]…
#
# CHAOS=path/to/chaos compares with the Chaos Toolkit. Timings are printed, never judged.
set -euo pipefail
cd "$(dirname "$0")/.."
# What is installed is what is measured.
cargo build --profile dist --quiet --package firedrill --package firedrill-agent
cargo build --profile dist --quiet --package firedrill-probe --example prober_bench
cargo build --profile dist --quiet --package firedrill-sources --example statsd_bench
cargo build --profile dist --quiet --package firedrill-agent --examples
exec cargo bench --profile dist --quiet --bench numbers -- "$@"
