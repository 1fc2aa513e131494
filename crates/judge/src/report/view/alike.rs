//! Rows of reports of many hosts: similar hosts share a row. A report of a few hosts has a row for each host.

use std::{cmp::Reverse, collections::HashSet};

use firedrill_plan::{alike, plan::model::Attack};
use firedrill_wire::{api::HostState, evidence::Seen};
use serde::Serialize;

use super::words::{NONE, seen};
use crate::score::{
    card::{AttackCard, HostCard, InjectionCard, state_word},
    format,
};

/// The final state of one host, or of several with the same state and the same remains.
#[derive(Debug, Serialize)]
pub struct HostView {
    /// The hosts' names, shortened: `app1…app6 (6)`.
    pub host: String,
    /// The hosts' names in full.
    pub(crate) hosts: Vec<String>,
    /// Their state, in words.
    pub state: &'static str,
    pub(crate) glyph: &'static str,
    /// Number of settings that were compared, or a range.
    pub(crate) compared: String,
    /// The effects that the run left behind.
    pub ours: Vec<String>,
    /// Changes of the host that the run did not make.
    pub(crate) foreign: Vec<String>,
}

/// A fault on one host, or on several hosts on which it had the same result.
#[derive(Debug, Serialize)]
pub(crate) struct InjectionView {
    /// The kind of the fault, and the hosts' names, shortened.
    pub(crate) what: String,
    /// The hosts' names in full.
    pub(crate) hosts: Vec<String>,
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) held: String,
    pub(crate) in_force: &'static str,
    pub(crate) exercised: &'static str,
    pub(crate) count: String,
    /// The smallest number of checks on a host.
    pub(crate) looks: usize,
    pub(crate) detail: String,
    pub(crate) effects: Vec<String>,
    pub(crate) undo: Vec<String>,
    /// The reason why no packets were exchanged over its path; empty if they were.
    pub(crate) not_exchanged: String,
}

/// Up to this number of rows, hosts do not share rows.
pub(super) const FEW: usize = 8;

/// Returns the final states of hosts, as rows.
#[must_use]
pub fn hosts(cards: &[HostCard]) -> Vec<HostView> {
    // The largest group first, then the hosts that differ.
    let mut groups: Vec<Vec<&HostCard>> = if cards.len() <= FEW {
        cards.iter().map(|host| vec![host]).collect()
    } else {
        // Texts are compared without the host's name.
        let masked = |host: &HostCard, texts: &[String]| alike::without(&texts.join("\n"), &[&host.host]);
        alike::together(cards, |host| {
            (state_word(host.state), masked(host, &host.ours), masked(host, &host.foreign))
        })
    };
    groups.sort_by_key(|group| Reverse(group.len()));
    let views = groups.into_iter().filter_map(|group| {
        let host = *group.first()?;
        let names: Vec<&str> = group.iter().map(|host| host.host.as_str()).collect();
        let compared = range(group.iter().map(|host| host.compared), |number| number.to_string());
        Some(HostView {
            host: alike::names(&names),
            hosts: names.iter().map(ToString::to_string).collect(),
            state: state_word(host.state),
            glyph: if host.state == HostState::Clean { "✓" } else { "!" },
            compared,
            ours: host.ours.clone(),
            foreign: host.foreign.clone(),
        })
    });
    views.collect()
}

/// Returns the faults and whether they took effect, as rows.
pub(super) fn injections(cards: &[InjectionCard]) -> Vec<InjectionView> {
    let mut groups: Vec<Vec<&InjectionCard>> = if cards.len() <= FEW {
        cards.iter().map(|one| vec![one]).collect()
    } else {
        alike::together(cards, |one| {
            let id = one.id.as_ref().map_or("", |id| id.as_str());
            // Texts are compared without the host's name and the injection's id.
            let masked = |text: &str| alike::without(text, &[&one.host, id]);
            // If the fault took effect, the details of the last checks differ only by numbers, and are not compared.
            let well = one.in_force == Seen::Yes && one.exercised == Seen::Yes;
            let detail = if well { String::new() } else { masked(&one.detail) };
            let texts = masked(&one.effects.iter().chain(&one.undo).cloned().collect::<Vec<_>>().join("\n"));
            let seen = (seen(one.in_force), seen(one.exercised), one.in_force_us.is_some(), one.id.is_some());
            (one.kind.clone(), seen, detail, texts, one.not_exchanged.clone())
        })
    };
    groups.sort_by_key(|group| Reverse(group.len()));
    groups.into_iter().filter_map(|group| injection(&group)).collect()
}

/// Returns the row of a group of similar injections; `None` if the group is empty.
fn injection(group: &[&InjectionCard]) -> Option<InjectionView> {
    let (first, others) = group.split_first()?;
    let names: Vec<&str> = group.iter().map(|one| one.host.as_str()).collect();
    let id = first.id.as_ref().map_or_else(|| "never armed".to_owned(), ToString::to_string);
    let known: Option<Vec<i64>> = group.iter().map(|one| one.in_force_us).collect();
    let held: Option<Vec<i64>> = group
        .iter()
        .map(|one| Some(one.undoing_us.or(one.ended_us)?.saturating_sub(one.in_force_us?)))
        .collect();
    let wanted = format::time(first.hold_us);
    let same_detail = others.iter().all(|one| one.detail == first.detail);
    let landed = first.in_force == Seen::Yes && first.exercised == Seen::Yes;
    let counts: Option<Vec<u64>> = group.iter().map(|one| one.count).collect();
    Some(InjectionView {
        what: format!("{} on {}", first.kind, alike::names(&names)),
        hosts: names.iter().map(ToString::to_string).collect(),
        id: if others.is_empty() { id } else { format!("{id} and {} more", others.len()) },
        from: known.map_or_else(|| NONE.to_owned(), |all| range(all.into_iter(), |us| format::clock(*us))),
        held: match (held, first.in_force_us) {
            (Some(all), _) => format!("{} of {wanted}", range(all.into_iter(), |us| format::time(*us))),
            (None, Some(_)) => format!("? of {wanted}"),
            (None, None) => NONE.to_owned(),
        },
        in_force: seen(first.in_force),
        exercised: seen(first.exercised),
        count: counts.map_or_else(|| NONE.to_owned(), |all| all.iter().sum::<u64>().to_string()),
        looks: group.iter().map(|one| one.looks).min().unwrap_or(0),
        detail: if same_detail || !landed { first.detail.clone() } else { String::new() },
        effects: first.effects.clone(),
        undo: first.undo.clone(),
        not_exchanged: first.not_exchanged.clone().unwrap_or_default(),
    })
}

/// Returns reasons. If there are more than [`FEW`], those that differ only by host and figures are merged: the first is shown, with the
/// names of the other hosts.
#[must_use]
pub fn reasons(why: &[String], attacks: &[AttackCard]) -> Vec<String> {
    if why.len() <= FEW {
        return why.to_vec();
    }
    let hosts: HashSet<&str> =
        attacks.iter().flat_map(|attack| &attack.injections).map(|one| one.host.as_str()).collect();
    let figure = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let groups =
        alike::together(why, |text| alike::masked(text, &|word| hosts.contains(word) || figure(word)));
    let lines = groups.into_iter().filter_map(|group| {
        let (first, others) = group.split_first()?;
        // A reason is about the first host named in it.
        let host = |text: &&String| {
            text.split(|c: char| !(c.is_alphanumeric() || ".-_".contains(c)))
                .find(|word| hosts.contains(word))
                .map(str::to_owned)
        };
        let mut names: Vec<String> = others.iter().filter_map(host).collect();
        names.dedup();
        Some(match others.len() {
            0 => (*first).clone(),
            more if names.is_empty() => format!("{first} (and {more} times more)"),
            _ => format!("{first} (likewise {})", alike::names(&names)),
        })
    });
    lines.collect()
}

/// Describes the faults of an attack. If there are more than [`FEW`], those of one kind are one text with all hosts.
pub(super) fn faults(attack: &Attack) -> Vec<String> {
    if attack.injections.len() <= FEW {
        return attack.injections.iter().map(|one| format!("{} on {}", one.fault.kind(), one.host)).collect();
    }
    let kinds = alike::together(&attack.injections, |one| one.fault.kind());
    let lines = kinds.into_iter().filter_map(|group| {
        let hosts: Vec<&str> = group.iter().map(|one| one.host.as_str()).collect();
        Some(format!("{} on {}", group.first()?.fault.kind(), alike::names(&hosts)))
    });
    lines.collect()
}

/// Formats the minimum and the maximum of values; one value if both have the same text, and a dash if there are no values.
fn range<T: Ord + Copy>(values: impl Iterator<Item = T> + Clone, text: impl Fn(&T) -> String) -> String {
    let (Some(least), Some(most)) = (values.clone().min(), values.max()) else { return NONE.to_owned() };
    let (least, most) = (text(&least), text(&most));
    if least == most { least } else { format!("{least} – {most}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u64, state: HostState, ours: &str) -> HostCard {
        let ours = if ours.is_empty() { Vec::new() } else { vec![ours.to_owned()] };
        HostCard { host: format!("app{n}"), state, ours, foreign: Vec::new(), compared: 40 + n % 2 }
    }

    #[test]
    fn hosts_with_the_same_end_share_a_row_and_the_others_have_separate_rows() {
        let mut cards: Vec<HostCard> = (1..=40).map(|n| host(n, HostState::Clean, "")).collect();
        cards[6] = host(7, HostState::Dirty, "table inet fd_r_1_7 is still there");
        let rows = hosts(&cards);
        let names: Vec<&str> = rows.iter().map(|row| row.host.as_str()).collect();
        assert_eq!(names, ["app1…app6, app8…app40 (39)", "app7"]);
        assert_eq!((rows[0].compared.as_str(), rows[1].compared.as_str()), ("40 – 41", "41"));
        assert_eq!(hosts(&cards[..8]).len(), 8, "with a few hosts each has a row");
    }

    /// Returns a fault on `app{n}` that was put back after a minute.
    fn done(n: i64, exercised: Seen) -> InjectionCard {
        InjectionCard {
            id: format!("r-1-{n}").parse().ok(),
            host: format!("app{n}"),
            kind: "net-block".to_owned(),
            effects: vec![format!("drop packets (table inet fd_r_1_{n})")],
            undo: vec![format!("delete table inet fd_r_1_{n}")],
            in_force_us: Some(20_000_000 + n * 1_000),
            undoing_us: Some(80_000_000 + n * 1_000),
            ended_us: Some(80_100_000),
            hold_us: 60_000_000,
            in_force: Seen::Yes,
            exercised,
            count: Some(10),
            looks: 12,
            detail: format!("{n} packets"),
            exchanges: Vec::new(),
            not_exchanged: None,
        }
    }

    #[test]
    fn reasons_that_differ_only_by_host_and_figures_are_merged() {
        let attack = AttackCard { injections: (1..=40).map(|n| done(n, Seen::No)).collect(), ..card() };
        let why = |n: i64| {
            format!("net-block on app{n} was never exercised: table fd_r_1_{n}: {n} rules, lease 9s {n}ms")
        };
        let mut all: Vec<String> = (1..=40).map(why).collect();
        all.insert(1, "the log ends early".to_owned());
        let merged = reasons(&all, std::slice::from_ref(&attack));
        assert_eq!(merged, [why(1) + " (likewise app2…app40 (39))", "the log ends early".to_owned()]);
        assert_eq!(reasons(&all[..8], &[attack]), all[..8]);
    }

    fn card() -> AttackCard {
        crate::score::fold(&crate::testing::Drill::one().records()).attacks.remove(0)
    }

    #[test]
    fn faults_with_the_same_result_share_a_row_and_one_that_did_not_take_effect_has_its_own() {
        let mut cards: Vec<InjectionCard> = (1..=40).map(|n| done(n, Seen::Yes)).collect();
        cards[3] = done(4, Seen::No);
        let rows = injections(&cards);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].what, "net-block on app1…app3, app5…app40 (39)");
        assert_eq!((rows[0].id.as_str(), rows[0].count.as_str()), ("r-1-1 and 38 more", "390"));
        assert!(rows[0].held.ends_with("of 1m") || rows[0].held.contains(" of "), "{}", rows[0].held);
        assert_eq!((rows[1].what.as_str(), rows[1].exercised), ("net-block on app4", "no"));
        assert_eq!(rows[1].detail, "4 packets");
        assert_eq!(injections(&cards[..8]).len(), 8);
    }
}
