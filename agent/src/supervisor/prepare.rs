//! `prepare`: returns the effects that faults would have. Never changes the host; takes the run's snapshot the first time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering::Relaxed,
};

use firedrill_approval::Opened;
use firedrill_wire::{
    InjectionId, RefusalCode, RunId, Span,
    api::{Prepare, PrepareAnswer, PrepareOne, Prepared as Answer, PreparedOne, Problem},
};
use ring::digest::{Context, SHA256};

use super::{
    core::Core,
    permit::check_accepts_harm,
    snapshots,
    state::{ASKS_MOST_BYTES, Asked, SupervisorState, plan_key},
};
use crate::{
    control::Caller,
    injection::{Ask, Inject, Prepared, refuse},
    mutex::lock,
    policy::{Act, Approved},
};

/// Returns a fault's basis, claims and undo as a short text that changes when one of them does.
pub(super) fn fingerprint(prepared: &Prepared) -> String {
    let mut hash = Context::new(&SHA256);
    let undo = serde_json::to_vec(&prepared.undo).unwrap_or_default();
    let claims = serde_json::to_vec(&prepared.claims).unwrap_or_default();
    for part in [prepared.basis.text().as_bytes(), &claims, &undo] {
        hash.update(&part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Core {
    /// Prepares the faults of a run, and remembers those that may be armed.
    ///
    /// # Errors
    /// The refusal of the whole call. A fault that is refused by itself has its refusal in the answer.
    pub(super) fn prepare(
        &self,
        (caller, approvals): (&Caller, &[Result<Opened, String>]),
        run: &RunId,
        ask: &Prepare,
    ) -> Result<PrepareAnswer, Problem> {
        check_may_start(&lock(&self.state), run)?;
        self.check_owner(run, caller)?;
        self.room_for(run, ask)?;
        let mut asks = Vec::new();
        let mut answers = Vec::new();
        for one in &ask.injections {
            let answer = match self.prepare_one(caller, ask.environment.as_deref(), one) {
                Ok(prepared) => {
                    let fingerprint = fingerprint(&prepared);
                    let (approved, wants, lacks) = self.approved((caller, run), one, approvals)?;
                    let fault = one.fault.clone();
                    let asked = Asked {
                        fault,
                        fingerprint: fingerprint.clone(),
                        hold: one.hold,
                        approved,
                        asked_boot_us: self.now(),
                    };
                    asks.push((one.id.clone(), asked));
                    let Prepared { claims, effects, undo, switches, notes, basis: _ } = prepared;
                    Answer::Ready {
                        claims,
                        effects,
                        undo: undo.iter().rev().map(crate::undo::Undo::sentence).collect(),
                        switches,
                        notes,
                        wants,
                        lacks,
                        fingerprint,
                    }
                }
                Err(problem) => Answer::Refused(problem),
            };
            answers.push(PreparedOne { id: one.id.clone(), answer });
        }
        self.keep(caller, run, ask, asks)?;
        Ok(PrepareAnswer { clock: self.clock(), injections: answers })
    }

    /// Returns the people who have approved a fault, the number of approvals that the rules want, and a sentence on those that are missing.
    fn approved(
        &self,
        by: (&Caller, &RunId),
        one: &PrepareOne,
        approvals: &[Result<Opened, String>],
    ) -> Result<(Approved, u32, Option<String>), Problem> {
        let rules = self.live.rules()?;
        // While a new configuration replaces an old one: the environment that both have, or none if they differ.
        let environments = rules.iter().map(|rules| rules.environment.as_deref());
        let environment = environments.reduce(|old, new| old.filter(|_| old == new)).flatten();
        let approved = Approved::of((&self.host.name, environment), by, one, approvals);
        let kind = one.fault.kind();
        let wants = rules.iter().map(|rules| rules.policy.wants_approval(kind)).max().unwrap_or(0);
        let lacks = rules.iter().find_map(|rules| rules.policy.lacks_approval(kind, &approved));
        Ok((approved, wants, lacks))
    }

    /// Remembers the faults that may be armed. An unknown run without faults is not remembered: a call without faults needs no
    /// permission, and the run would displace other runs from memory.
    fn keep(
        &self,
        caller: &Caller,
        run: &RunId,
        ask: &Prepare,
        asks: Vec<(InjectionId, Asked)>,
    ) -> Result<(), Problem> {
        // The snapshot is taken after the faults were prepared, because that may load kernel modules, some of which create interfaces.
        // No fault has touched anything yet.
        if ask.only_look {
            let look = || self.wiring.snapshot.take(&self.host).map(drop).map_err(|why| no_snapshot(&why));
            return if asks.is_empty() { Ok(()) } else { look() };
        }
        if asks.is_empty() {
            if let Some(known) = lock(&self.state).runs.get_mut(run) {
                known.heard_boot_us = self.now();
            }
            return Ok(());
        }
        let began_boot_us = self.snapshot(run)?;
        let measured = self.measured();
        let mut state = lock(&self.state);
        let known = state.claim(run, caller)?;
        known.plan = plan_key(&ask.plan_digest);
        known.environment = ask.environment.as_deref().map(Into::into);
        known.heard_boot_us = self.now();
        known.began_boot_us = known.began_boot_us.or(began_boot_us);
        known.add_participant(caller);
        known.remember(asks);
        state.prune(&measured, self.now());
        let kept = state.keep_asks(run, ask.injections.iter().map(|one| &one.id), &measured);
        drop(state);
        self.stirred_boot_us.store(self.now(), Relaxed);
        kept.map_err(|bytes| {
            refuse(
                RefusalCode::TooLarge,
                format!(
                    "what is asked of this host would take {} MiB of its memory, with other runs; an agent takes {} MiB",
                    bytes.div_ceil(1 << 20),
                    ASKS_MOST_BYTES >> 20
                ),
                "name networks, such as 10.0.0.0/8, in place of hosts, or put some of the faults into another run",
            )
        })
    }

    /// Checks that a run does not get more injections than the maximum, before any of them is prepared.
    fn room_for(&self, run: &RunId, ask: &Prepare) -> Result<(), Problem> {
        let mut ids: BTreeSet<_> = ask.injections.iter().map(|one| &one.id).collect();
        let state = lock(&self.state);
        let known = state.runs.get(run).map(|known| &known.asks);
        let before = known.map_or(0, BTreeMap::len);
        ids.retain(|id| !known.is_some_and(|known| known.contains_key(*id)));
        let total = before + ids.len();
        if total <= Prepare::MOST_OF_RUN {
            return Ok(());
        }
        Err(refuse(
            RefusalCode::TooMany,
            format!(
                "{total} faults of run {run} on this host; an agent takes {} of one run",
                Prepare::MOST_OF_RUN
            ),
            "put some of them into another run",
        ))
    }

    /// Prepares one fault, if it is valid and allowed.
    fn prepare_one(
        &self,
        caller: &Caller,
        environment: Option<&str>,
        one: &PrepareOne,
    ) -> Result<Prepared, Problem> {
        let ask = Ask { id: one.id.clone(), fault: one.fault.clone(), hold: one.hold };
        self.allowed(caller, environment, &ask, self.wall_us())?;
        let kind = self.kind(&ask)?;
        // Parameters are checked only here: an armed injection has the fault of its preparation.
        if let Some(invalid) = ask.fault.invalid() {
            let title = format!("{}: {}", ask.fault.kind(), invalid.what);
            return Err(refuse(invalid.code, title, invalid.help));
        }
        let prepared = kind.prepare(&self.host, &ask)?;
        self.allowed_claims(caller, environment, &ask, &prepared.claims)?;
        Ok(prepared)
    }

    /// Returns the code of a fault's kind.
    pub(super) fn kind<'a>(&self, ask: &'a Ask) -> Result<&'a dyn Inject, Problem> {
        (self.wiring.kinds)(&ask.fault).ok_or_else(|| {
            refuse(
                RefusalCode::NoSuchKind,
                format!("this agent ({}) has no {}", env!("CARGO_PKG_VERSION"), ask.fault.kind()),
                "upgrade the agent, or leave this host out",
            )
        })
    }

    /// Checks that all rules allow a fault that starts at `wall_us` (microseconds since 1970 UTC).
    pub(super) fn allowed(
        &self,
        caller: &Caller,
        environment: Option<&str>,
        ask: &Ask,
        wall_us: u64,
    ) -> Result<(), Problem> {
        if ask.hold == Span::ZERO {
            return Err(refuse(
                RefusalCode::BadHold,
                format!("{}: a hold of no time at all", ask.id),
                "hold for at least some milliseconds",
            ));
        }
        let act = Act::Fault { fault: &ask.fault, hold: ask.hold };
        self.may(&self.live.rules()?, caller, environment, act, wall_us)
    }

    /// Checks that all rules allow a lease of that length.
    pub(super) fn check_lease(&self, lease: Span) -> Result<(), Problem> {
        let rules = self.live.rules()?;
        rules.iter().try_for_each(|rules| rules.policy.check_lease(lease, self.policy_file()))
    }

    /// Takes the run's snapshot. Returns the time at which that began (CLOCK_BOOTTIME, microseconds); `None` if a snapshot exists already.
    fn snapshot(&self, run: &RunId) -> Result<Option<u64>, Problem> {
        let state = &self.config.paths.state;
        // Under a lock, so that two calls at the same time do not both take it.
        let _order = lock(&self.files);
        if snapshots::load(state, run).ok().flatten().is_some() {
            return Ok(None);
        }
        let began_boot_us = self.now();
        let taken = self.wiring.snapshot.take(&self.host).map_err(|why| no_snapshot(&why))?;
        let needed = self.measured().into_iter().chain(lock(&self.state).needed()).collect();
        snapshots::save(state, run, &taken, &needed)
            .map(|()| Some(began_boot_us))
            .map_err(|error| no_snapshot(&format!("cannot write to {}: {error}", state.display())))
    }
}

/// Returns the refusal for a snapshot that could not be taken or written.
fn no_snapshot(why: &str) -> Problem {
    refuse(
        RefusalCode::NoSnapshot,
        format!("the host's state before the run could not be kept: {why}"),
        "without it nobody could prove that everything was put back; see to that first",
    )
}

/// Refuses a run of which nothing may start: the agent is being stopped, the host is halted, or the run was undone or has ended.
pub(super) fn check_may_start(state: &SupervisorState, run: &RunId) -> Result<(), Problem> {
    check_accepts_harm(state)?;
    if let Some(name) = state.runs.get(run).and_then(|run| run.distrusted.as_deref()) {
        return Err(distrusted(run, name));
    }
    if state.tombstones.bars_run(run) {
        return Err(refuse(
            RefusalCode::Tombstone,
            format!("run {run} was undone on this host"),
            "start another run",
        ));
    }
    if state.runs.get(run).is_some_and(|run| run.over) {
        return Err(lease_over(run));
    }
    Ok(())
}

/// Returns the refusal of a run that was not prepared.
pub(super) fn unknown_run(run: &RunId) -> Problem {
    refuse(RefusalCode::UnknownRun, format!("run {run} was not prepared here"), "prepare it first")
}

/// Returns the refusal of a run whose lease is over.
pub(super) fn lease_over(run: &RunId) -> Problem {
    refuse(
        RefusalCode::LeaseOver,
        format!("run {run} was not heard from for as long as its lease, and was put back"),
        "start another run",
    )
}

/// Returns the refusal of a run that was ended because the certificate of `name` is no longer trusted.
pub(super) fn distrusted(run: &RunId, name: &str) -> Problem {
    refuse(
        RefusalCode::Distrusted,
        format!("run {run} was put back, because the certificate of {name} is not trusted any more"),
        "start another run, with another certificate",
    )
}
