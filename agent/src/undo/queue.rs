//! Undoes a queue of packets. Only the process that serves it can stop it, and it ends with that process.

use super::undone::Undone;
use crate::host::Host;

/// Stops it if it runs here, and sends the packets that it holds. Otherwise there is nothing to do: its owner has died,
/// and the kernel lets packets pass if nobody listens to a queue.
#[must_use]
pub fn apply(host: &Host, number: u16) -> Undone {
    let detail = match host.queues.counts(number) {
        Some(counts) => {
            host.queues.stop(number);
            match counts.held {
                0 => format!("queue {number} was stopped"),
                1 => format!("queue {number} was stopped, and the packet that it held was sent on"),
                held => {
                    format!("queue {number} was stopped, and the {held} packets that it held were sent on")
                }
            }
        }
        None => format!("queue {number} does not run in this process; it ends with its owner"),
    };
    host.queue_numbers.release(number);
    Undone { detail, foreign: Vec::new() }
}
