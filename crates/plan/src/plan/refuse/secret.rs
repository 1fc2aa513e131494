//! Warns of secrets in clear text in a scenario, and of names of secrets that are not defined.

use firedrill_wire::hide::Part;

use crate::{
    diagnostic::{Item, Problem, Sink},
    scenario::{Scenario, probe::Probe},
};

pub(super) fn warn(scenario: &Scenario, sink: &mut Sink) {
    for item in &scenario.probes {
        let Some(http) = &item.value.http else { continue };
        for clear in http.in_clear().into_iter().filter(|one| one.sure) {
            // The prober refuses a user in a URL.
            if clear.part == Part::User {
                continue;
            }
            let message =
                format!("{} of probe `{}` looks like a secret in clear text", clear.part, item.name);
            let example = match &clear.part {
                Part::Header(name) => format!("headers.{name} = \"{{key}}\""),
                Part::Body => "body = \"… {key} …\"".to_owned(),
                _ => "url = \"http://…{key}\"".to_owned(),
            };
            let help =
                format!("secrets.key = {{ secret_file = \"/etc/firedrill/secrets/key\" }}, and {example}");
            let place = item.place_at(&way(&clear.part), false);
            sink.push(Problem::warning(message).at(place, "readable by anyone with the file").help(help));
        }
        unnamed(item, sink);
    }
}

fn way(part: &Part) -> Vec<&str> {
    match part {
        Part::Header(name) => vec!["http", "headers", name],
        Part::Body => vec!["http", "body"],
        _ => vec!["http", "url"],
    }
}

/// Warns of `{name}` in a URL or a header without a secret of that name, because it is sent literally.
fn unnamed(item: &Item<Probe>, sink: &mut Sink) {
    let Some(http) = &item.value.http else { return };
    let headers = http.headers.iter().map(|(name, value)| (vec!["http", "headers", name], value));
    for (way, text) in headers.chain([(vec!["http", "url"], &http.url)]) {
        for (at, _) in text.match_indices('{') {
            // `${name}` is a parameter.
            let Some((name, _)) = text[at + 1..].split_once('}') else { continue };
            if text[..at].ends_with('$') {
                continue;
            }
            let word =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            if word && !http.secrets.contains_key(name) {
                let message =
                    format!("`{{{name}}}` is no secret of probe `{}`, so it is sent literally", item.name);
                let help = format!("secrets.{name} = {{ secret_env = \"NAME\" }}, in the probe's `http`");
                let place = item.place_at(&way, false);
                sink.push(Problem::warning(message).at(place, "no such secret").help(help));
            }
        }
    }
}
