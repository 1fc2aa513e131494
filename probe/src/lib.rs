//! The open-loop prober that the coordinator and the agents both run, and the clocks that they measure with.
//!
//! Needs no root, touches nothing, and never judges: it counts.

pub mod clock;
