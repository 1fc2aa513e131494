//! `/api/v1/gameday-files`: the files of game days, as `firedrill gameday list` and `show` tell them.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    bearer::Bearer,
    query::{Asked, KEYS},
};
use crate::{
    app::App,
    outside::{NotShown, Slots},
    web::{answer::Answer, who::slow},
};

/// Number of slots of each game day in an answer to a request without the key `next`.
const USUAL: usize = 5;
/// Maximum number of slots of each game day in an answer.
const MOST: usize = 100;
/// The last second of the year 9998: a day can be added to it without leaving the years of four digits.
const LAST_S: i64 = 253_370_764_799;

/// The keys of files of game days.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesKeys {
    /// Number of slots of each game day, from 1 to 100.
    #[schemars(range(min = 1, max = MOST))]
    next: Option<usize>,
    /// The slots are after this moment, in seconds since 1970; without it, after now.
    #[schemars(range(min = 0, max = LAST_S))]
    from_s: Option<i64>,
    /// The first day of the slots, in the time zone of each schedule, from 1970 to 9998. It takes precedence over `from_s`.
    #[schemars(regex(
        pattern = r"^(19[7-9][0-9]|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"
    ))]
    from_day: Option<String>,
}

impl FilesKeys {
    /// Checks `next` and `from_s`. The error names the key that is out of its bounds. The reader of the files checks `from_day`.
    fn slots(self) -> Result<Slots, Answer> {
        let wrong = |text: String| Err(Answer::new(StatusCode::BAD_REQUEST, text, KEYS));
        let Self { next, from_s, from_day } = self;
        let next = next.unwrap_or(USUAL);
        if !(1..=MOST).contains(&next) {
            return wrong(format!("`next` is {next}, and has to be from 1 to {MOST}."));
        }
        if let Some(from_s) = from_s.filter(|from_s| !(0..=LAST_S).contains(from_s)) {
            return wrong(format!("`from_s` is {from_s}, and has to be from 0 to {LAST_S}."));
        }
        Ok(Slots { from_s, from_day, next })
    }
}

impl From<NotShown> for Answer {
    fn from(reason: NotShown) -> Self {
        match reason {
            NotShown::Unknown(why) => {
                let help = "GET /api/v1/gameday-files has all names and problems.";
                Self::new(StatusCode::NOT_FOUND, format!("It cannot be shown: {why}."), help)
            }
            NotShown::Wrong(why) => {
                Self::new(StatusCode::BAD_REQUEST, format!("The keys cannot be read: {why}."), KEYS)
            }
            NotShown::Failed(why) => Self::outside(why),
        }
    }
}

/// `GET /api/v1/gameday-files`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Asked(keys): Asked<FilesKeys>,
) -> Result<Json<Value>, Answer> {
    let slots = keys.slots()?;
    slow(&app, move |app| Ok(Json(app.outside.gameday_files(&slots)?))).await
}

/// `GET /api/v1/gameday-files/{gameday}`
pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Bearer(_): Bearer,
    Path(gameday): Path<String>,
    Asked(keys): Asked<FilesKeys>,
) -> Result<Json<Value>, Answer> {
    let slots = keys.slots()?;
    slow(&app, move |app| Ok(Json(app.outside.gameday_file(&gameday, &slots)?))).await
}
