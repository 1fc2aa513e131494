//! Writes the log of an invented game day, by the code with which a coordinator writes its log.

use std::{path::Path, sync::mpsc::sync_channel};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use firedrill::{
    fleet::FleetSource,
    log::{Event, Outcome, Record, RunOutcome, Writer},
    plan::{
        self, Plan,
        model::{Attack, COORDINATOR, Phase, Probe},
        select::arrivals_key,
    },
};
use firedrill_probe::{
    requests::{self, Outcome as End},
    schedule::Schedule,
};
use firedrill_wire::{
    InjectionId, RunId, Span,
    api::{EndState, HostState},
    evidence::{Evidence, Seen},
    journal::{AgentEvent, HealReason, State, What},
    probe::{Bin, Requests},
};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer as _, V2Serializer},
};

use crate::Failure;

/// A second, in microseconds.
const S: i64 = 1_000_000;
const PROBES: u64 = 10;
const VANTAGES: u64 = 10;
/// Requests a second of each probe at each vantage.
const RATE: u64 = 100;
const RUN: &str = "20261120-0800-gameday-7f3a";

/// The counts and sizes of the written log.
pub(super) struct Made {
    pub(super) bins: u64,
    pub(super) requests: u64,
    /// The size in bytes if each bin were a record of its own, estimated from every hundredth bin.
    pub(super) plain_bytes: u64,
}

/// Writes the log of a number of attacks that take `minutes` each.
pub(super) fn write(log: &Path, attacks: u32, minutes: u32) -> Result<Made, Failure> {
    let plan = plan(attacks, minutes)?;
    let mut writer = Writer::create(log)?;
    let mut events = events(&plan)?;
    events.sort_by_key(|(at_us, _)| *at_us);
    let mut events = events.into_iter().peekable();
    let mut made = Made { bins: 0, requests: 0, plain_bytes: 0 };
    let length = i64::from(attacks) * i64::from(minutes) * 60;
    let (sender, receiver) = sync_channel(8);
    let streams = streams(&plan);
    std::thread::scope(|scope| -> Result<(), Failure> {
        scope.spawn(move || {
            let mut streams = streams;
            (0..length).try_for_each(|second| {
                sender.send(streams.iter_mut().map(|stream| stream.second(second)).collect::<Vec<_>>())
            })
        });
        for (second, bins) in (0..length).zip(receiver) {
            // A bin is complete one time-out after its end.
            let at_us = (second + 2) * S;
            while let Some((at, event)) = events.next_if(|(at, _)| *at <= at_us) {
                writer.append(at, event)?;
            }
            for (vantage, bin) in bins {
                made.bins += 1;
                made.requests += bin.due;
                if made.bins % 100 == 1 {
                    made.plain_bytes += plain(at_us, &vantage, second * S, &bin)? * 100;
                }
                writer.measured(at_us, &vantage, second * S, &bin)?;
            }
        }
        Ok(())
    })?;
    for (at_us, event) in events {
        writer.append(at_us, event)?;
    }
    Ok(made)
}

/// Returns the size in bytes of a bin as a record of its own.
fn plain(at_us: i64, vantage: &str, start_us: i64, bin: &Bin) -> Result<u64, Failure> {
    let event = Event::Bin { vantage: vantage.to_owned(), start_us, bin: bin.clone() };
    let record = Record { v: Record::VERSION, seq: 1_000_000, at_us, event };
    Ok(serde_json::to_vec(&record)?.len() as u64 + 1)
}

/// Returns a plan with ten probes at ten vantages, in which each attack stops a service.
fn plan(attacks: u32, minutes: u32) -> Result<Plan, Failure> {
    let hold = minutes * 60 / 2;
    let judged: Vec<String> = (0..PROBES)
        .flat_map(|number| ["good", "fast", "back"].map(|what| format!("\"{what}{number}\"")))
        .collect();
    let mut scenario = format!(
        "schema = 1\nname = \"gameday\"\nhypothesis = \"No user notices for long.\"\n\n[attack_defaults]\nbaseline = \"{0}s\"\n\
         hold = \"{hold}s\"\nrecovery = \"{0}s\"\nsettle = \"30s\"\non_violated = \"continue\"\non_unknown = \"continue\"\njudge = [{1}]\n",
        minutes * 60 / 5,
        judged.join(", ")
    );
    let from: Vec<String> = (0..VANTAGES).map(|number| format!("\"{}\"", vantage(number))).collect();
    for number in 0..PROBES {
        scenario.push_str(&format!(
            "\n[probes.p{number}]\nhttp = {{ url = \"http://10.20.0.1/p{number}\" }}\nrate = {RATE}\ntimeout = \"1s\"\nfrom = [{}]\n\
             \n[objectives.good{number}]\nprobe = \"p{number}\"\ngood = \"97%\"\n\
             \n[objectives.fast{number}]\nprobe = \"p{number}\"\nquantile = 0.99\nbelow = \"300ms\"\n\
             \n[objectives.back{number}]\nprobe = \"p{number}\"\nrecover_within = \"30s\"\n",
            from.join(", ")
        ));
    }
    for number in 0..attacks {
        scenario.push_str(&format!(
            "\n[[attack]]\nname = \"stop service {number}\"\non = \"app\"\nfault.service-stop = {{ service = \"shop\" }}\n"
        ));
    }
    let mut fleet = "schema = 1\n\n[[host]]\nname = \"app\"\naddresses = [\"10.20.0.1\"]\n".to_owned();
    for number in 1..VANTAGES {
        fleet.push_str(&format!(
            "\n[[host]]\nname = \"{}\"\naddresses = [\"10.20.1.{number}\"]\n",
            vantage(number)
        ));
    }
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("gameday.toml"), scenario)?;
    std::fs::write(at("fleet.toml"), fleet)?;
    let options = plan::Options {
        scenario: at("gameday.toml"),
        fleet: FleetSource::File(at("fleet.toml")),
        params: Vec::new(),
        seed: Some(7),
    };
    plan::load(&options).map_err(|report| format!("the bench's own scenario is wrong: {report:?}").into())
}

/// Returns the name of the vantage with a number.
fn vantage(number: u64) -> String {
    if number == 0 { COORDINATOR.to_owned() } else { format!("client-{number}") }
}

/// Returns the second in which an attack's fault begins, and the second in which it ends.
fn fault(plan: &Plan, index: usize) -> (i64, i64) {
    let seconds = |span: Span| i64::try_from(span.as_micros()).unwrap_or(0) / S;
    let whole = |attack: &Attack| seconds(attack.hold) * 2;
    let begins: i64 = plan.attacks[..index].iter().map(whole).sum();
    let attack = &plan.attacks[index];
    let from = begins + 1 + seconds(attack.baseline);
    (from, from + seconds(attack.hold))
}

/// Returns all events other than measurements, with their times.
fn events(plan: &Plan) -> Result<Vec<(i64, Event)>, Failure> {
    let run: RunId = RUN.parse()?;
    let started = Event::RunStarted {
        run: run.clone(),
        plan: Box::new(plan.clone()),
        wall: "2026-11-20T08:00:00Z".to_owned(),
        operator: "bench".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        attempt: 1,
    };
    let mut events = vec![(0, started)];
    for host in plan.hosts.iter().map(|host| host.name.clone()) {
        let event =
            Event::Clock { host, boot_at_zero_us: 0, uncertainty_us: 400, boot_id: "boot".to_owned() };
        events.push((1, event));
    }
    let mut seq = 0;
    let mut last_us = 0;
    for (index, attack) in plan.attacks.iter().enumerate() {
        let id: InjectionId = format!("{run}-{index}-0").parse()?;
        let (from, until) = fault(plan, index);
        // No event happens on a whole second.
        let near = |second: i64| second * S + 370_000;
        let span = |span: Span| i64::try_from(span.as_micros()).unwrap_or(0);
        let phase = |phase: Phase, until_us: i64| Event::Phase { attack: index, phase, until_us };
        let end_us = near(until) + span(attack.recovery);
        let mut agent = |at_us: i64, what: What| {
            seq += 1;
            let boot_us = at_us.unsigned_abs();
            let what = AgentEvent { seq, boot_us, boot_id: "boot".to_owned(), wall_us: 0, what };
            (at_us + 5_000, Event::Agent { host: "app".to_owned(), happened_us: at_us, what })
        };
        let changed = |to: State, reason: Option<HealReason>| What::changed(&id, &run, to, reason);
        events.extend([
            (near(from) - span(attack.baseline), phase(Phase::Baseline, near(from))),
            (
                near(from) - S,
                Event::Armed {
                    attack: index,
                    injection: id.clone(),
                    host: "app".to_owned(),
                    kind: attack.injections[0].fault.kind().to_owned(),
                    start_us: near(from),
                    hold: attack.hold,
                },
            ),
            (near(from), phase(Phase::Fault, near(until))),
            agent(near(from), changed(State::Injecting, None)),
            agent(near(from) + 3_000, changed(State::InForce, None)),
        ]);
        for second in (from + 1..until).step_by(5) {
            let evidence = Evidence {
                in_force: Seen::Yes,
                exercised: Seen::Yes,
                count: None,
                detail: "the service is stopped".to_owned(),
            };
            events.push(agent(
                near(second),
                What::Looked { injection: id.clone(), run: run.clone(), evidence },
            ));
        }
        events.extend([
            agent(near(until) + 3_000, changed(State::Undoing, Some(HealReason::HoldOver))),
            agent(near(until) + 9_000, changed(State::Undone, None)),
            (near(until) + 15_000, phase(Phase::Recovery, end_us)),
            (end_us + 3 * S, Event::AttackEnded { attack: index, outcome: Outcome::Ran, verdict: None }),
        ]);
        last_us = end_us + 600 * S;
    }
    let end = EndState { state: HostState::Clean, ours: vec![], foreign: vec![], compared: 41 };
    events.push((last_us, Event::HostEnded { host: "app".to_owned(), end }));
    events.push((last_us + 1, Event::RunEnded { outcome: RunOutcome::Completed }));
    Ok(events)
}

/// One probe at one vantage.
struct Stream {
    probe: String,
    vantage: String,
    boot_id: String,
    /// Its place among all streams.
    number: u64,
    schedule: Schedule,
    chance: Chance,
    /// The begin and end of each fault, in seconds.
    faults: Vec<(i64, i64)>,
}

/// Returns the streams of all probes at all their vantages.
fn streams(plan: &Plan) -> Vec<Stream> {
    let faults: Vec<(i64, i64)> = (0..plan.attacks.len()).map(|index| fault(plan, index)).collect();
    let stream = |(place, (probe, vantage)): (usize, (&Probe, &String))| {
        let key = arrivals_key(plan.seed, RUN, &probe.name, vantage);
        let schedule = Schedule::new(0, u64::MAX, probe.rate, probe.arrivals, key)?;
        Some(Stream {
            probe: probe.name.clone(),
            vantage: vantage.clone(),
            boot_id: format!("0fade37b-930c-432f-915f-ba4fda3a69e{}", place as u64 % VANTAGES),
            number: place as u64,
            schedule,
            chance: Chance(place as u64 + 1),
            faults: faults.clone(),
        })
    };
    let all = plan.probes.iter().flat_map(|probe| probe.from.iter().map(move |from| (probe, from)));
    all.enumerate().filter_map(stream).collect()
}

impl Stream {
    /// Returns the chance that a request fails in a second: an outage of some seconds after a fault begins, noise while
    /// it lasts, a shorter outage after it ends. Most probes notice less.
    fn bad(&self, second: i64) -> f64 {
        let hit = self.number % 10 < 3;
        let of = |(from, until): &(i64, i64)| match (second - from, second - until) {
            (0..8, _) if hit => 1.0,
            (8..90, _) if hit => 0.05,
            (0.., ..0) => 0.002,
            (_, 0..2) if hit => 0.6,
            _ => 0.0,
        };
        self.faults.iter().map(of).fold(0.000_02, f64::max)
    }

    /// Returns the vantage and the bin of a second.
    fn second(&mut self, second: i64) -> (String, Bin) {
        let start_us = (second * S).unsigned_abs();
        let bad = self.bad(second);
        // The median of the latencies varies a little with the time of day.
        let median = 4_000.0 + (self.number * 90) as f64 + 200.0 * (second as f64 / 700.0).sin();
        let mut latencies = Histogram::<u64>::new(3).ok();
        let (first, mut first_us, mut ends, mut dues) =
            (self.schedule.number(), None, Vec::new(), Vec::new());
        while let Some(due) = self.schedule.peek().filter(|due| *due < start_us + S.unsigned_abs()) {
            self.schedule.take();
            first_us.get_or_insert(due - start_us);
            if self.chance.next() < bad {
                ends.push(End::Bad);
                dues.push(due - start_us);
                continue;
            }
            ends.push(End::Good);
            let us = median * (0.48 * self.chance.normal()).exp();
            let _ = latencies.as_mut().map(|all| all.record(whole(us).max(1)));
        }
        // Now and then a busy vantage starts a few requests late.
        let late = self.chance.next() < 0.03;
        let mut lateness = Histogram::<u64>::new(3).ok();
        for number in 0..ends.len() as u64 {
            let us =
                40 + whole(self.chance.next() * 300.0) + if late && number % 40 == 0 { 2_000 } else { 0 };
            let _ = lateness.as_mut().filter(|_| late).map(|all| all.record(us));
        }
        let failed = dues.len() as u64;
        let good = ends.len() as u64 - failed;
        let bin = Bin {
            seq: second.unsigned_abs() * PROBES + self.number / VANTAGES + 1,
            probe: self.probe.clone(),
            start_boot_us: start_us,
            boot_id: self.boot_id.clone(),
            length_us: S.unsigned_abs(),
            due: ends.len() as u64,
            good,
            bad: if failed > 0 { [("refused".to_owned(), failed)].into() } else { [].into() },
            slipped: 0,
            worst_slip_us: if late { 2_300 } else { 340 },
            lateness: lateness.filter(|all| !all.is_empty()).map(|all| text(&all)).unwrap_or_default(),
            requests: first_us.map(|first_us| Requests { first, first_us, outcomes: requests::pack(&ends) }),
            first_bad_us: dues.first().copied(),
            last_bad_us: dues.last().copied(),
            latency: latencies.filter(|all| !all.is_empty()).map(|all| text(&all)).unwrap_or_default(),
            phases: [("connect".to_owned(), good * 210), ("first_byte".to_owned(), good * 5_000)].into(),
        };
        (self.vantage.clone(), bin)
    }
}

/// Encodes a histogram as bins have it.
fn text(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    match V2Serializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => BASE64_STANDARD.encode(bytes),
        Err(_) => String::new(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is meant"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// A generator of random numbers (SplitMix64).
struct Chance(u64);

impl Chance {
    /// Returns a number from 0 up to, but not including, 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a normally distributed number (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (-self.next()).ln_1p()).sqrt();
        radius * (std::f64::consts::TAU * self.next()).cos()
    }
}
