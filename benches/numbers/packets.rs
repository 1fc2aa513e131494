//! Measures the cost of shaping packets by each engine. The agent's own benches do the work; they are run from here.

use crate::{
    Failure,
    place::{other, tell},
    say::note,
};

const HOW: &str = "-p firedrill-agent --examples";

/// Measures the kernel's engine: delay and its accuracy, and the time of install and undo.
pub(crate) fn lines() -> Result<(), Failure> {
    let target = "delay within 1 ms; the neighbour within 0.1 ms and 5 %; install and undo under 10 ms";
    tell("by a detour", target, &other("examples/line_bench", HOW, &[])?);
    note(
        "one way, by the receiver's clock; under a stock kernel: tests/kernel/run.sh target/dist/examples/line_bench",
    );
    Ok(())
}

/// Measures the engine in user space.
pub(crate) fn queues() -> Result<(), Failure> {
    let target =
        "mean error 0.04 ms at 50,000 a second; some 200,000 a second at most; TCP at 5 ms over 1 Gbit/s";
    tell("by a queue", target, &other("examples/queue_bench", HOW, &[])?);
    note("sender, receiver and queue share the machine's cores");
    Ok(())
}
