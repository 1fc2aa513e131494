//! `firedrill release`: ends a halt.

use super::common::{FleetArgs, IdentityArgs, ask_all, fleet, hosts, runtime};
use crate::verdict::Exit;

/// Options of `release`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  firedrill release --fleet fleet.toml\n  firedrill release --host app1 --fleet fleet.toml"
)]
pub(super) struct Args {
    /// Only these hosts
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    #[command(flatten)]
    fleet: FleetArgs,
    #[command(flatten)]
    identity: IdentityArgs,
}

pub(super) fn run(args: &Args) -> miette::Result<Exit> {
    let reached = args.fleet.reach(&args.identity)?;
    let hosts = hosts(fleet(&reached.source)?, &args.hosts)?;
    let asked =
        async { ask_all(&hosts, &reached.identity, |agent| async move { agent.release().await }).await };
    let mut exit = Exit::Held;
    for (host, answer) in runtime()?.block_on(asked) {
        match answer {
            Ok(_) => outln!("{host}: may be attacked again"),
            Err(error) => {
                outln!("{host}: {error}");
                exit = if error.problem().is_some() { Exit::Refused } else { Exit::Unknown }.worst(exit);
            }
        }
    }
    Ok(exit)
}
