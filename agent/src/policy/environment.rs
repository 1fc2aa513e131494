//! Compares the host's environment with those of the scenario and of the certificate. Only the host's own configuration decides which
//! environment it belongs to: neither a scenario nor a certificate can change that.

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
                "leave this host out, or correct the scenario's `environment`: that of the host, in {file}, decides"
            ),
        ));
    }
    let valid_in = &ask.caller.environments;
    if valid_in.is_empty()
        || ask.host_environment.is_some_and(|host| valid_in.iter().any(|name| name == host))
    {
        return Ok(());
    }
    let whose = format!("{}'s certificate is for {} only", ask.caller.name, valid_in.join(", "));
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
