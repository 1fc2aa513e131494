//! The host's policy: the acts that are allowed on this host, and the callers who may do them. It overrides every scenario.
//!
//! Never reads a clock or opens a file. Decides about faults, probes, exchanges of packets, logs and the release of a
//! halt. Undoing and looking are always allowed.

mod act;
mod approval;
mod approved;
mod blackout;
mod environment;
pub(crate) mod listed;
mod match_rule;
mod named;
mod question;
mod rule;

use std::path::Path;

use firedrill_wire::{
    InjectionId, RefusalCode, Span, Touches,
    api::{Claim, Problem, StartProbes},
    logs::{LINES_MOST, LogSpec, StartLogs},
    pattern::like,
};
use serde::Deserialize;

pub(crate) use self::approval::Approved;
pub use self::{act::Act, approval::Approval, blackout::Blackout, question::Question, rule::Rule};

use crate::injection::refuse;

/// The longest path of a log, in bytes. The kernel accepts no longer paths.
const PATH_MOST: usize = 4096;
/// The shortest allowed `max_lease`: shorter leases would end between two renewals of a coordinator.
const LEASE_LEAST: Span = Span::secs(2);
/// A fault may always be armed this long before its start, however short the policy's holds are.
const AHEAD: Span = Span::secs(3600);

/// A host's policy.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Maximum length of a hold.
    pub max_hold: Span,
    /// Maximum length of a lease, and so of the time for which a fault outlives a dead coordinator.
    pub max_lease: Span,
    /// Maximum number of injections that are open at a time.
    pub max_faults: usize,
    /// Services that no fault on services or processes may touch; `*` matches any text.
    pub protected_services: Vec<String>,
    /// Maximum time for which probes run, up to [`StartProbes::LONGEST`].
    pub max_probe_time: Span,
    /// Maximum number of requests per second of all probes on this host together.
    pub max_probe_rate: u32,
    /// Logs that may be read: files by whole path, and units as `unit:NAME.service`; `*` matches any text. Without entries no log
    /// is read.
    pub logs: Vec<String>,
    /// Times in which nothing is injected.
    pub blackout: Vec<Blackout>,
    /// The rule about the people who must approve a fault before it is armed; `None` if nobody must.
    pub approval: Option<Approval>,
    /// Rules that allow acts; one rule must match. Without rules every operator may use every kind that runs no program and
    /// changes no file.
    pub allow: Vec<Rule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_hold: Span::secs(3600),
            max_lease: Span::secs(3600),
            max_faults: 16,
            protected_services: Vec::new(),
            max_probe_time: StartProbes::LONGEST,
            max_probe_rate: 20_000,
            logs: Vec::new(),
            blackout: Vec::new(),
            approval: None,
            allow: Vec::new(),
        }
    }
}

impl Policy {
    /// Checks the policy's values.
    ///
    /// # Errors
    /// Names the invalid value and its valid range.
    pub fn validate(&self) -> Result<(), String> {
        if self.max_lease < LEASE_LEAST {
            return Err(format!(
                "policy.max_lease = \"{}\" would refuse every run; {LEASE_LEAST} at least",
                self.max_lease
            ));
        }
        if self.max_probe_time > StartProbes::LONGEST {
            return Err(format!(
                "policy.max_probe_time = \"{}\" is more than the most, {}",
                self.max_probe_time,
                StartProbes::LONGEST
            ));
        }
        self.blackout.iter().try_for_each(Blackout::validate)?;
        self.approval.iter().try_for_each(Approval::validate)?;
        self.logs.iter().try_for_each(|entry| listed::check(entry))?;
        self.allow.iter().try_for_each(Rule::validate)
    }

    /// Decides about an act; `file` is the policy's file, for messages.
    ///
    /// # Errors
    /// The refusal, with the rule and the file.
    pub fn check(&self, ask: &Question<'_>, file: &Path) -> Result<(), Problem> {
        let kind = ask.act.kind();
        let no = |rule: String, why: String| Err(refusal(file, &rule, format!("{kind}: {why}")));
        if !ask.caller.may_harm {
            return Err(refuse(
                RefusalCode::NotAllowed,
                format!("{} may look and heal, not harm", ask.caller.name),
                "use a certificate with the role operator",
            ));
        }
        environment::check(ask, file)?;
        let touches = ask.act.touches();
        if let Act::Fault { fault, hold } = ask.act {
            if hold > self.max_hold {
                return no(
                    "policy.max_hold".into(),
                    format!("holds for {hold}, at most {} is allowed", self.max_hold),
                );
            }
            for blackout in &self.blackout {
                // The hold begins when the effect is complete, at the latest after the ramp.
                if blackout.meets(ask.wall_us, fault.ramp(hold) + hold) {
                    return no(
                        format!("policy.blackout \"{}\"", blackout.name),
                        format!("nothing is injected {}", blackout.sentence()),
                    );
                }
            }
            for service in &touches.services {
                if let Some(name) = self.protected(service) {
                    return no(
                        format!("policy.protected_services \"{name}\""),
                        format!("{service} is protected"),
                    );
                }
            }
        }
        // The rules come before the list of logs: a caller whom no rule allows must not learn which logs are listed.
        self.by_rules(ask, &touches, file)?;
        match ask.act {
            Act::Log(log) => self.check_log(log, file),
            _ => Ok(()),
        }
    }

    /// Returns the user as whom the program of a probe runs; `None` for a probe without one. [`Self::check`] has allowed the probe.
    ///
    /// # Errors
    /// No rule that allows it names a user.
    pub fn run_as(&self, ask: &Question<'_>, file: &Path) -> Result<Option<&str>, Problem> {
        let touches = ask.act.touches();
        if touches.runs.is_empty() {
            return Ok(None);
        }
        let allowing = || self.allow.iter().filter(|rule| rule.allows(ask, &touches).is_ok());
        if let Some(user) = allowing().find_map(|rule| rule.run_as.as_deref()) {
            return Ok(Some(user));
        }
        let rule = allowing().next().map_or("", |rule| rule.name.as_str());
        Err(refuse(
            RefusalCode::NotAllowed,
            format!(
                "{}: policy.allow \"{rule}\" names the program, and no user as whom it runs",
                ask.act.kind()
            ),
            format!("run_as = \"nobody\" in this rule of {} would do", file.display()),
        ))
    }

    /// Checks that a log is listed.
    fn check_log(&self, log: &LogSpec, file: &Path) -> Result<(), Problem> {
        if listed::entry_of(&self.logs, &log.file).is_some() {
            return Ok(());
        }
        let title = match self.logs.as_slice() {
            [] => format!("logs: this host lets nobody read a log, so {} is not read", log.file),
            listed => {
                format!("logs: {} is not listed; this host lets {} be read", log.file, listed.join(", "))
            }
        };
        let hint = format!("logs = [{:?}] under [policy] in {} would allow it", log.file, file.display());
        Err(refuse(RefusalCode::NotAllowed, title, hint))
    }

    /// Checks the number of logs and their time.
    ///
    /// # Errors
    /// The refusal, with the bound.
    pub fn check_logs(&self, start: &StartLogs, file: &Path) -> Result<(), Problem> {
        let count = start.logs.len();
        if !(1..=StartLogs::MOST).contains(&count) {
            let title =
                format!("the run asks for {count} logs; 1 to {} are allowed for one run", StartLogs::MOST);
            return Err(refuse(
                RefusalCode::BadLog,
                title,
                "name one log with a wider pattern, or leave some out",
            ));
        }
        for (at, log) in start.logs.iter().enumerate() {
            let wrong = if start.logs[..at].iter().any(|other| other.name == log.name) {
                "another log of the run has that name".to_owned()
            } else if log.lines > LINES_MOST {
                format!("it asks for {} lines of each second; at most {LINES_MOST} are kept", log.lines)
            } else if log.file.len() > PATH_MOST {
                format!("its name has {} bytes; at most {PATH_MOST} are read", log.file.len())
            } else {
                continue;
            };
            let title = format!("cannot read the log {}: {wrong}", log.name);
            return Err(refuse(RefusalCode::BadLog, title, "correct the log in the scenario"));
        }
        self.check_time("logs are read", start.at_most, file)
    }

    /// Checks that a rule allows the act for this caller, with everything in `touches`.
    fn by_rules(&self, ask: &Question<'_>, touches: &Touches, file: &Path) -> Result<(), Problem> {
        let kind = ask.act.kind();
        if self.allow.is_empty() {
            if !named::needs_naming(touches) {
                return Ok(());
            }
            return Err(refuse(
                RefusalCode::NotAllowed,
                format!(
                    "{kind}: it runs programs or changes files, which a rule must name, and there is no rule"
                ),
                format!(
                    "[[policy.allow]] with {} in {} would allow it",
                    named::clause(touches, matches!(ask.act, Act::Probe(_))),
                    file.display()
                ),
            ));
        }
        let mut nearest: Option<(usize, String)> = None;
        for rule in &self.allow {
            match rule.allows(ask, touches) {
                Ok(()) => return Ok(()),
                Err((met, why)) => {
                    if nearest.as_ref().is_none_or(|(most, _)| met > *most) {
                        nearest = Some((met, format!("policy.allow \"{}\" is nearest and {why}", rule.name)));
                    }
                }
            }
        }
        let rule = nearest.map_or_else(|| "policy.allow".to_owned(), |(_, text)| text);
        Err(refusal(file, &rule, format!("{kind}: no rule lets {} do this", ask.caller.name)))
    }

    /// Checks the length of a lease.
    ///
    /// # Errors
    /// The refusal, with the bound.
    pub fn check_lease(&self, lease: Span, file: &Path) -> Result<(), Problem> {
        if lease <= self.max_lease {
            return Ok(());
        }
        Err(refuse(
            RefusalCode::NotAllowed,
            format!("a lease of {lease} is too long, at most {} is allowed", self.max_lease),
            format!("policy.max_lease in {} says so; give the scenario a shorter `lease`", file.display()),
        ))
    }

    /// Checks the number of probes and their time.
    ///
    /// # Errors
    /// The refusal, with the bound.
    pub fn check_probing(&self, start: &StartProbes, file: &Path) -> Result<(), Problem> {
        // Without a probe no rule would be asked, and yet the caller would become the owner of the run.
        if start.probes.is_empty() {
            let hint = "name at least one; to stop those that run, delete them";
            return Err(refuse(RefusalCode::BadProbes, "no probe is to be started".to_owned(), hint));
        }
        if start.probes.len() > StartProbes::MOST {
            return Err(refuse(
                RefusalCode::BadProbes,
                format!(
                    "{} probes at once; at most {} run for one run",
                    start.probes.len(),
                    StartProbes::MOST
                ),
                "leave some out, or measure from several hosts",
            ));
        }
        self.check_time("probes", start.at_most, file)
    }

    /// Checks the time for which something is measured. `what` names it in the refusal.
    fn check_time(&self, what: &str, at_most: Span, file: &Path) -> Result<(), Problem> {
        if at_most <= self.max_probe_time {
            return Ok(());
        }
        Err(refuse(
            RefusalCode::NotAllowed,
            format!("{what} for {at_most} at most; {} is allowed", self.max_probe_time),
            format!("policy.max_probe_time in {} says so; make the drill shorter", file.display()),
        ))
    }

    /// Checks the time from arming a fault to its start. It may be longer than any hold, because all parts of a long
    /// attack are armed together with the first.
    ///
    /// # Errors
    /// The refusal, with the bound.
    pub fn check_ahead(&self, id: &InjectionId, ahead: Span, file: &Path) -> Result<(), Problem> {
        let most = self.max_hold.max(AHEAD);
        if ahead <= most {
            return Ok(());
        }
        Err(refuse(
            RefusalCode::TooEarly,
            format!("{id} would start in {ahead}; a fault is armed at most {most} before its start"),
            format!(
                "arm it later; the bound is {AHEAD}, or policy.max_hold in {} where that is longer",
                file.display()
            ),
        ))
    }

    /// Checks the number of faults that are open at a time.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_count(&self, open: usize, file: &Path) -> Result<(), Problem> {
        if open <= self.max_faults {
            return Ok(());
        }
        Err(refuse(
            RefusalCode::NotAllowed,
            format!("{open} injections would be open on this host, at most {} are allowed", self.max_faults),
            format!("policy.max_faults in {} says so; wait for others to end", file.display()),
        ))
    }

    /// Checks the claims of a prepared fault: they may not have a protected service, and a rule must allow the
    /// services that the fault itself does not name, such as those that a service manager stops together with the named one.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_claims(&self, ask: &Question<'_>, claims: &[Claim], file: &Path) -> Result<(), Problem> {
        let services = || claims.iter().filter_map(|claim| Some((claim, service_of(claim)?)));
        if let Some((claim, rule)) = services().find_map(|(claim, name)| Some((claim, self.protected(name)?)))
        {
            return Err(refuse(
                RefusalCode::NotAllowed,
                format!("{} is protected on this host", claim.what),
                format!("policy.protected_services \"{rule}\" in {} says so", file.display()),
            ));
        }
        let mut touches = ask.act.touches();
        let is_named = |name: &str| touches.services.iter().any(|known| named::same_service(known, name));
        let unnamed: Vec<String> =
            services().map(|(_, name)| name.to_owned()).filter(|name| !is_named(name)).collect();
        if unnamed.is_empty() {
            return Ok(());
        }
        touches.services.extend(unnamed);
        self.by_rules(ask, &touches, file)
    }

    /// Returns the refusal of a fault on a process of a service; `None` if the service is not protected.
    pub(crate) fn refuse_protected(&self, service: &str, file: &Path) -> Option<Problem> {
        let rule = self.protected(service)?;
        Some(refuse(
            RefusalCode::NotAllowed,
            format!("a process that is meant belongs to {service}, which is protected on this host"),
            format!(
                "policy.protected_services \"{rule}\" in {} says so; make the match narrower",
                file.display()
            ),
        ))
    }

    /// Returns the entry that protects a service, if any.
    pub(crate) fn protected(&self, service: &str) -> Option<&String> {
        let names = [service, named::last(service)].map(named::bare);
        self.protected_services.iter().find(|entry| names.iter().any(|name| like(named::bare(entry), name)))
    }
}

/// Returns the name of the service in a claim; `None` if the claim is on something else.
fn service_of(claim: &Claim) -> Option<&str> {
    let (class, name) = claim.what.split_once(':')?;
    matches!(class, "unit" | "service").then_some(name)
}

/// Makes a refusal for the reason `why`, by a rule in the policy's file.
fn refusal(file: &Path, rule: &str, why: String) -> Problem {
    let hint = format!("{rule} in {} says so; ask who keeps this host's policy", file.display());
    refuse(RefusalCode::NotAllowed, why, hint)
}

#[cfg(test)]
mod tests;
