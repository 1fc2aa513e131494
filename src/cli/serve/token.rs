//! `firedrill serve token`: makes, lists and revokes the tokens with which programs use the control room's API.

use std::path::Path;

use firedrill_room::{NewToken, Role, make_token, revoke_token, tokens};
use firedrill_wire::Span;

use super::state::StateArgs;
use crate::{
    cli::{
        failure::Result,
        login::login_name,
        output::{print_json, table},
    },
    verdict::Exit,
};

/// Options of `serve token`.
#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a token, and print it once
    New(NewArgs),
    /// List the tokens with their last use
    List(ListArgs),
    /// Revoke a token at once
    Revoke(RevokeArgs),
}

/// Options of `serve token new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill serve token new ci --role viewer --expires 30d
  firedrill serve token new release --role operator --start payments-friday --expires 90d
  firedrill serve token new night-shift --role operator --expires 12h --state /var/lib/firedrill-room

The token is printed once; only its digest is stored. Programs send it as `Authorization: Bearer fdr_…` (docs/api.md).
A viewer's token reads. An operator's also writes notes and halts runs, and starts the game days of --start, if the server starts
game days. No token approves or agrees to a start.")]
struct NewArgs {
    /// The token's name
    name: String,
    /// The token's role: viewer or operator
    #[arg(long)]
    role: Role,
    /// Time until the token ends, at most 366d
    #[arg(long, value_name = "TIME")]
    expires: Span,
    /// A game day that the token may start, by its name; takes the role operator
    #[arg(long, value_name = "GAMEDAY")]
    start: Vec<String>,
    #[command(flatten)]
    state: StateArgs,
}

/// Options of `serve token list`.
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: StateArgs,
}

/// Options of `serve token revoke`.
#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// The token's name
    name: String,
    #[command(flatten)]
    state: StateArgs,
}

/// Runs the command.
pub(super) fn run(args: &TokenArgs) -> Result<Exit> {
    let by = login_name().unwrap_or_default();
    match &args.verb {
        Verb::New(args) => {
            let wanted = NewToken::new(&args.name, args.role, args.expires.into())?.may_start(&args.start)?;
            let (secret, until) = make_token(&args.state.state, &wanted, &by)?;
            outln!("{secret}");
            errln!(
                "it works until {until} UTC, or until `firedrill serve token revoke`; it is shown this once"
            );
        }
        Verb::List(args) => list(&args.state.state, args.json)?,
        Verb::Revoke(args) => {
            revoke_token(&args.state.state, &args.name, &by)?;
            outln!("revoked");
        }
    }
    Ok(Exit::Held)
}

/// Prints the tokens, without their secrets.
fn list(state: &Path, json: bool) -> Result<()> {
    let tokens = tokens(state)?;
    if json {
        return print_json(&tokens);
    }
    if tokens.is_empty() {
        outln!("there is no token");
        return Ok(());
    }
    let mut rows = vec![
        ["token", "role", "may start", "made by", "until, UTC", "last use, UTC"].map(str::to_owned).to_vec(),
    ];
    rows.extend(tokens.into_iter().map(|token| {
        let over = if token.over { " (over)" } else { "" };
        let used = if token.used.is_empty() { "never".to_owned() } else { token.used };
        let starts = if token.starts.is_empty() { "—".to_owned() } else { token.starts.join(", ") };
        vec![token.name, token.role.to_owned(), starts, token.made_by, format!("{}{over}", token.until), used]
    }));
    outln!("{}", table(rows));
    Ok(())
}
