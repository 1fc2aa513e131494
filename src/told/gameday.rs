//! Makes and sends messages about game days. Decides nothing about them.

use std::sync::OnceLock;

use firedrill_gameday::{Gameday, Slot, record::Event};
use firedrill_notify::{Begun, Message, What};
use firedrill_wire::Span;

use super::Teller;
use crate::verdict::Exit;

/// Sends the messages about one start of a game day.
#[derive(Debug)]
pub struct GamedayTold {
    teller: Teller,
    /// The message that the game day has started; empty until it was sent.
    started: OnceLock<Message>,
}

/// Returns a message about a slot or about a start by hand. `slot` is the slot's text in both cases.
fn message(gameday: &Gameday, slot: &str, what: What, title: &str) -> Message {
    let id = format!("gameday/{}/{slot}/{}", gameday.name, if what.is_end() { "ended" } else { what.word() });
    let mut message = Message::new(id, what, format!("Firedrill: game day {} {title}", gameday.name));
    message.gameday = Some(gameday.name.clone());
    message.slot = Some(slot.to_owned());
    message
}

/// Returns the names of the game day's scenario files, for people.
fn scenarios(gameday: &Gameday) -> String {
    let files = gameday.drills.iter().map(|drill| drill.file.display().to_string());
    files.collect::<Vec<_>>().join(", ")
}

/// The facts with which people are invited: the plans of the game day's scenarios, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invitation {
    /// The hosts that attacks may touch, whatever the seed.
    pub hosts: Vec<String>,
    /// The environment, if all scenarios have the same.
    pub environment: Option<String>,
    /// The attacks, in words.
    pub attacks: Vec<String>,
    /// The way in which the effects are put back.
    pub undo: Option<String>,
}

/// Says who has which role, and how many of them have to agree.
fn who(gameday: &Gameday) -> Option<String> {
    let roles: Vec<String> = gameday.roles.iter().map(|(role, person)| format!("{role} {person}")).collect();
    let go = gameday.go_no_go.as_ref().map(|go| {
        let command = format!("firedrill gameday agree {}", gameday.file.display());
        format!(
            "{} of {} have to agree within {} before it ({command}, or the page Calendar)",
            go.people,
            go.of.join(", "),
            go.expires
        )
    });
    let all: Vec<String> = (!roles.is_empty()).then(|| roles.join(", ")).into_iter().chain(go).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Returns the message that a slot starts soon. `left` is the time until the start, `before` the planned time of the announcement before
/// the start, and `starts` the start for people.
/// It is an invitation: who, what, where, how it is put back, and how to stop it.
#[must_use]
pub fn announced(
    gameday: &Gameday,
    slot: &Slot,
    (before, left): (Span, Span),
    (starts, invitation): (&str, Invitation),
) -> Message {
    let civil = slot.civil_text();
    let mut message = message(gameday, &civil, What::Announced, &format!("starts in {left}"));
    message.id = format!("{}/{before}", message.id);
    message.starts = Some(starts.to_owned());
    message.scenario = Some(scenarios(gameday));
    message.who = who(gameday);
    let Invitation { hosts, environment, attacks, undo } = invitation;
    (message.hosts, message.environment, message.attacks, message.undo) = (hosts, environment, attacks, undo);
    message.stop = Some(format!(
        "before it: firedrill gameday skip {} --slot {civil}; during it: firedrill undo --all --fleet {}",
        gameday.file.display(),
        gameday.fleet.display()
    ));
    message
}

/// Returns the message that a slot was not held or was missed; `None` if the event says neither.
#[must_use]
pub fn passed(gameday: &Gameday, slot: &str, event: &Event) -> Option<Message> {
    let (what, title, why) = match event {
        Event::NotHeld { why, .. } => (What::Skipped, "is not held", why),
        Event::Missed { why } => (What::Missed, "was missed", why),
        _ => return None,
    };
    let mut message = message(gameday, slot, what, title);
    message.why = Some(why.clone());
    Some(message)
}

impl GamedayTold {
    /// Begins without messages.
    #[must_use]
    pub const fn new(teller: Teller) -> Self {
        Self { teller, started: OnceLock::new() }
    }

    /// Returns the sender for the channels.
    #[must_use]
    pub const fn teller(&self) -> &Teller {
        &self.teller
    }

    /// Sends the message that the game day begins.
    pub fn begun(&self, gameday: &Gameday, slot: &str, by: &str, hosts: Vec<String>) {
        let mut message = message(gameday, slot, What::Started, "has started");
        message.by = Some(by.to_owned());
        message.scenario = Some(scenarios(gameday));
        message.hosts = hosts;
        self.teller.tell(&message);
        let _once = self.started.set(message);
    }

    /// Sends the message that the game day has ended.
    pub fn ended(&self, gameday: &Gameday, slot: &str, exit: Exit, why: Option<&str>) {
        let is_halted = exit == Exit::Stopped;
        let what = if is_halted { What::Halted } else { What::Ended };
        let title = format!("{}: {}", if is_halted { "was halted" } else { "has ended" }, exit.word());
        let mut message = message(gameday, slot, what, &title);
        message.result = Some(exit.word().to_owned());
        message.why = why.map(str::to_owned);
        message.begun =
            self.started.get().map(|started| Begun { id: started.id.clone(), at: started.at.clone() });
        self.teller.tell(&message);
    }

    /// Sends the message that the game day is not held, if the event says so.
    pub fn not_held(&self, gameday: &Gameday, slot: &str, event: &Event) {
        if let Some(message) = passed(gameday, slot, event) {
            self.teller.tell(&message);
        }
    }
}
