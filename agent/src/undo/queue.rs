//! Undoes a fault that holds packets in a queue of the kernel. Only the process that reads the queue can stop it; the queue ends when that
//! process ends. Never drops a packet.

use super::undone::Undone;
use crate::host::Host;

/// Stops the queue if this process reads it, and sends on the packets that it holds. Otherwise the process that read it has died, and there
/// is nothing to do: the agent's rules say `bypass`, so the kernel lets packets pass if no process reads their queue.
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
