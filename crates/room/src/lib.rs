//! The control room: pages on the runs of a directory, the sessions of the people who look at them, and the audit log of what they did.
//!
//! It looks, takes notes and halts. It starts no run, asks no host, and judges no run in another way than `judge`. All its state is in one
//! folder. What only the program around it can do comes through [`Outside`].

mod app;
mod audit;
mod clock;
mod error;
mod live;
mod newest;
mod options;
mod outside;
mod pages;
mod role;
mod room;
mod routes;
mod runs;
mod secret;
mod state;
mod store;
mod template;
mod web;

pub use audit::{Checked, Head, check};
pub use error::RoomError;
pub use options::{Options, public};
pub use outside::{Calendar, Halted, Later, Outside, Slot};
pub use role::{Role, person};
pub use room::{Room, login_link};
