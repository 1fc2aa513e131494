//! The control room: web pages about the runs in a directory, the sessions of the people who look at them, and the audit log of what they did.
//!
//! It shows runs, stores notes and findings, and takes every verdict from `judge`. This crate by itself starts no run and contacts no host or
//! coordinator: for that it calls [`Outside`], which the caller implements. All its own state is in one folder.

mod actor;
mod api;
mod app;
mod audit;
mod challenges;
mod chat;
mod clock;
mod error;
mod inventory;
mod later;
mod live;
mod metrics;
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
#[cfg(test)]
mod testing;
mod tokens;
mod web;

pub use audit::{Checked, Head, check};
pub use chat::{ChatFile, is_chat, read as read_chat};
pub use error::RoomError;
pub use inventory::{
    Asked, Check, Choice, Finding, FleetFacts, FleetRow, Fleets, HostRow, Inventory, Known, ParamRow,
    PlannedAttack, PlannedEffect, Preview, ScenarioFacts, ScenarioRow, Scenarios, TextFile,
};
pub use options::{Options, public};
pub use outside::{
    Calendar, ChannelState, Decision, Halted, HeldSlot, Later, Messages, NotShown, NotStarted, Outside,
    Proposal, Slot, Slots, StepAnswer, Told, Undelivered, Wants,
};
pub use role::{Role, person};
pub use room::{Room, login_link};
pub use tokens::{NewToken, TokenRow, make_token, revoke_token, tokens};
