//! `/messages`: the channels that send messages to people, and the messages that a channel has not accepted.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use firedrill_history::address;
use minijinja::context;
use serde::Serialize;

use crate::{
    app::App,
    outside::{ChannelState, Undelivered},
    runs::find,
    template::value,
    web::{
        answer::{Answer, page},
        who::{Who, slow},
    },
};

/// A channel, as the page shows it.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// `takes messages`, `not tried yet`, or `takes none`. The last means that a waiting message was tried in vain, or the channel's last message was
    /// given up.
    state: &'static str,
    waiting: u32,
    given_up: u32,
    /// The time at which the channel last accepted a message (UTC, to the minute); empty if never.
    took_last: String,
}

impl Row {
    fn of(channel: &ChannelState) -> Self {
        let state = match (channel.tries, &channel.took, &channel.failed) {
            (1.., ..) => "takes none",
            // Both times have the same format, so their order as texts is their order in time. `None` is less than any time.
            (0, took, failed) if failed > took => "takes none",
            (0, Some(_), _) => "takes messages",
            (0, None, _) => "not tried yet",
        };
        Self {
            name: channel.name.clone(),
            state,
            waiting: channel.waiting,
            given_up: channel.given_up,
            took_last: channel.took.as_deref().map(minute).unwrap_or_default(),
        }
    }
}

/// A message that a channel has not accepted, as the page shows it.
#[derive(Debug, Serialize)]
struct Message {
    at: String,
    channel: String,
    title: String,
    run: Option<String>,
    /// The run's name, encoded for a link; `None` if the run has no page here.
    page: Option<String>,
    state: &'static str,
    tries: u32,
    why: String,
}

impl Message {
    fn of(app: &App, channel: &str, message: Undelivered) -> Self {
        let run_here = message.run.as_ref().filter(|run| find(app.runs.reports(), run).is_some());
        Self {
            at: minute(&message.at),
            channel: channel.to_owned(),
            title: message.title,
            page: run_here.map(|run| address(run)),
            run: message.run,
            state: if message.waits { "waits" } else { "given up" },
            tries: message.tries,
            why: message.why,
        }
    }
}

/// Cuts a time of RFC 3339 to the minute: `2026-11-27 14:00`.
fn minute(at: &str) -> String {
    at.get(..16).unwrap_or(at).replace('T', " ")
}

/// `GET /messages`
pub(crate) async fn messages(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let messages = app.outside.messages().map_err(Answer::outside)?;
        let (channels, unreadable) = (messages.channels, messages.unreadable);
        let rows: Vec<Row> = channels.iter().map(Row::of).collect();
        let given_up = channels.iter().map(|channel| channel.given_up).sum::<u32>();
        let waiting = channels.iter().map(|channel| channel.waiting).sum::<u32>();
        let mut undelivered = Vec::new();
        for channel in channels {
            undelivered.extend(channel.undelivered.into_iter().map(|message| (channel.name.clone(), message)));
        }
        // The newest message comes first. They are sorted before their times are cut to the minute.
        undelivered.sort_by(|(_, left), (_, right)| right.at.cmp(&left.at));
        let hidden = u64::from(given_up + waiting).saturating_sub(undelivered.len() as u64);
        let undelivered: Vec<Message> =
            undelivered.into_iter().map(|(channel, message)| Message::of(app, &channel, message)).collect();
        let values =
            context! { rows => value(&rows), undelivered => value(&undelivered), given_up, waiting, hidden, unreadable };
        page("messages", ("Messages", "messages"), Some(&session), values)
    })
    .await
}
