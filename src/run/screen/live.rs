//! The live view: events scroll by above a few lines that stay — phase and time left, each probe's rate of success and
//! p99, and what is in force.

use std::collections::BTreeMap;

use firedrill_wire::{Span, journal::What};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Observer,
    frail::{Frail, width},
    plain::line,
    sentence,
};
use crate::{
    log::{Event, Record},
    plan::Plan,
    score::window::Window,
};

/// The live view on a terminal.
pub struct Live {
    plan: Option<Plan>,
    all: MultiProgress,
    phase: ProgressBar,
    probes: Vec<(String, ProgressBar)>,
    force: ProgressBar,
    /// Name, start and end of the phase.
    now: Option<(String, i64, i64)>,
    /// Injections in force.
    active: BTreeMap<String, String>,
}

/// Time over which rates are computed.
const OVER: Span = Span::secs(3);

impl Default for Live {
    fn default() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(
            Box::new(Frail::default()),
            8,
        ));
        let phase = all.add(bar("{prefix:.bold} {wide_bar:.yellow/dim} {msg}"));
        let force = all.add(bar("{msg}"));
        Self { plan: None, all, phase, probes: Vec::new(), force, now: None, active: BTreeMap::new() }
    }
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style.progress_chars("━╸─"))
}

/// Shortens a text to one line.
fn fit(text: String) -> String {
    let room = usize::from(width()).saturating_sub(3);
    if text.chars().count() <= room {
        return text;
    }
    text.chars().take(room).chain(['…']).collect()
}

impl Live {
    fn begin(&mut self, plan: &Plan) {
        for probe in &plan.probes {
            let bar = self.all.insert_before(&self.force, bar("  {msg}"));
            self.probes.push((probe.name.clone(), bar));
        }
        self.plan = Some(plan.clone());
    }

    /// Returns the place of the run for its first line: an attack, and what goes on.
    fn stage(&self, attack: usize, word: &str) -> String {
        let attacks = self.plan.as_ref().map_or(&[][..], |plan| &plan.attacks);
        let name = attacks.get(attack).map_or("", |one| one.name.as_str());
        format!("{}/{} {name} · {word}", attack + 1, attacks.len())
    }

    fn notice(&mut self, record: &Record) {
        match &record.event {
            Event::RunStarted { plan, .. } => self.begin(plan),
            Event::Phase { attack, phase, until_us } => {
                let word = format!("{phase:?}").to_lowercase();
                self.now = Some((self.stage(*attack, &word), record.at_us, *until_us));
            }
            Event::Paused { attack, by, until_us, .. } => {
                let word = format!("paused by {by}");
                self.now = Some((self.stage(*attack, &word), record.at_us, *until_us));
            }
            Event::StepBegan { step, until_us, .. } | Event::PutBackAsked { step, until_us, .. } => {
                let steps = self.plan.as_ref().map_or(&[][..], |plan| &plan.steps);
                let name = steps.get(*step).map_or("", |one| one.name.as_str());
                let asks = matches!(record.event, Event::PutBackAsked { .. });
                let word = if asks { "to be put back by hand" } else { "step" };
                self.now = Some((format!("{name} · {word}"), record.at_us, *until_us));
            }
            Event::Armed { injection, host, kind, .. } => {
                self.active.insert(injection.to_string(), format!("{kind} on {host} (armed)"));
            }
            Event::Agent { what, .. } => {
                if let What::Changed { injection, to, .. } = &what.what {
                    use firedrill_wire::journal::State;
                    match to {
                        State::InForce | State::Stuck => {
                            if let Some(text) = self.active.get_mut(injection.as_str()) {
                                let mark = if *to == State::Stuck { " (STUCK)" } else { "" };
                                *text = text.replace(" (armed)", mark);
                            }
                        }
                        State::Undone | State::Done | State::Disarmed => {
                            self.active.remove(injection.as_str());
                        }
                        State::Armed | State::Injecting | State::Undoing => {}
                    }
                }
            }
            _ => {}
        }
    }
}

impl Observer for Live {
    fn record(&mut self, record: &Record) {
        self.notice(record);
        if let Some((tone, text)) = sentence(self.plan.as_ref(), record) {
            let text = line(record.at_us, tone, &text);
            self.all.suspend(|| errln!("{text}"));
        }
    }

    fn tick(&mut self, now_us: i64, window: &Window) {
        if let Some((name, from, until)) = &self.now {
            let whole = u64::try_from(until - from).unwrap_or(1).max(1);
            let gone = u64::try_from(now_us - from).unwrap_or(0).min(whole);
            self.phase.set_length(whole);
            self.phase.set_position(gone);
            self.phase.set_prefix(name.clone());
            self.phase.set_message(format!("{} s left", (whole - gone).div_ceil(1_000_000)));
        }
        for (name, bar) in &self.probes {
            let share = window.good_share(name, OVER, now_us);
            let p99 = window.latency(name, 0.99, OVER, now_us);
            bar.set_message(fit(match (share, p99) {
                (None, _) => format!("{name:<16} no measurement"),
                (Some((share, _)), Some(Some(p99))) => {
                    format!(
                        "{name:<16} {:>6.2}% good   p99 {}.{} ms",
                        share * 100.0,
                        p99 / 1000,
                        p99 % 1000 / 100
                    )
                }
                (Some((share, _)), _) => format!("{name:<16} {:>6.2}% good   p99 no answer", share * 100.0),
            }));
        }
        let force: Vec<&str> = self.active.values().map(String::as_str).collect();
        let text = if force.is_empty() {
            "nothing in force".to_owned()
        } else {
            format!("in force: {}", force.join(", "))
        };
        self.force.set_message(fit(text));
    }

    fn say(&mut self, text: &str) {
        self.all.suspend(|| errln!("{text}"));
    }

    fn close(&mut self) {
        let _ = self.all.clear();
    }
}
