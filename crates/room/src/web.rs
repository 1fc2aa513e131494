//! HTTP: connections, the rules for all requests, the session of a request, and answers.

pub(crate) mod accept;
pub(crate) mod answer;
pub(crate) mod guard;
pub(crate) mod passkey;
pub(crate) mod problem;
pub(crate) mod tries;
pub(crate) mod who;
