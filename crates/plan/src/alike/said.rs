//! Merges equal texts of many hosts, so that each is shown once.

use std::net::{IpAddr, SocketAddr};

use super::{names, together};

/// A text for several hosts, and their names in few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The names of the hosts, as [`names`] lists them.
    pub hosts: String,
    /// The number of the hosts.
    pub count: usize,
    /// The text of the first of these hosts.
    pub text: String,
}

/// Groups hosts by their texts; each pair has a host's name and its text. Texts that differ only by the host's own name,
/// addresses, and names of our objects in the kernel are one group.
pub fn said(texts: &[(String, String)]) -> Vec<Said> {
    let groups = together(texts, |(host, text)| sameness(text, &[host]));
    groups
        .into_iter()
        .filter_map(|group| {
            let hosts: Vec<&str> = group.iter().map(|(host, _)| host.as_str()).collect();
            let (_, text) = group.first()?;
            Some(Said { hosts: names(&hosts), count: group.len(), text: text.clone() })
        })
        .collect()
}

/// Joins the texts of hosts, each of which names its host, into one line: `app1 is not there; likewise app2, app3`. Each
/// pair has a host's name and its text.
pub fn likewise(texts: &[(String, String)]) -> String {
    let groups = together(texts, |(host, text)| sameness(text, &[host]));
    let lines = groups.into_iter().filter_map(|group| {
        let ((_, text), others) = group.split_first()?;
        let others: Vec<&str> = others.iter().map(|(host, _)| host.as_str()).collect();
        Some(if others.is_empty() { text.clone() } else { format!("{text}; likewise {}", names(&others)) })
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// Returns a text with `…` in place of `own` words, addresses, and names of our objects in the kernel. For comparing only.
pub(super) fn sameness(text: &str, own: &[&str]) -> String {
    let address = |word: &str| word.parse::<IpAddr>().is_ok() || word.parse::<SocketAddr>().is_ok();
    masked(text, &|word| own.contains(&word) || address(word))
}

/// Returns a text with `…` in place of `own` words and names of our objects in the kernel. Addresses stay, for texts in
/// which an address is the target.
pub fn without(text: &str, own: &[&str]) -> String {
    masked(text, &|word| own.contains(&word))
}

/// Returns a text with `…` in place of words for which `is_own` holds, and of names of our objects in the kernel.
pub fn masked(text: &str, is_own: &dyn Fn(&str) -> bool) -> String {
    let within = |c: char| c.is_ascii_alphanumeric() || ".:-_".contains(c);
    let mut same = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(within) {
        let length = rest[start..].find(|c| !within(c)).unwrap_or(rest.len() - start);
        let word = rest[start..start + length].trim_end_matches([':', '.']);
        same.push_str(&rest[..start]);
        match ours(word) {
            _ if is_own(word) => same.push('…'),
            Some(at) => same.extend([&word[..at], "…"]),
            None => same.push_str(word),
        }
        // Punctuation at the word's end.
        same.push_str(&rest[start + word.len()..start + length]);
        rest = &rest[start + length..];
    }
    same + rest
}

/// Returns the position in a word such as `nft-table:fd_run_1_1` at which the name of one of our objects begins.
fn ours(word: &str) -> Option<usize> {
    word.match_indices("fd_")
        .map(|(at, _)| at)
        .find(|at| !word[..*at].ends_with(|c: char| c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(host, text)| ((*host).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn texts_that_differ_only_by_their_host_are_the_same() {
        let one = sameness("app1 (10.0.0.1:7790): no route to [fd00::1]. fd_ab12", &["app1"]);
        assert_eq!(one, sameness("app2 (10.0.0.2:7790): no route to [fd00::2]. fd_cd", &["app2"]));
        assert_eq!(one, "… (…): no route to […]. …");
        assert_ne!(sameness("5 s on app1", &["app1"]), sameness("6 s on app2", &["app2"]));
        assert_eq!(sameness("é: ü-1", &[]), "é: ü-1");
        assert_eq!(
            without("nft-table:fd_r_1_2 of r-1-2, 10.0.0.1", &["r-1-2"]),
            "nft-table:… of …, 10.0.0.1"
        );
        assert_eq!(without("sfd_x", &[]), "sfd_x");
    }

    #[test]
    fn hosts_with_the_same_text_are_one_group() {
        let all = of(&[
            ("app1", "app1 is off"),
            ("db1", "db1 refuses"),
            ("app2", "app2 is off"),
            ("app3", "app3 is off"),
        ]);
        assert_eq!(likewise(&all), "app1 is off; likewise app2, app3; db1 refuses");
        let groups = said(&all);
        assert_eq!((groups.len(), groups[0].hosts.as_str(), groups[0].count), (2, "app1, app2, app3", 3));
        assert_eq!(groups[1].text, "db1 refuses");
    }
}
