//! The open-loop prober that the coordinator and the agents both run, and the clocks that they measure with.
//!
//! The prober needs no root, touches nothing, and never judges: it counts. Every request that was due is counted exactly once:
//! as good, as bad with its cause, or as slipped where the vantage itself could not send or time it.
//!
//! [`start`] runs probes on a thread of their own; what they measure lies in a [`Spool`], one bin a second.

mod answer;
mod ask;
pub mod bin;
pub mod cells;
mod check;
pub mod client;
pub mod clock;
mod connect;
mod datagrams;
mod error;
mod files;
mod handshake;
mod kind;
mod lane;
mod ledger;
mod locked;
mod once;
mod outcome;
mod pace;
mod pacer;
mod reads;
pub mod requests;
mod resolve;
mod run;
pub mod schedule;
pub mod seconds;
mod secret;
mod server;
pub mod simulate;
pub mod spool;
mod stall;
mod tls;
pub mod writes;

pub use bin::histogram;
pub use check::{check, fits_here, refusals, unreadable};
pub use error::ProbeError;
pub use files::allow_all_files;
pub use kind::http::fetch::{Fetched, Fetcher};
pub use kind::stores::{NoStores, RecordStore, StoreProbe, Stores, Terms};
pub use once::once;
pub use pace::pace;
pub use reads::{Account, Anything, Keeping, Reads, Use, read_whole};
pub use run::{Running, start, start_on};
pub use schedule::MOST_RATE;
pub use secret::secret_text;
pub use spool::{Spool, Spooled, Writer};
pub use tls::{of_this_machine, without_protocol};
