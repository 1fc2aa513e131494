//! The live view: records scroll by above a few lines that stay. These lines show the phase and the time left, each probe's share of good
//! requests and p99, and the injections in force.

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
    /// All lines that stay.
    lines: MultiProgress,
    /// The line of the phase.
    phase: ProgressBar,
    /// The lines of the probes, by name.
    probes: Vec<(String, ProgressBar)>,
    /// The line of the injections in force.
    force: ProgressBar,
    /// Name, start and end of the current phase, in microseconds on the run's clock.
    now: Option<(String, i64, i64)>,
    /// The injections that are armed or in force, by id, each with its text.
    active: BTreeMap<String, String>,
}

/// Time over which the figures of probes are computed.
const OVER: Span = Span::secs(3);

impl Default for Live {
    fn default() -> Self {
        // Drawn at most eight times a second.
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(
            Box::new(Frail::default()),
            8,
        ));
        let phase = lines.add(bar("{prefix:.bold} {wide_bar:.yellow/dim} {msg}"));
        let force = lines.add(bar("{msg}"));
        Self { plan: None, lines, phase, probes: Vec::new(), force, now: None, active: BTreeMap::new() }
    }
}

/// Makes a line of this form.
fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1).with_style(style.progress_chars("━╸─"))
}

/// Shortens a text to the width of the terminal.
fn fit(text: String) -> String {
    let room = usize::from(width()).saturating_sub(3);
    if text.chars().count() <= room {
        return text;
    }
    text.chars().take(room).chain(['…']).collect()
}

impl Live {
    /// Adds the lines of the plan's probes.
    fn begin(&mut self, plan: &Plan) {
        for probe in &plan.probes {
            let bar = self.lines.insert_before(&self.force, bar("  {msg}"));
            self.probes.push((probe.name.clone(), bar));
        }
        self.plan = Some(plan.clone());
    }

    /// Returns the text of the first line: the attack with its number, and a word for the phase.
    fn stage(&self, attack: usize, word: &str) -> String {
        let attacks = self.plan.as_ref().map_or(&[][..], |plan| &plan.attacks);
        let name = attacks.get(attack).map_or("", |attack| attack.name.as_str());
        format!("{}/{} {name} · {word}", attack + 1, attacks.len())
    }

    /// Updates the state that the lines show.
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
                let name = steps.get(*step).map_or("", |step| step.name.as_str());
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
            self.lines.suspend(|| errln!("{text}"));
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
        self.lines.suspend(|| errln!("{text}"));
    }

    fn close(&mut self) {
        let _ = self.lines.clear();
    }
}
