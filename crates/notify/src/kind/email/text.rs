//! Makes the text of a message by e-mail: its header (RFC 5322, RFC 2047) and a plain body.

use firedrill_wire::text::{NAME_MOST, clean};
use mail_builder::{
    MessageBuilder,
    headers::{address::Address, message_id::MessageId, raw::Raw},
};

use super::mailbox::Mailbox;
use crate::{
    message::{ID_MOST, Message, TITLE_MOST},
    spool::short_digest,
};

/// Returns the text. It stays the same if the message is sent again.
pub(super) fn text(message: &Message, from: Mailbox<'_>, to: &[Mailbox<'_>]) -> Vec<u8> {
    let seconds = i64::try_from(message.at_ms() / 1000).unwrap_or(i64::MAX);
    let id = |event: &str| MessageId::new(id(event, from.domain()));
    let address = |mailbox: &Mailbox<'_>| {
        Address::new_address(mailbox.name.map(str::to_owned), mailbox.address.to_owned())
    };
    let mut mail = MessageBuilder::new()
        .from(address(&from))
        .to(Address::new_list(to.iter().map(address).collect()))
        .subject(clean(&message.title, TITLE_MOST))
        .date(seconds)
        .message_id(id(&message.id));
    if let Some(begun) = message.begun.as_ref().filter(|begun| begun.id != message.id) {
        mail = mail.in_reply_to(id(&begun.id)).references(id(&begun.id));
    }
    let mail = mail.header("Auto-Submitted", Raw::new("auto-generated")).text_body(body(message));
    let mut text = Vec::new();
    mail.serialize(&mut text);
    text
}

/// Returns the Message-ID of the message about an event. It contains only a digest of the event's id, whose characters may not be allowed in a header.
fn id(event: &str, domain: &str) -> String {
    format!("firedrill-{}@{}", short_digest(event), domain.to_ascii_lowercase())
}

/// Returns the body: the title, and a line for each fact.
fn body(message: &Message) -> String {
    let mut lines = vec![clean(&message.title, TITLE_MOST).into_owned(), String::new()];
    lines.extend(message.facts().into_iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("Time: {}", clean(&message.at, NAME_MOST)));
    lines.push(format!("Event: {}", clean(&message.id, ID_MOST)));
    lines.join("\r\n") + "\r\n"
}
