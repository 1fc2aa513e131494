//! `firedrill demo --serve`: makes a lab and a game day that begins in about a minute, and serves the control room that holds it, until
//! Ctrl-C. Then stops runs and removes the lab; never removes the folder.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use firedrill_lab::{Lab, demo::Shop};
use firedrill_wire::Span;
use jiff::Timestamp;
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep};

use super::{
    owner,
    place::{Place, ahead, minute},
    stop::stop,
};
use crate::{
    cli::{
        ask::runtime,
        days::{self, Day},
        failure::{Failure, Result, Wrap as _},
        hosts::{fleet, wrong},
        lab::{
            Setup,
            files::{DEMO as NAME, folder, forget},
        },
        serve::{LAST, ON_A_LAB, Server, Settings, on_lab},
        signals::heard,
        waiting::waiting,
    },
    fleet::FleetSource,
    verdict::Exit,
};

/// The name of the server in the message that says what ended the demo.
const SERVER: &str = "the server";
/// The port to listen on with --approve, unless --listen gives another.
const PORT: u16 = 7788;
/// The interval between two checks whether the lab still exists.
const LOOK: Duration = Duration::from_millis(500);

/// Options of `demo --serve`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ServeArgs {
    /// The folder of the game day, its fleet and scenario, its runs, and the control room's state
    #[arg(long, value_name = "DIR", default_value = "firedrill-demo", requires = "serve")]
    folder: PathBuf,
    /// The time from now to the game day; it begins at the first full minute afterwards
    #[arg(long = "in", value_name = "TIME", default_value = "30s", requires = "serve", value_parser = ahead)]
    ahead: Span,
    /// The address of this machine to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", requires = "serve")]
    listen: SocketAddr,
    /// Let an attack wait until a second person approves it with a passkey; takes a new --folder, and listens on port 7788 unless
    /// --listen says another
    #[arg(long, requires = "serve")]
    approve: bool,
}

impl ServeArgs {
    /// Returns the address to listen on, and with --approve the origin of the pages. A passkey belongs to an origin, which the fleet's file
    /// names; so the port must be known before that file is written.
    fn pages(&self) -> (SocketAddr, Option<String>) {
        if !self.approve {
            return (self.listen, None);
        }
        let port = if self.listen.port() == 0 { PORT } else { self.listen.port() };
        (SocketAddr::new(self.listen.ip(), port), Some(format!("http://localhost:{port}")))
    }
}

/// Runs the command.
pub(super) fn run(args: &ServeArgs, shop: &Shop) -> Result<Exit> {
    if !args.listen.ip().is_loopback() {
        return Err(Failure::new(format!("others can reach {}, and a demo has no TLS", args.listen))
            .help("listen on 127.0.0.1, and reach it from elsewhere by `ssh -L`"));
    }
    let (listen, origin) = args.pages();
    let place = Place::fill(&args.folder, origin.as_deref())?;
    let day = checked(&place)?;
    if let Some(origin) = &origin {
        check_passkeys_count(&place, &day, origin)?;
    }
    let file = place.fleet();
    let hosts = fleet(&FleetSource::File(file.clone()))?.hosts;
    let text = std::fs::read_to_string(&file).wrap(format!("cannot read {}", file.display()))?;
    let setup = Setup::make(NAME, &hosts, &text, shop)?;
    let reports = place.reports();
    std::fs::create_dir_all(&reports).wrap(format!("cannot make {}", reports.display()))?;
    // The claim is held from before the lab is up until it is gone: so the next demo finds the lab if this one is killed.
    let claim = owner::claim(&reports.canonicalize()?)?;
    // Signals are caught before the lab is up, so that none of them ends this program without removing the lab.
    let runtime = runtime()?;
    let mut signals = heard(&runtime);
    let progress = waiting("making the hosts, their agents and the shop");
    let lab = setup.up(true)?;
    drop(progress);
    let ended = runtime.block_on(served((args, listen), &place, &day, &mut signals));
    runtime.shutdown_timeout(LAST);
    let gone =
        lab.down().wrap(format!("the lab cannot be taken away; `firedrill lab down --name {NAME}` does it"));
    if gone.is_ok() {
        forget(NAME);
    }
    drop(claim);
    if let (Err(_), Err(left)) = (&ended, &gone) {
        errln!("{left}");
    }
    ended?;
    gone?;
    errln!("the lab is gone; {} stays as it is", place.folder().display());
    Ok(Exit::Held)
}

/// Checks the game day, its scenarios and its fleet: people may change the files of the folder.
fn checked(place: &Place) -> Result<Day> {
    let day = days::inspect(&[&place.gameday()], None, Timestamp::now()).into_iter().next();
    let day = day.ok_or_else(|| Failure::new("there is no game day"))?;
    let failure = day.reports().find(|report| report.failed()).map(wrong);
    failure.map_or(Ok(day), Err)
}

/// Refuses a folder in which an approval by a passkey of `origin` would not count: its files were made without `--approve`, or for another
/// origin.
fn check_passkeys_count(place: &Place, day: &Day, origin: &str) -> Result<()> {
    let counts = day.drills.iter().filter_map(|drill| drill.plan.as_ref()).any(|plan| {
        plan.attacks.iter().any(|attack| attack.approve.is_some())
            && plan.origins.iter().any(|known| known == origin)
    });
    if counts {
        return Ok(());
    }
    let folder = place.folder().display();
    Err(Failure::new(format!(
        "no attack in {folder} waits for an approval that a passkey of {origin} can give; its files were made without --approve, or for another address"
    ))
    .help("name a new folder with --folder, or write `approve` into the scenario and `[approval] origins` into fleet.toml"))
}

/// Serves the control room until a signal comes, the server ends or the lab is gone; then stops the runs that go on.
async fn served(
    (args, listen): (&ServeArgs, SocketAddr),
    place: &Place,
    day: &Day,
    signals: &mut UnboundedReceiver<&'static str>,
) -> Result<()> {
    let settings = Settings {
        listen,
        metrics: None,
        reports: place.reports(),
        gamedays: place.gamedays(),
        scenarios: Vec::new(),
        asks: Err(ON_A_LAB.to_owned()),
        state: place.room(),
        public: None,
        chat: None,
        starts: Some([on_lab(NAME)].to_vec()),
    };
    let server = Server::open(settings).await?;
    let slot = minute(Timestamp::now(), args.ahead);
    let due = place.set_time(slot)?.then_some(slot);
    let link = server.link()?;
    let (programs, tellers) = server.start_gamedays()?;
    outln!("{}", instructions(args.approve, place, day, due, &link, server.address()));
    let mut serve = std::pin::pin!(server.serve());
    let why = tokio::select! {
        () = &mut serve => SERVER,
        signal = signals.recv() => signal.unwrap_or("a signal"),
        () = gone() => "the end of its lab",
    };
    errln!("ended by {why}");
    let (reports, by) = (place.reports(), format!("{why} of the demo"));
    // Pages are served until the last run has ended, so that people who watch it see its end.
    let mut stopped = std::pin::pin!(stop(&reports, &programs, &by, signals.recv()));
    tokio::select! {
        () = &mut serve, if why != SERVER => stopped.await,
        () = &mut stopped => {}
    }
    // Waits until the messages that were sent to people are delivered or given up.
    tellers.finish();
    Ok(())
}

/// Waits until the lab is gone, which `firedrill lab down` can bring about.
async fn gone() {
    while Lab::attach(NAME).is_ok() {
        sleep(LOOK).await;
    }
}

/// Returns the instructions that are printed at the start. `approve` is whether an attack waits for a passkey. `due` is the time that was
/// set; `None` if the game day has its own schedule. `name` and `link` are the person who logs in, and the link to do so.
fn instructions(
    approve: bool,
    place: &Place,
    day: &Day,
    due: Option<Timestamp>,
    (name, link): &(String, String),
    address: SocketAddr,
) -> String {
    let shown = |path: &Path| path.display().to_string();
    let (folder, gameday) = (shown(place.folder()), shown(&place.gameday()));
    let (reports, room) = (shown(&place.reports()), shown(&place.room()));
    let attacks: usize =
        day.drills.iter().filter_map(|drill| drill.plan.as_ref()).map(|plan| plan.attacks.len()).sum();
    let s = crate::diagnostic::plural(attacks);
    let lasts = days::total(&day.drills);
    let asks = day.gameday.as_ref().is_some_and(|gameday| gameday.go_no_go.is_some());
    let agree = if asks { "Its file asks people to agree." } else { "Nobody has to agree." };
    let when = due.map_or_else(
        || format!("{gameday} has a schedule of its own; the page Calendar shows when it is due."),
        |due| {
            let left = due.duration_since(Timestamp::now()).as_secs();
            let left = Span::secs(u64::try_from(left).unwrap_or(0));
            let due = due.strftime("%Y-%m-%d %H:%M");
            format!("The Friday begins at {due} UTC, in {left}: {attacks} attack{s}, {lasts} in all. {agree}")
        },
    );
    let port = address.port();
    // Browsers make passkeys for names only, not for IP addresses.
    let link = if approve {
        link.replacen(&address.to_string(), &format!("localhost:{port}"), 1)
    } else {
        link.clone()
    };
    let second = if approve {
        by_passkey(port, &room)
    } else {
        format!(
            "To ask for a second person, remove the `#` before two lines in {gameday}, and make a link for that person:
  firedrill serve link --as bob --role operator --state {room}
To have an attack approved by passkey: `firedrill demo --serve --approve --folder friday-with-passkeys`"
        )
    };
    format!(
        "{when}
Log in as {name}, once, within 15 minutes:

  {link}

Now       the Friday while it goes on: what is in force and what users see; write a note, or halt it
Calendar  when it is due, and its record afterwards; History and Findings show what is left of it

Its files are in {folder}: fleet.toml, scenarios/, gamedays/friday.toml. Read them, change them, copy them.
A browser on another machine: `ssh -L {port}:{address} …`, then the same link.
{second}
To hold it again, by hand:
  firedrill gameday start {gameday} --now --lab={NAME} --reports {reports}

Ctrl-C ends all of it: a run is stopped, everything is put back, the lab is taken away. The folder stays."
    )
}

/// Returns the instructions for a second person to approve the attack that waits. The passkey is enrolled at the lab's authority, because
/// the lab's hosts trust its certificates only.
fn by_passkey(port: u16, room: &str) -> String {
    let pki = folder(NAME).join("pki").display().to_string();
    format!(
        "Before the attack \"freeze checkout\" the Friday waits, at most 15 minutes, until a second person approves it with a passkey:
  1. firedrill serve link --as bob --role operator --state {room}
     Open that link with localhost:{port} in place of the address, in another browser or a private window.
  2. Page Passkeys: add one, then \"Enrol\" has a file to download: passkey.json.
  3. firedrill pki --dir {pki} enrol bob passkey.json
     It prints the file of a certificate; paste its text below \"Enrol\".
  4. Page Now, the run, Approve: read the plan, and press \"Approve by passkey\"."
    )
}
