//! Runs the prober's own bench.

use crate::{
    Failure,
    place::{other, tell},
    say::note,
};

pub(crate) fn run() -> Result<(), Failure> {
    let said = other("examples/prober_bench", "-p firedrill-probe --example prober_bench", &["5000", "10"])?;
    tell("5,000 a second on one core", "due-time error p99 under 1 ms", &said);
    note("its server shares the machine's cores");
    Ok(())
}
