//! Faults that let traffic through but change how it arrives.
//!
//! The kinds differ only in how a packet is changed ([`Shape::impair`]) and in the words for it. Engines do the rest.

use firedrill_wire::fault::OnTraffic;

use super::words;
use crate::{
    host::{impair::Impair, queue::Look},
    injection::Peers,
};

/// A kind of fault that lets traffic through but changes how it arrives.
pub trait Shape: OnTraffic + Send + Sync {
    /// Returns how packets are impaired.
    fn impair(&self) -> Impair;
    /// Whether the fault reaches loopback too.
    fn loopback(&self) -> bool {
        false
    }
    /// Returns the function that looks into packets and decides which of them the fault is about. Only the engine in
    /// user space can do so. Without it the fault is about all chosen packets.
    fn look(&self) -> Option<Look> {
        None
    }
    /// Returns the words before and after the description of the packets: `delay`, `by 500ms`.
    fn words(&self) -> (String, String);
    /// Returns notes about this kind that people should read before the run.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Returns a sentence with the effect and the engine that makes it (`by`, such as `in user space by queue 7`).
pub(super) fn effect(shape: &dyn Shape, peers: &Peers, by: &str) -> String {
    let (before, after) = shape.words();
    format!("{before} {}{after}, {by}", words::packets(&shape.traffic(), peers))
}

/// Returns the notes that people should read before the run: on the service if there is one, on the kind
/// and on the engine.
pub(super) fn notes(
    shape: &dyn Shape,
    peers: &Peers,
    engine: impl IntoIterator<Item = String>,
) -> Vec<String> {
    let service = words::about_service(peers);
    service.into_iter().chain(shape.notes()).chain(engine).collect()
}
