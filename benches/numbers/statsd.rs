//! Runs the bench of the listener for StatsD.

use crate::{
    Failure,
    place::{other, tell},
    say::note,
};

pub(crate) fn run() -> Result<(), Failure> {
    let how = "-p firedrill-sources --example statsd_bench";
    let said = other("examples/statsd_bench", how, &["10000", "50000", "100000"])?;
    tell("packets of three metrics, four questions", "none dropped", &said);
    note("its sender shares the machine's cores");
    Ok(())
}
