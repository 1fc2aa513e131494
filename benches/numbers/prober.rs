//! The prober's own bench, run from here.

use std::process::{Command, Stdio};

use crate::{
    Failure, place,
    say::{line, note},
};

pub(crate) fn run() -> Result<(), Failure> {
    let program = place::built("examples/prober_bench", "-p firedrill-probe --example prober_bench")?;
    let output = Command::new(program).args(["5000", "10"]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the prober's bench ended with {}", output.status).into());
    }
    line("5,000 a second on one core", "", "due-time error p99 under 1 ms");
    for said in String::from_utf8_lossy(&output.stdout).lines() {
        line("", said, "");
    }
    note("its server shares the machine's cores");
    Ok(())
}
