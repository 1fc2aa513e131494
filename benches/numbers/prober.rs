//! Runs the prober's own bench.

use crate::{
    Failure,
    place::{other, tell},
    say::note,
};

pub(crate) fn run() -> Result<(), Failure> {
    let said = other("examples/prober_bench", "-p firedrill-probe --example prober_bench", &["5000", "10"])?;
    tell("5,000 a second on one core", "due-time error p99 under 1 ms", &said);
    let said = other(
        "examples/prober_bench",
        "-p firedrill-probe --example prober_bench",
        &["writes", "1000", "10"],
    )?;
    tell("1,000 acknowledged writes a second, with their record", "10 % of a core", &said);
    note("its server shares the machine's cores");
    Ok(())
}
