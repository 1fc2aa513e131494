//! While rules are in force, the names among their peers are looked up again and again, and restarts of their service are followed. This
//! file starts the look-ups of names, and describes the findings of both for people.

use crate::{
    host::{Host, peer_set::Adds},
    injection::{Live, Peers},
};

/// Starts to look up names among the peers again and again while the rules exist.
pub(super) fn follow_names(host: &Host, live: &Live, peers: &Peers, adder: impl Adds + Send + 'static) {
    let names = peers.names().map(str::to_owned).collect();
    // The rules have these addresses already.
    let known = peers.all().collect();
    host.followers.follow(&live.ask.id, names, known, adder);
}

/// Returns, in words for people, which restarts of the service were followed, which addresses names have got, and what failed. Each part
/// begins with "; ", to be appended to a text. Empty if nothing is new.
pub(super) fn followed_words(host: &Host, live: &Live) -> String {
    let mut text = String::new();
    if let Some(restarted) = host.followers.restarted(&live.ask.id) {
        if !restarted.added.is_empty() {
            text.push_str(&format!(
                "; the service was restarted {} times, and followed",
                restarted.added.len()
            ));
        }
        if let Some(failed) = &restarted.failed {
            text.push_str(&format!("; a restart of the service could not be followed: {failed}"));
        }
    }
    let Some(followed) = host.followers.followed(&live.ask.id) else { return text };
    if !followed.added.is_empty() {
        let added: Vec<_> = followed.added.iter().map(|network| network.addr().to_string()).collect();
        text.push_str(&format!("; names now also have the addresses {}", added.join(", ")));
    }
    if let Some(failed) = &followed.failed {
        text.push_str(&format!("; names could not be followed: {failed}"));
    }
    text
}
