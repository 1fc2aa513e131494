//! The lane of what people decided and wrote: approvals, skips, answers to steps, notes and findings. Pauses and halts are among the events.

use super::moment::moment;
use crate::{
    log::{Event, Record},
    report::{chart::lanes::Item, input::Input},
};

/// Returns the moments at which people decided or wrote something, in the order of time. What was written before the run or after it stands at
/// its begin or its end.
pub(super) fn people(input: &Input<'_>) -> Vec<Item> {
    let end_us = input.facts.last_us.max(1);
    let mut all: Vec<Item> = input.log.records.iter().filter_map(decided).collect();
    all.extend(input.notes.iter().map(|note| {
        let at_us = note.at_us(input.started()).unwrap_or(end_us);
        let item = moment(at_us, note.told(), if note.finding.is_some() { "alert" } else { "plain" });
        let place_us = at_us.clamp(0, end_us);
        let title = format!("{} ({})", item.title, note.by);
        Item { from_us: place_us, until_us: place_us, title, ..item }
    }));
    all.sort_by_key(|item| item.from_us);
    all
}

fn decided(record: &Record) -> Option<Item> {
    let of = |text: String, attack: Option<usize>| {
        Some(Item { attack: attack.map(|attack| attack + 1), ..moment(record.at_us, text, "plain") })
    };
    match &record.event {
        Event::ApprovalGiven { attack, by, yes, .. } => {
            let word = if *yes { "approves" } else { "does not approve" };
            of(format!("{by} {word} attack {}", attack + 1), Some(*attack))
        }
        Event::SkipAsked { attack, by } => of(format!("{by} skips attack {}", attack + 1), Some(*attack)),
        Event::StepEnded { step, outcome, by: Some(by), .. } => {
            of(format!("{by}: step {} {}", step + 1, outcome.word()), None)
        }
        _ => None,
    }
}
