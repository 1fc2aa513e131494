//! `/messages`: the channels that people are told by, and the messages that nobody got.

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

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// `takes messages`, `takes none` or `quiet`.
    state: &'static str,
    waiting: u32,
    given_up: u32,
    took: String,
}

impl Row {
    fn of(channel: &ChannelState) -> Self {
        let state = match (channel.tries, &channel.took, &channel.failed) {
            (1.., ..) => "takes none",
            // A moment of equal form sorts by time; that of no failure is before all others.
            (0, took, failed) if failed > took => "takes none",
            (0, Some(_), _) => "takes messages",
            (0, None, _) => "quiet",
        };
        Self {
            name: channel.name.clone(),
            state,
            waiting: channel.waiting,
            given_up: channel.given_up,
            took: channel.took.as_deref().map(minute).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Message {
    at: String,
    channel: String,
    title: String,
    run: Option<String>,
    /// The run's name in an address, if it has a page.
    page: Option<String>,
    state: &'static str,
    tries: u32,
    why: String,
}

impl Message {
    fn of(app: &App, channel: &str, message: Undelivered) -> Self {
        let page = message.run.as_ref().filter(|run| find(app.runs.reports(), run).is_some());
        Self {
            at: minute(&message.at),
            channel: channel.to_owned(),
            title: message.title,
            page: page.map(|run| address(run)),
            run: message.run,
            state: if message.waits { "waits" } else { "given up" },
            tries: message.tries,
            why: message.why,
        }
    }
}

/// Returns a moment to the minute.
fn minute(at: &str) -> String {
    at.get(..16).unwrap_or(at).replace('T', " ")
}

/// `GET /messages`
pub(crate) async fn messages(State(app): State<Arc<App>>, Who(session): Who) -> Result<Response, Answer> {
    slow(&app, move |app| {
        let messages = app.outside.messages().map_err(Answer::outside)?;
        let (channels, unreadable) = (messages.channels, messages.unreadable);
        let rows: Vec<Row> = channels.iter().map(Row::of).collect();
        let lost = channels.iter().map(|channel| channel.given_up).sum::<u32>();
        let waiting = channels.iter().map(|channel| channel.waiting).sum::<u32>();
        let mut undelivered = Vec::new();
        for channel in channels {
            let of = |message| Message::of(app, &channel.name, message);
            undelivered.extend(channel.undelivered.into_iter().map(of));
        }
        undelivered.sort_by(|one, other| other.at.cmp(&one.at));
        let hidden = u64::from(lost + waiting) - undelivered.len() as u64;
        let values =
            context! { rows => value(&rows), undelivered => value(&undelivered), lost, waiting, hidden, unreadable };
        page("messages", ("Messages", "messages"), Some(&session), values)
    })
    .await
}
