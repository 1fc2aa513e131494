//! Digests of a plan: for agents, for approvals, and over the secrets that a plan shows as `***`. Never shows a secret.

use firedrill_files::text::hex;
use firedrill_wire::{
    hide::{self, HIDDEN},
    probe::ProbeKind,
};
use ring::digest::{Context, SHA256};
use serde::Serialize;

use super::{Ask, Host, Moving, Plan, Reach, Source, Step};
use crate::alike;

impl Plan {
    /// Returns a digest over the whole plan, which agents get. Equal plans have equal digests.
    #[must_use]
    pub fn digest(&self) -> String {
        // `files` does not count: a change of a comment does not change the plan.
        if self.files.is_some() {
            return Self { files: None, ..self.clone() }.digest();
        }
        let mut hash = std::io::BufWriter::with_capacity(1 << 16, Hash(Context::new(&SHA256)));
        let written = serde_json::to_writer(&mut hash, self).is_ok();
        let Some(Hash(hash)) = hash.into_inner().ok().filter(|_| written) else { return String::new() };
        hex(hash.finish().as_ref().get(..16).unwrap_or_default())
    }

    /// Returns a digest over the requests of probes, sources and questions about leaders, and over the commands that lead to agents and
    /// those of steps: all of them with their secrets. It is salted, because it is shown. It is meaningless for a plan that was read,
    /// because that has no secrets.
    #[must_use]
    pub fn requests(&self, salt: &str) -> String {
        let mut hash = Context::new(&SHA256);
        let commands = self.hosts.iter().filter_map(|host| match &host.agent {
            Reach::Tcp(_) => None,
            Reach::Command(words) => Some(serde_json::to_vec(&(&host.name, words))),
        });
        let programs =
            self.steps.iter().filter_map(|step| Some(serde_json::to_vec(&(&step.name, step.does.argv()?))));
        let leaders = self.moving.iter().map(|moving| match &moving.ask {
            Ask::Request(kind) => serde_json::to_vec(&(&moving.target, kind)),
            Ask::Command(argv) => serde_json::to_vec(&(&moving.target, argv)),
        });
        for part in std::iter::once(Ok(salt.as_bytes().to_vec()))
            .chain(self.probes.iter().map(|probe| serde_json::to_vec(&(&probe.name, &probe.kind))))
            .chain(self.sources.iter().map(|source| serde_json::to_vec(&(&source.name, &source.kind))))
            .chain(commands)
            .chain(programs)
            .chain(leaders)
        {
            let Ok(part) = part else { return String::new() };
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(&part);
        }
        hex(hash.finish().as_ref())
    }

    /// Returns the places that the plan does not show completely, in words that complete "not all that … is shown": probes,
    /// sources, the `connect` of hosts, steps, and questions about leaders that have a secret. `None` if it shows everything.
    #[must_use]
    pub fn hiding(&self) -> Option<String> {
        let probes: Vec<&str> = self
            .probes
            .iter()
            .filter(|probe| hides_request(&probe.kind))
            .map(|probe| probe.name.as_str())
            .collect();
        let hides_source = |source: &&Source| {
            source.kind.probe().is_some_and(|probe| !probe.about().clear.is_empty()) || hides(&source.kind)
        };
        let sources: Vec<&str> =
            self.sources.iter().filter(hides_source).map(|source| source.name.as_str()).collect();
        let hides_way = |host: &&Host| match &host.agent {
            Reach::Tcp(_) => false,
            Reach::Command(words) => hides_words(words),
        };
        let hosts: Vec<&str> = self.hosts.iter().filter(hides_way).map(|host| host.name.as_str()).collect();
        let hides_step = |step: &&Step| step.does.argv().is_some_and(hides_words);
        let steps: Vec<&str> = self.steps.iter().filter(hides_step).map(|step| step.name.as_str()).collect();
        let hides_question = |moving: &&Moving| match &moving.ask {
            Ask::Request(kind) => hides_request(kind),
            Ask::Command(argv) => hides_words(argv),
        };
        let leaders: Vec<&str> =
            self.moving.iter().filter(hides_question).map(|moving| moving.target.as_str()).collect();
        let parts = [
            ("the probes", probes.join(", "), "send"),
            ("the sources", sources.join(", "), "are sent"),
            ("`connect` of", alike::names(&hosts), "has"),
            ("the steps", steps.join(", "), "run"),
            ("the questions about the leaders of", leaders.join(", "), "send"),
        ];
        let parts = parts.into_iter().filter(|(_, names, _)| !names.is_empty());
        let words: Vec<String> =
            parts.map(|(subject, names, verb)| format!("{subject} {names} {verb}")).collect();
        (!words.is_empty()).then(|| words.join(" and "))
    }

    /// Returns a digest over everything that people approve. It does not depend on the paths of files and on warnings.
    #[must_use]
    pub fn agreement(&self) -> String {
        let mut plan = Self { warnings: Vec::new(), ..self.clone() };
        plan.forget_paths();
        plan.digest()
    }

    /// Clears the paths of the scenario's and the game day's file, which are no part of the drill.
    pub fn forget_paths(&mut self) {
        self.file.clear();
        if let Some(drawn) = &mut self.drawn {
            drawn.gameday.clear();
        }
    }
}

/// Whether a request has parts that a plan does not show.
fn hides_request(kind: &ProbeKind) -> bool {
    !kind.about().clear.is_empty() || hides(kind)
}

/// Whether the serialized form of a value has a hidden part.
fn hides(value: &impl Serialize) -> bool {
    serde_json::to_string(value).is_ok_and(|text| text.contains(HIDDEN))
}

/// Whether a command has words that a plan does not show.
fn hides_words(words: &[String]) -> bool {
    let shown = hide::argv(words);
    shown != *words || shown.iter().any(|word| word.contains(HIDDEN))
}

/// A writer that computes a digest.
struct Hash(Context);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
