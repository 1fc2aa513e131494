#!/usr/bin/env bash
# Licences, bans and sources of everything that is linked. Advisories need a database from the network: not asked here.
set -euo pipefail
cd "$(dirname "$0")/.."
# Built quickly: it runs once, for a second.
command -v cargo-deny >/dev/null || cargo install --quiet --locked --debug cargo-deny
cargo deny check licenses bans sources
