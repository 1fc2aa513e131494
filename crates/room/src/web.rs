//! HTTP: connections, rules that hold for all requests, and who asks.

pub(crate) mod accept;
pub(crate) mod answer;
pub(crate) mod guard;
pub(crate) mod passkey;
pub(crate) mod problem;
pub(crate) mod tries;
pub(crate) mod who;
