//! The chains and gates of a rule, for trying them out and for installing them. Installs nothing.

use std::time::{Duration, SystemTime};

use firedrill_wire::InjectionId;

use super::{super::BEHIND, render::Render};
use crate::{
    fault::net::rules::{ALIVE_FOR, Action, PacketRule},
    host::{
        Host,
        iptables::{Chains, Gate, IptablesError},
        nft::{
            expr::Family,
            table::{ALIVE, HOLD, LEASE},
        },
    },
};

/// The end of rules that are only tried out: a time far from now that rules can name.
pub(super) const SOME_TIME: &str = "2037-01-01T00:00:00";
/// The latest end that a rule is given, in seconds since 1970: one hour before the last second that iptables can name.
const LAST: u64 = (1 << 31) - 3_600;

/// Returns the gates of rules with this action.
pub(super) fn gates(action: &Action, lease: Duration, hold: Duration) -> Vec<Gate> {
    let mut gates = vec![Gate::new(LEASE, lease), Gate::new(HOLD, hold + BEHIND)];
    if matches!(action, Action::Queue(_)) {
        gates.push(Gate::new(ALIVE, ALIVE_FOR));
    }
    gates
}

/// Calls `make` with true, for rules that also end by the wall clock. If that fails, calls it with false, for rules without
/// that end, because the kernel may lack the match `time`. The gates end the hold in both cases.
pub(super) fn with_time_or_without<T>(
    mut make: impl FnMut(bool) -> Result<T, IptablesError>,
) -> Result<T, IptablesError> {
    make(true).or_else(|_| make(false))
}

/// Returns the chains of a rule; `until` is the hold's end by the wall clock.
pub(super) fn chains(
    host: &Host,
    id: &InjectionId,
    rule: &PacketRule,
    families: &[Family],
    gates: &[Gate],
    until: Option<&str>,
) -> Chains {
    Render { host, id, rule, families, gates, until }.chains()
}

/// Returns the time one second after the end of a hold that has `left` left, as rules name it; `None` if they cannot
/// name it.
pub(super) fn until(left: Duration) -> Option<String> {
    let end = SystemTime::now() + left + Duration::from_secs(1);
    let seconds = end.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let text = (seconds < LAST).then(|| humantime::format_rfc3339_seconds(end).to_string())?;
    text.strip_suffix('Z').map(str::to_owned)
}
