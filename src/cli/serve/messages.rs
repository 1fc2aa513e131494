//! Counts the messages of channels in the spool of a directory of runs. Sends none.

use std::{collections::BTreeMap, path::Path};

use firedrill_notify::{
    What,
    spool::{Ended, Entry, Spool},
};
use firedrill_room::{ChannelState, Undelivered};

/// Returns the state of each channel, in the order of their names.
pub(super) fn of_channels(reports: &Path) -> Result<Vec<ChannelState>, String> {
    let listing = Spool::of(reports)
        .all()
        .map_err(|error| format!("the messages to channels cannot be read: {error}"))?;
    let mut all: BTreeMap<String, ChannelState> = BTreeMap::new();
    // The newest first.
    for entry in listing.ended.into_iter().chain(listing.pending).rev() {
        let new = || ChannelState { name: entry.channel.clone(), ..ChannelState::default() };
        add(all.entry(entry.channel.clone()).or_insert_with(new), entry);
    }
    Ok(all.into_values().collect())
}

fn add(channel: &mut ChannelState, entry: Entry) {
    let waits = entry.ended.is_none();
    let why = match entry.ended {
        None => {
            channel.waiting += 1;
            channel.tries = channel.tries.max(entry.tries);
            entry.last
        }
        // Whoever tried a channel was told.
        Some(Ended::GivenUp { .. }) if entry.message.what == What::Test => return,
        Some(Ended::GivenUp { why, .. }) => {
            channel.given_up += 1;
            Some(why)
        }
        Some(Ended::Delivered { at, .. }) => {
            channel.took = channel.took.take().max(Some(at));
            return;
        }
    };
    if channel.undelivered.len() < ChannelState::MOST {
        channel.undelivered.push(Undelivered {
            at: entry.message.at,
            title: entry.message.title,
            run: entry.message.run,
            tries: entry.tries,
            why: why.unwrap_or_default(),
            waits,
        });
    }
}
