//! Slack and Mattermost: people write notes, halt runs, and refuse attacks and starts from a chat. The same functions as for pages do it. Nothing is approved
//! or agreed to here.

mod act;
mod asked;
mod file;
mod genuine;
mod receive;
mod said;

pub use file::{ChatFile, is_chat, read};
pub(crate) use receive::{MATTERMOST, SLACK, mattermost, slack};
