//! Slack and Mattermost: from a chat, people write notes and findings, halt runs, and refuse attacks and starts. The functions of the pages carry this
//! out. Nobody can approve an attack or agree to a start from a chat.

mod act;
mod asked;
mod file;
mod genuine;
mod receive;
mod said;

pub use file::{ChatFile, is_chat, read};
pub(crate) use receive::{MATTERMOST, SLACK, mattermost, slack};
