//! The environment is set by the host alone: neither a scenario nor a certificate moves a host into another one.

use std::path::Path;

use firedrill_wire::{RefusalCode, api::Problem};

use super::question::Question;
use crate::injection::refuse;

/// Refuses a scenario for another environment, and a certificate that is not valid for this one.
pub(super) fn check(ask: &Question<'_>, file: &Path) -> Result<(), Problem> {
    let file = file.display();
    let kind = ask.act.kind();
    if let (Some(host), Some(scenario)) = (ask.host_environment, ask.environment)
        && host != scenario
    {
        return Err(refuse(
            RefusalCode::NotAllowed,
            format!("{kind}: the scenario is for {scenario}, and this host belongs to {host}"),
            format!(
                "leave this host out, or correct the scenario's `environment`; the host's stands in {file}, and it counts"
            ),
        ));
    }
    let good_for = &ask.caller.environments;
    if good_for.is_empty() || ask.host_environment.is_some_and(|host| good_for.iter().any(|own| own == host))
    {
        return Ok(());
    }
    let whose = format!("{}'s certificate is for {} only", ask.caller.name, good_for.join(", "));
    Err(match ask.host_environment {
        Some(host) => refuse(
            RefusalCode::NotAllowed,
            format!("{kind}: {whose}, and this host belongs to {host}"),
            "use a certificate for that environment, or leave this host out",
        ),
        None => refuse(
            RefusalCode::NotAllowed,
            format!("{kind}: {whose}, and this host names no environment"),
            format!("set `environment` in {file} on the host, or use a certificate that names none"),
        ),
    })
}
