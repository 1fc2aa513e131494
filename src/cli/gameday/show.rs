//! `firedrill gameday show`: shows all that is known of a game day before it begins. Asks no host.

use std::{collections::HashSet, fmt::Write as _, path::Path};

use firedrill_gameday::{Gameday, Requires, Slot, promotion::Run, record};
use firedrill_wire::hide::{HIDDEN, looks_secret, names_secret};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    held::words,
    promotion::{promoted, runs},
};
use crate::{
    alike,
    cli::{
        days::{self, Day, local},
        failure::{Result, Wrap as _},
        output::table,
        slots::{From, cells},
    },
    plan::{Inspection, Plan, model::Attack, print},
    terminal,
    verdict::Exit,
};

/// Changes of clocks (daylight saving time) are shown for this time ahead: more than a year.
const CLOCKS_AHEAD: SignedDuration = SignedDuration::from_hours(400 * 24);
/// Number of slots that are searched for the next one that is not closed.
const LOOKED_AT: usize = 2000;
/// Number of records, of all game days, that are searched for the last start.
const RECORDS: usize = 1000;

/// A game day for people.
#[derive(Serialize, Deserialize)]
pub(in crate::cli) struct Shown {
    /// Whether its files have no errors.
    ok: bool,
    /// The description of the game day; empty if its file has errors.
    text: String,
    /// The problems of its files.
    errors: String,
}

impl Shown {
    /// Reads a game day, with its next `next` slots. `colours` is whether its problems are formatted with colours.
    pub(in crate::cli) fn of(
        file: &Path,
        (from, next): (From, usize),
        reports: &Path,
        colours: bool,
    ) -> Result<Self> {
        let days = days::inspect(&[file], None, from.early());
        let Some(day) = days.first() else {
            return Ok(Self { ok: false, text: String::new(), errors: String::new() });
        };
        let mut told = HashSet::new();
        let errors = if colours { day.render(&mut told) } else { day.plain(&mut told) };
        let (ok, mut shown) = (!day.failed(), String::new());
        if let Some(gameday) = &day.gameday {
            let runs = match &gameday.requires {
                Some(_) if !reports.is_dir() => {
                    errln!("note: there is no directory {} of runs; name it by --reports", reports.display());
                    Vec::new()
                }
                Some(_) => runs(reports)?,
                None => Vec::new(),
            };
            shown = text(day, gameday, from.moment(gameday.schedule.zone()), next, &runs);
            last(&mut shown, gameday, reports)?;
        }
        Ok(Self { ok, text: shown.trim_end().to_owned(), errors })
    }

    /// Prints the description and the problems.
    pub(in crate::cli) fn print(&self) -> Exit {
        terminal::err(format_args!("{}", self.errors));
        if !self.text.is_empty() {
            outln!("{}", self.text);
        }
        if self.ok { Exit::Held } else { Exit::Usage }
    }
}

/// Runs the command.
pub(super) fn run(file: &Path, from: From, next: usize, reports: &Path) -> Result<Exit> {
    Ok(Shown::of(file, (from, next), reports, true)?.print())
}

/// Describes a game day, with its next `next` slots after `now`. `runs` are those that promotions are looked up in.
fn text(day: &Day, gameday: &Gameday, now: Timestamp, next: usize, runs: &[Run]) -> String {
    let mut out = String::new();
    let slots: Vec<Slot> = gameday.schedule.upcoming(now).take(next).collect();
    let next_held =
        gameday.schedule.upcoming(now).take(LOOKED_AT).find(|slot| gameday.why_closed(slot).is_none());
    let _ = writeln!(out, "{} ({})", gameday.name, gameday.file.display());
    let _ = writeln!(out, "  {}", gameday.schedule);
    who(&mut out, gameday);
    let _ = writeln!(out, "\nwhat, on {}", gameday.fleet.display());
    for (index, (drill, found)) in gameday.drills.iter().zip(&day.drills).enumerate() {
        let _ = writeln!(out, "  {}. {}", index + 1, drill.file.display());
        if !drill.params.is_empty() {
            let params: Vec<String> = drill.params.iter().map(|(name, value)| shown(name, value)).collect();
            let _ = writeln!(out, "     with {}", params.join(", "));
        }
        let seed = match (drill.seed, &gameday.monkey) {
            (Some(seed), _) => format!("seed {seed}"),
            (None, Some(_)) => "the seed of the slot".to_owned(),
            (None, None) => "a fresh seed for each run".to_owned(),
        };
        plan(&mut out, found, &seed);
        if let (Some(monkey), Some(plan)) = (&gameday.monkey, &found.plan) {
            let at_most = monkey.at_most.map(|budget| format!(", at most {budget}")).unwrap_or_default();
            let (drawn, total) = (monkey.attacks, plan.attacks.len());
            let _ = writeln!(out, "     each slot draws {drawn} of these {total}{at_most}");
            let _ =
                writeln!(out, "     `firedrill gameday draw {}` shows the next draw", gameday.file.display());
        }
        if let (Some(requires), Some(plan)) = (&gameday.requires, &found.plan) {
            let _ = writeln!(out, "     promotion: {}", promotion(requires, plan, next_held.as_ref(), runs));
        }
    }
    incidents(&mut out, gameday);
    let (total, longest) = (days::total(&day.drills), days::longest(&day.drills));
    let _ = writeln!(out, "  takes {total} if all settles at once, and up to {longest}");
    let _ = writeln!(out, "\nwhen");
    if slots.is_empty() {
        let _ = writeln!(out, "  no slot is left");
    } else {
        let mut rows = vec![["local time", "UTC", ""].map(str::to_owned).to_vec()];
        rows.extend(slots.iter().map(|slot| cells(gameday, slot).to_vec()));
        rows_of(&mut out, rows);
    }
    if let Some(slot) = &next_held {
        announced(&mut out, gameday, slot);
    }
    clocks(&mut out, gameday, now);
    out
}

/// Returns a parameter as `name=value`, with the value hidden if it may be a secret.
fn shown(name: &str, value: &str) -> String {
    let is_secret = names_secret(name) || looks_secret(value);
    format!("{name}={}", if is_secret { HIDDEN } else { value })
}

/// Writes the people: roles, who must agree, and the channels by which people are told.
fn who(out: &mut String, gameday: &Gameday) {
    if gameday.roles.is_empty() && gameday.go_no_go.is_none() && gameday.notify.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nwho");
    let rows: Vec<Vec<String>> =
        gameday.roles.iter().map(|(role, person)| vec![role.clone(), person.clone()]).collect();
    if !rows.is_empty() {
        rows_of(out, rows);
    }
    if let Some(go) = &gameday.go_no_go {
        let asked: Vec<String> = go
            .of
            .iter()
            .map(|role| format!("{role} ({})", gameday.roles.get(role).map_or("nobody", String::as_str)))
            .collect();
        let _ = writeln!(out, "  go or no-go: {} of {}, within {}", go.people, asked.join(", "), go.expires);
    }
    if !gameday.notify.is_empty() {
        let _ = writeln!(out, "  told: {} of {}", gameday.notify.join(", "), gameday.channels.display());
    }
}

/// Writes the newest record of a start of the game day, if there is one.
fn last(out: &mut String, gameday: &Gameday, reports: &Path) -> Result<()> {
    let records = record::all(reports, RECORDS)
        .wrap(format!("the records of game days in {} cannot be read", reports.display()))?;
    if let Some(record) = records.iter().find(|record| record.gameday == gameday.name) {
        let _ = writeln!(out, "\nlast start, {}\n  {}", record.slot, words(record).1);
    }
    Ok(())
}

/// Writes the alerts that keep the game day from being held while they fire.
fn incidents(out: &mut String, gameday: &Gameday) {
    for incident in &gameday.skip_if {
        let (alert, source, kind) = (incident.query.words(), &incident.source, incident.kind.name());
        let _ = writeln!(
            out,
            "  not held while the alert {alert} fires (source {source}, {kind}: {})",
            incident.kind.place()
        );
    }
}

/// Writes the rows as an indented table.
fn rows_of(out: &mut String, rows: Vec<Vec<String>>) {
    table(rows).lines().for_each(|line| _ = writeln!(out, " {line}"));
}

/// Writes the summary of a scenario's plan; `seed` describes the seed with which it is run.
fn plan(out: &mut String, found: &Inspection, seed: &str) {
    match &found.plan {
        Some(plan) => {
            let _ = writeln!(out, "     {}: {}", plan.name, plan.hypothesis);
            let irreversible = plan.attacks.iter().any(Attack::is_irreversible);
            let last = if irreversible { "; some of it cannot be undone" } else { "" };
            let attacks = plan.attacks.len();
            let s = crate::diagnostic::plural(attacks);
            let _ = writeln!(
                out,
                "     {attacks} attack{s}, {} if all settles at once, {seed}{last}",
                print::total(plan)
            );
            let hosts: Vec<&String> = found.may_touch.iter().collect();
            let _ = writeln!(
                out,
                "     may touch {} of {} hosts: {}",
                hosts.len(),
                plan.hosts.len(),
                alike::uncounted(&hosts)
            );
        }
        None => {
            let _ = writeln!(out, "     it has errors, which are shown above");
        }
    }
}

/// Describes whether a scenario's promotion holds at the next slot that is held.
fn promotion(requires: &Requires, plan: &Plan, slot: Option<&Slot>, runs: &[Run]) -> String {
    let Some(slot) = slot else {
        return format!("not looked up, because none of the next {LOOKED_AT} slots is held");
    };
    promoted(requires, plan, slot.starts().timestamp(), runs).1
}

/// Writes the times at which a slot is announced.
fn announced(out: &mut String, gameday: &Gameday, slot: &Slot) {
    if gameday.announce.is_empty() {
        return;
    }
    let starts = slot.starts();
    let times: Vec<String> = gameday
        .announce
        .iter()
        .filter_map(|before| {
            let at = starts.checked_sub(days::signed(*before)).ok()?;
            Some(format!("{} ({before} before)", local(&at)))
        })
        .collect();
    let _ = writeln!(out, "  announced before the slot of {}: {}", local(&starts), times.join(", "));
}

/// Writes the slots within [`CLOCKS_AHEAD`] that a change of clocks moves.
fn clocks(out: &mut String, gameday: &Gameday, now: Timestamp) {
    let until = now.checked_add(CLOCKS_AHEAD).unwrap_or(now);
    let changed = gameday.schedule.changed(now, until);
    let notes: Vec<String> = changed.into_iter().filter_map(|slot| slot.note).collect();
    if !notes.is_empty() {
        let _ = writeln!(out, "\nchanges of clocks");
        notes.iter().for_each(|note| _ = writeln!(out, "  {note}"));
    }
}
