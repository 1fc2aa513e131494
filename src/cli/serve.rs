//! `firedrill serve`: the control room, with pages to watch, note and halt the runs of a directory. With `--start-gamedays` it starts game
//! days at their time, each as a separate program. It never runs a drill itself.

mod approvals;
mod inventory;
mod invitation;
mod messages;
mod named;
mod outside;
mod programs;
mod schedule;
mod server;
mod starter;
mod state;
mod tellers;
mod token;

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use firedrill_room::{ChatFile, Role, login_link, person, public, read_chat};
use tokio::signal::unix::{SignalKind, signal};

#[cfg(feature = "lab")]
pub(super) use self::programs::Programs;
pub(super) use self::server::{Server, Settings};
use self::{state::StateArgs, tellers::Tellers, token::TokenArgs};
use super::{
    args::IdentityArgs,
    ask::runtime,
    calendar::FOLDER,
    channels::teller,
    days::WIDTH,
    failure::{Failure, Result, Wrap as _},
    login::login_name,
    runs::ReportsArgs,
};
use crate::{diagnostic::Sink, terminal, verdict::Exit};

/// The reason why a server that starts game days on a lab asks no hosts.
#[cfg(feature = "lab")]
pub(super) const ON_A_LAB: &str = "it starts game days on a lab, whose network it is not in";
/// Time that answers in progress get to end when the server stops.
pub(super) const LAST: Duration = Duration::from_secs(1);

/// Options of `serve`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  firedrill serve
  firedrill serve --reports /srv/reports --state /var/lib/firedrill-room
  firedrill serve --no-link --behind-tls https://drills.example
  firedrill serve link --as bob --role operator
  firedrill serve token new ci --role viewer --expires 30d
  firedrill serve --start-gamedays --as room
  firedrill serve --metrics 127.0.0.1:9788
  firedrill serve --notify channels.toml
  firedrill serve --behind-tls https://drills.example --chat chat.toml

It prints a link that logs in as an admin, once, within 15 minutes. It shows the runs whose logs are in the directory, takes notes, and halts
those that go on on this machine as the same user (as root, of all users). With --start-gamedays it also starts game days at their time,
each in a program of its own, which goes on when the server ends. The state is one folder.

Exit codes: 0 a signal ended it · 2 it cannot start"
)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The address to listen on; one that others can reach needs --behind-tls
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7788")]
    listen: SocketAddr,
    #[command(flatten)]
    reports: ReportsArgs,
    /// The folder of game days, whose slots are shown
    #[arg(long, value_name = "DIR", default_value = FOLDER)]
    gamedays: PathBuf,
    /// A folder of scenarios, which are shown beside those that game days name; may be given several times
    #[arg(long, value_name = "DIR", default_value = inventory::FOLDER)]
    scenarios: Vec<PathBuf>,
    /// The address on which metrics for a Prometheus are shown to whoever asks (/metrics)
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Deliver messages that wait for the channels of this file (docs/channels.md)
    #[arg(long, value_name = "FILE")]
    notify: Option<PathBuf>,
    /// Let people of Slack and Mattermost write notes, halt runs, and refuse attacks and starts, as this file says (docs/chat.md)
    #[arg(long, value_name = "FILE")]
    chat: Option<PathBuf>,
    /// Start the slots of these game days at their time, with the certificate of --pki and --as
    #[arg(long)]
    start_gamedays: bool,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Start them on the hosts of a lab that was started with `firedrill lab up`, in place of their fleets
    #[cfg(feature = "lab")]
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "lab", requires = "start_gamedays")]
    lab: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    /// The address that people type, of a proxy that speaks TLS
    #[arg(long, value_name = "URL", value_parser = public)]
    behind_tls: Option<String>,
    /// Print no login link, because standard output is kept in a log
    #[arg(long)]
    no_link: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a login link for a person, in the state of a server that runs or is stopped
    Link(LinkArgs),
    /// Make, list and revoke tokens for programs that use the API
    Token(TokenArgs),
}

/// Options of `serve link`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill serve link --as bob --role operator
  firedrill serve link --as carol --role viewer --state /var/lib/firedrill-room

The link works once, within 15 minutes. A viewer looks; an operator also writes notes, halts, pauses, and starts game days; an admin also makes links and ends
sessions.")]
struct LinkArgs {
    /// The person
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// The person's role: viewer, operator or admin
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    state: StateArgs,
}

/// Serves until a signal comes, or makes a login link or a token.
pub(super) fn run(args: &Args) -> Result<Exit> {
    match &args.verb {
        Some(Verb::Link(args)) => {
            let name = person(&args.name)?;
            let by = login_name().unwrap_or_default();
            outln!("{}", login_link(&args.state.state, (&name, args.role), &by)?);
            return Ok(Exit::Held);
        }
        Some(Verb::Token(args)) => return token::run(args),
        None => {}
    }
    if args.behind_tls.is_none() && !args.listen.ip().is_loopback() {
        return Err(Failure::new(format!(
            "others can reach {}, and without TLS they can read and change what goes there",
            args.listen
        ))
        .help("listen on 127.0.0.1, or put a proxy with TLS in front, and name its address: --behind-tls https://drills.example"));
    }
    // This teller delivers waiting messages as long as the server lives.
    let notify = args.notify.as_ref();
    let teller = notify.map(|file| teller(&args.reports.reports, file, None)).transpose()?;
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(args));
    runtime.shutdown_timeout(LAST);
    // Deliveries in progress are waited for: a message whose delivery is cut off is sent a second time later.
    if let Ok(tellers) = &ended {
        tellers.finish();
    }
    if let Some(teller) = teller {
        teller.finish();
    }
    ended.map(|_| Exit::Held)
}

/// Returns the options of `gameday start` with which slots are started.
fn start_options(args: &Args) -> Vec<OsString> {
    #[cfg(feature = "lab")]
    let lab = args.lab.as_deref().map(on_lab);
    #[cfg(not(feature = "lab"))]
    let lab = None;
    args.identity.words().into_iter().chain(lab).collect()
}

/// Returns the option of `gameday start` for the hosts of a lab.
#[cfg(feature = "lab")]
pub(super) fn on_lab(name: &str) -> OsString {
    format!("--lab={name}").into()
}

/// Whether starts of slots need a certificate of --pki and --as. On a lab they use the lab's own certificate.
fn needs_certificate(args: &Args) -> bool {
    #[cfg(feature = "lab")]
    let on_a_lab = args.lab.is_some();
    #[cfg(not(feature = "lab"))]
    let on_a_lab = false;
    args.start_gamedays && !on_a_lab
}

/// Reads a file of chats. Prints its problems.
fn chat(file: &Path) -> Result<ChatFile> {
    let mut sink = Sink::default();
    let read = read_chat(file, &mut sink);
    terminal::err(format_args!("{}", sink.into_report().render(true, WIDTH)));
    read.ok_or_else(|| {
        Failure::new(format!("the chats of {} cannot be used", file.display()))
            .help("its errors are above; docs/chat.md has an example")
    })
}

/// Returns the certificate with which hosts of fleets are asked, or the reason why they are not. The user's default certificate is used only
/// if game days are started.
fn asks(args: &Args) -> Result<IdentityArgs, String> {
    #[cfg(feature = "lab")]
    if args.lab.is_some() {
        return Err(ON_A_LAB.to_owned());
    }
    if args.start_gamedays || args.identity.pki.is_some() || args.identity.person.is_some() {
        Ok(args.identity.clone())
    } else {
        Err("it was started without a certificate (--pki, --as)".to_owned())
    }
}

/// Serves until a signal comes. Returns the senders of messages for game days, which may still have deliveries in progress.
async fn serve(args: &Args) -> Result<Tellers> {
    if needs_certificate(args) {
        // Each start loads the certificate itself. It is loaded here, too, so that an error shows now and not in the record of the first slot.
        let _usable = args.identity.load()?;
    }
    let chat = args.chat.as_deref().map(chat).transpose()?;
    let settings = Settings {
        listen: args.listen,
        metrics: args.metrics,
        reports: args.reports.reports.clone(),
        gamedays: args.gamedays.clone(),
        scenarios: args.scenarios.clone(),
        asks: asks(args),
        state: args.state.state.clone(),
        public: args.behind_tls.clone(),
        chat,
        starts: args.start_gamedays.then(|| start_options(args)),
    };
    // Signals are caught before the first line is printed: a program that waits for that line may send one at once.
    let mut stop = signal(SignalKind::terminate()).wrap("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).wrap("cannot wait for signals")?;
    let server = Server::open(settings).await?;
    outln!("the control room listens on {}; people open {}", server.address(), server.origin());
    if let Some(address) = server.metrics() {
        errln!("metrics are at http://{address}/metrics");
    }
    errln!("head of its audit log: {}", server.head());
    if !args.no_link {
        let (name, link) = server.link()?;
        outln!("log in as {name}, once, within 15 minutes: {link}");
    }
    let (_programs, tellers) = server.start_gamedays()?;
    tokio::select! {
        () = server.serve() => {}
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(tellers)
}
