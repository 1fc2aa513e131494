//! A question to the policy. Data only.

use super::act::Act;
use crate::control::Caller;

/// A question to the policy.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The caller.
    pub caller: &'a Caller,
    /// The environment that the scenario names; `None` if it names none.
    pub environment: Option<&'a str>,
    /// The environment to which the host belongs; `None` if its configuration names none.
    pub host_environment: Option<&'a str>,
    /// The act.
    pub act: Act<'a>,
    /// The time at which it would start, in microseconds since 1970 UTC.
    pub wall_us: u64,
}
