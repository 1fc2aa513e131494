//! Measures how soon a block ends after a process of the agent or the coordinator dies. The time is measured at the
//! other end of a flow that was blocked.

use std::{
    io::{BufRead as _, BufReader, ErrorKind},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use firedrill::{
    link::{Agent, Identity},
    plan::model::{Host, Reach},
};
use firedrill_probe::clock::boot_us;
use firedrill_wire::{Span, journal::State};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Failure,
    drill::{Drill, block},
    place::{Rig, host_of, runtime},
    procs::{self, Part, Role},
    say::{Times, line, millis, note},
};

/// The hidden first argument by which this program is a coordinator that is started only to be killed.
pub(crate) const COORDINATOR: &str = "__coordinator";

/// Number of times that each death is measured.
const ROUNDS: u32 = 20;
const LEASE: Span = Span::secs(2);
const HOLD: Span = Span::secs(30);
/// The address of the lab's coordinator. Traffic with it is blocked, except its connection to the agent.
const PEER: &str = "10.77.0.2";
/// Maximum wait of one try of the flow. A measured time is too long by at most this.
const TRY: Duration = Duration::from_millis(3);
/// Maximum wait for packets to pass, and for an agent to come back.
const LONG: Duration = Duration::from_secs(30);
/// A port on which nobody listens.
const CLOSED_PORT: u16 = 9;

/// A host of a lab, and a flow to it that is blocked.
struct Bench {
    rig: Rig,
    host: Host,
    /// The address of the flow, with [`CLOSED_PORT`]. If packets pass, a connection is reset at once; otherwise no answer comes.
    flow: SocketAddr,
    /// Number of runs so far.
    runs: u32,
}

pub(crate) fn run() -> Result<(), Failure> {
    let rig = Rig::up("deaths", 1)?;
    let host = rig.hosts.first().cloned().ok_or("no host")?;
    let address = *host.addresses.first().ok_or("no address")?;
    let mut bench = Bench { rig, host, flow: SocketAddr::new(address, CLOSED_PORT), runs: 0 };
    note(&format!(
        "one lab host, its traffic with the coordinator dropped; tried every {} ms; lease {LEASE}",
        TRY.as_millis()
    ));
    for (who, roles) in [
        ("the worker", &[Role::Worker][..]),
        ("worker, guardian and helper", &[Role::Worker, Role::Guardian, Role::Helper]),
        ("the guardian", &[Role::Guardian]),
    ] {
        let times = (0..ROUNDS).map(|_| bench.killed(roles)).collect::<Result<Vec<_>, _>>()?;
        line(
            &format!("SIGKILL of {who} → traffic passes"),
            &Times::new(times).show(&[50, 100]),
            "under 50 ms",
        );
    }
    line("SIGSTOP of all three → traffic passes", &bench.stopped()?, "by the lease");
    line("SIGKILL of the coordinator → traffic passes", &bench.orphaned()?, "by the lease");
    line("the host's cable pulled → put back", &bench.unplugged()?, "by the lease");
    Ok(())
}

/// Whether packets pass.
fn passes(flow: SocketAddr) -> bool {
    matches!(TcpStream::connect_timeout(&flow, TRY), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

impl Bench {
    fn agent(&self) -> Agent {
        self.rig.agent(&self.host)
    }

    /// Returns the agent's three processes.
    fn parts(&self) -> Result<[Part; 3], Failure> {
        let pids = self.rig.lab.pids(&self.host.name)?;
        Ok(procs::agent(&pids).ok_or("the agent's three processes are not there")?)
    }

    /// Waits until packets pass, and returns the time from `since` on.
    fn wait(&self, since: Instant) -> Result<Duration, Failure> {
        while !passes(self.flow) {
            if since.elapsed() > LONG {
                return Err(format!("blocked for {LONG:?} and longer").into());
            }
        }
        Ok(since.elapsed())
    }

    /// Returns the name of the next run.
    fn run_name(&mut self) -> String {
        self.runs += 1;
        format!("bench-deaths-{}", self.runs)
    }

    /// Fails if packets pass.
    fn must_be_blocked(&self) -> Result<(), Failure> {
        // Makes several tries, because one short try proves nothing on a busy machine.
        if (0..5).any(|_| passes(self.flow)) { Err("the block does not block".into()) } else { Ok(()) }
    }

    /// Blocks the flow. Returns the time just before the last renewal of the lease was sent.
    fn block(&mut self) -> Result<Instant, Failure> {
        let run = self.run_name();
        let agent = self.agent();
        let renewed = runtime()?.block_on(async {
            let mut drill = Drill::begin(agent, &run, LEASE).await?;
            in_force(&mut drill, PEER).await?;
            let renewed = Instant::now();
            drill.renew().await?;
            Ok::<_, Failure>(renewed)
        })?;
        self.must_be_blocked()?;
        Ok(renewed)
    }

    /// Kills processes of the agent during a block. Returns the time until packets pass.
    fn killed(&mut self, roles: &[Role]) -> Result<Duration, Failure> {
        self.wait(Instant::now())?;
        self.block()?;
        let parts = self.parts()?;
        let since = Instant::now();
        signal(parts.iter().filter(|part| roles.contains(&part.role)), Signal::SIGKILL)?;
        let took = self.wait(since)?;
        self.back(&parts)?;
        Ok(took)
    }

    /// Waits until another agent runs in place of the dead one: its first process, the guardian, has another pid.
    fn back(&self, dead: &[Part; 3]) -> Result<(), Failure> {
        let since = Instant::now();
        while self.parts().map_or(true, |parts| parts[0].pid == dead[0].pid) {
            if since.elapsed() > LONG {
                return Err("no agent came back".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Stops all processes of the agent during a block, and returns the time until packets pass, in words.
    fn stopped(&mut self) -> Result<String, Failure> {
        self.wait(Instant::now())?;
        let renewed = self.block()?;
        let parts = self.parts()?;
        signal(parts.iter(), Signal::SIGSTOP)?;
        let took = self.wait(renewed);
        signal(parts.iter(), Signal::SIGCONT)?;
        Ok(format!("{} after the last renewal, lease {LEASE}", millis(took?)))
    }

    /// Kills a coordinator during a block, and returns the time until packets pass, in words.
    fn orphaned(&mut self) -> Result<String, Failure> {
        self.wait(Instant::now())?;
        let run = self.run_name();
        let Reach::Tcp(at) = &self.host.agent else { return Err("no address".into()) };
        let mut child = Command::new(std::env::current_exe()?)
            .args([COORDINATOR, &run, &self.host.name, at])
            .arg(self.rig.pki())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        // After four lines the block is in force and its lease was renewed several times.
        let mut renewed = 0;
        for _ in 0..4 {
            renewed = said.next().ok_or("the coordinator ended by itself")??.parse()?;
        }
        let blocked = self.must_be_blocked();
        child.kill()?;
        let killed = Instant::now();
        child.wait()?;
        blocked?;
        let took = self.wait(killed)?;
        let passed = boot_us();
        for line in said {
            renewed = line?.parse()?;
        }
        let since = Duration::from_micros(passed.saturating_sub(renewed));
        Ok(format!(
            "{} after the last renewal ({} after its death), lease {LEASE}",
            millis(since),
            millis(took)
        ))
    }

    /// Pulls the host's cable during a block, and returns the time until the agent has put back, in words.
    fn unplugged(&mut self) -> Result<String, Failure> {
        self.wait(Instant::now())?;
        let (run, agent) = (self.run_name(), self.agent());
        let runtime = runtime()?;
        let (mut drill, ready) = runtime.block_on(async {
            let mut drill = Drill::begin(agent, &run, LEASE).await?;
            let ready = in_force(&mut drill, PEER).await?;
            Ok::<_, Failure>((drill, ready))
        })?;
        let renewed = boot_us();
        runtime.block_on(drill.renew())?;
        self.rig.lab.cut(&self.host.name)?;
        std::thread::sleep(LEASE.0 + Duration::from_millis(500));
        self.rig.lab.plug(&self.host.name)?;
        let gone = runtime.block_on(drill.until(&ready, State::Undone))?;
        let took = Duration::from_micros(gone.saturating_sub(renewed));
        Ok(format!("{} after the last renewal, lease {LEASE}", millis(took)))
    }
}

/// Injects a block and waits until it is in force.
async fn in_force(drill: &mut Drill, peer: &str) -> Result<crate::drill::Ready, Failure> {
    let ready = drill.prepare(block(peer), HOLD).await?;
    drill.arm(&ready, boot_us()).await?;
    drill.renew().await?;
    drill.until(&ready, State::InForce).await?;
    Ok(ready)
}

/// Sends a signal to processes, as far as they exist.
fn signal<'a>(parts: impl Iterator<Item = &'a Part>, signal: Signal) -> Result<(), Failure> {
    for part in parts {
        match kill(Pid::from_raw(part.pid), signal) {
            // A process that sees another die may have left before its own signal came.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The part of the coordinator: blocks, then renews the lease until it is killed. Prints the time of each renewal
/// (CLOCK_BOOTTIME, microseconds).
pub(crate) fn coordinator(words: &[&str]) -> Result<(), Failure> {
    let [run, host, at, pki] = words else {
        return Err("run, host, address and certificates are wanted".into());
    };
    let identity = Arc::new(Identity::load_as(Path::new(pki), firedrill::cli::lab::files::OPERATOR)?);
    let host = host_of(host, std::net::Ipv4Addr::UNSPECIFIED, Reach::Tcp((*at).to_owned()));
    runtime()?.block_on(async {
        let mut drill = Drill::begin(Agent::new(&host, identity), run, LEASE).await?;
        in_force(&mut drill, PEER).await?;
        loop {
            let now = boot_us();
            drill.renew().await?;
            println!("{now}");
            tokio::time::sleep(LEASE.0 / 4).await;
        }
    })
}
