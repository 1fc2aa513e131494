//! Digests of a plan: what agents get, what people approve, and the secrets that a plan shows as `***`.

use firedrill_files::text::hex;
use firedrill_wire::hide::{self, HIDDEN};
use ring::digest::{Context, SHA256};

use super::{Ask, Host, Moving, Plan, Probe, Reach, Source};
use crate::alike;

impl Plan {
    /// Returns a digest over the whole plan, which agents get. Equal plans have equal digests.
    #[must_use]
    pub fn digest(&self) -> String {
        // Another comment in a file is no other plan.
        if self.files.is_some() {
            return Self { files: None, ..self.clone() }.digest();
        }
        let mut hash = std::io::BufWriter::with_capacity(1 << 16, Hash(Context::new(&SHA256)));
        let written = serde_json::to_writer(&mut hash, self).is_ok();
        let Some(Hash(hash)) = hash.into_inner().ok().filter(|_| written) else { return String::new() };
        hex(hash.finish().as_ref().get(..16).unwrap_or_default())
    }

    /// Returns a digest over everything that probes and questions about leaders send, over the commands that lead to agents and those of
    /// steps, in clear text;
    /// salted, because it is shown. Meaningless for a plan that was read, because that has no secrets.
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

    /// Returns the places that the plan does not show completely, in words: the probes, and the hosts whose `connect`
    /// has a secret. `None` if it shows everything.
    #[must_use]
    pub fn hiding(&self) -> Option<String> {
        let hides = |probe: &&Probe| {
            !probe.kind.about().clear.is_empty()
                || serde_json::to_string(&probe.kind).is_ok_and(|text| text.contains(HIDDEN))
        };
        let probes: Vec<_> = self.probes.iter().filter(hides).map(|probe| probe.name.as_str()).collect();
        let told = |source: &&Source| {
            source.kind.probe().is_some_and(|probe| !probe.about().clear.is_empty())
                || serde_json::to_string(&source.kind).is_ok_and(|text| text.contains(HIDDEN))
        };
        let sources: Vec<_> = self.sources.iter().filter(told).map(|source| source.name.as_str()).collect();
        let secret = |words: &[String]| {
            let shown = hide::argv(words);
            shown != *words || shown.iter().any(|word| word.contains(HIDDEN))
        };
        let leads = |host: &&Host| match &host.agent {
            Reach::Tcp(_) => false,
            Reach::Command(words) => secret(words),
        };
        let runs: Vec<_> = self.steps.iter().filter(|step| step.does.argv().is_some_and(secret)).collect();
        let runs: Vec<_> = runs.into_iter().map(|step| step.name.as_str()).collect();
        let asks = |moving: &&Moving| match &moving.ask {
            Ask::Request(kind) => {
                !kind.about().clear.is_empty()
                    || serde_json::to_string(kind).is_ok_and(|text| text.contains(HIDDEN))
            }
            Ask::Command(argv) => secret(argv),
        };
        let leaders: Vec<_> = self.moving.iter().filter(asks).map(|one| one.target.as_str()).collect();
        let leaders = (!leaders.is_empty())
            .then(|| format!("the questions about the leaders of {} send", leaders.join(", ")));
        let hosts: Vec<_> = self.hosts.iter().filter(leads).map(|host| host.name.as_str()).collect();
        let probes = (!probes.is_empty()).then(|| format!("the probes {} send", probes.join(", ")));
        let hosts = (!hosts.is_empty()).then(|| format!("`connect` of {} has", alike::names(&hosts)));
        let sources = (!sources.is_empty()).then(|| format!("the sources {} are sent", sources.join(", ")));
        let runs = (!runs.is_empty()).then(|| format!("the steps {} run", runs.join(", ")));
        let all: Vec<String> =
            probes.into_iter().chain(sources).chain(hosts).chain(runs).chain(leaders).collect();
        (!all.is_empty()).then(|| all.join(" and "))
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
