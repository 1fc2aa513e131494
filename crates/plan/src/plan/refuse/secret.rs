//! Warns of secrets in clear text in a scenario, and of names of secrets that are not defined.

use firedrill_wire::{
    hide::Part,
    probe::{About, ProbeKind},
};

use crate::{
    diagnostic::{Item, Problem, Sink},
    scenario::{Scenario, probe::Probe},
};

/// Checks the requests of every probe.
pub(super) fn warn(scenario: &Scenario, sink: &mut Sink) {
    for item in &scenario.probes {
        for request in item.value.requests() {
            let kind = &request.value;
            for clear in kind.about().clear.into_iter().filter(|one| one.sure) {
                // The prober refuses a user in a URL.
                if clear.part == Part::User {
                    continue;
                }
                let message =
                    format!("{} of probe `{}` looks like a secret in clear text", clear.part, item.name);
                let place = item.place_at(&clear.field.path(kind.name()), false);
                let label = "readable by anyone with the file";
                if clear.part == Part::Sent {
                    let help = "use a kind of probe that reads secrets from files, or a user who may do nothing else";
                    sink.push(Problem::warning(message).at(place, label).help(help));
                    continue;
                }
                if clear.part == Part::Argument {
                    let label = "readable by anyone with the file, and by all users of the vantage";
                    let help = "let the program read it from a file";
                    sink.push(Problem::warning(message).at(place, label).help(help));
                    continue;
                }
                let example = match &clear.part {
                    Part::Header(name) => format!("headers.{name} = \"{{key}}\""),
                    Part::Body => "body = \"… {key} …\"".to_owned(),
                    _ => "url = \"http://…{key}\"".to_owned(),
                };
                let help = format!(
                    "secrets.key = {{ secret_file = \"/etc/firedrill/secrets/key\" }}, and {example}"
                );
                sink.push(Problem::warning(message).at(place, label).help(help));
            }
            unnamed(item, kind, sink);
        }
    }
}

/// Warns of `{name}` in a text of a request without a secret of that name, because it is sent literally.
fn unnamed(item: &Item<Probe>, kind: &ProbeKind, sink: &mut Sink) {
    let About { fills, secrets, .. } = kind.about();
    for (field, text) in fills {
        for (at, _) in text.match_indices('{') {
            // `${name}` is a parameter.
            let Some((name, _)) = text[at + 1..].split_once('}') else { continue };
            if text[..at].ends_with('$') {
                continue;
            }
            let word =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            if word && !secrets.contains(&name) {
                let message =
                    format!("`{{{name}}}` is no secret of probe `{}`, so it is sent literally", item.name);
                let request = kind.name();
                let help =
                    format!("secrets.{name} = {{ secret_env = \"NAME\" }}, in the probe's `{request}`");
                let place = item.place_at(&field.path(request), false);
                sink.push(Problem::warning(message).at(place, "no such secret").help(help));
            }
        }
    }
}
