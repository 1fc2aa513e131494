//! A question to the policy.

use super::act::Act;
use crate::control::Caller;

/// A question to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The environment that the scenario names.
    pub environment: Option<&'a str>,
    /// The environment to which the host belongs.
    pub host_environment: Option<&'a str>,
    /// The act.
    pub act: Act<'a>,
    /// The time at which it would start, in microseconds since 1970 UTC.
    pub wall_us: u64,
}
