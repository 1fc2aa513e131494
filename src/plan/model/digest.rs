//! Digests of a plan: what agents get, what people approve, and what probes send.

use firedrill_wire::{hide::HIDDEN, probe::ProbeKind};
use ring::digest::{Context, SHA256};

use super::{Plan, Probe};
use crate::text::hex;

impl Plan {
    /// Returns a digest over the whole plan, which agents get. Equal plans have equal digests.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = std::io::BufWriter::with_capacity(1 << 16, Hash(Context::new(&SHA256)));
        let written = serde_json::to_writer(&mut hash, self).is_ok();
        let Some(Hash(hash)) = hash.into_inner().ok().filter(|_| written) else { return String::new() };
        hex(hash.finish().as_ref().get(..16).unwrap_or_default())
    }

    /// Returns a digest over everything that the probes send, in clear text; salted, because it is shown. Meaningless
    /// for a plan that was read, because that has no secrets.
    #[must_use]
    pub fn requests(&self, salt: &str) -> String {
        let mut hash = Context::new(&SHA256);
        for part in std::iter::once(Ok(salt.as_bytes().to_vec()))
            .chain(self.probes.iter().map(|probe| serde_json::to_vec(&(&probe.name, &probe.kind))))
        {
            let Ok(part) = part else { return String::new() };
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(&part);
        }
        hex(hash.finish().as_ref())
    }

    /// Returns the probes whose requests the plan does not show completely.
    #[must_use]
    pub fn hiding(&self) -> Vec<&str> {
        let hides = |probe: &&Probe| match &probe.kind {
            ProbeKind::Http(http) => {
                !http.in_clear().is_empty()
                    || serde_json::to_string(http).is_ok_and(|text| text.contains(HIDDEN))
            }
            ProbeKind::Tcp(_) => false,
        };
        self.probes.iter().filter(hides).map(|probe| probe.name.as_str()).collect()
    }

    /// Returns a digest over everything that people approve. It does not depend on the scenario's path and on
    /// warnings.
    #[must_use]
    pub fn agreement(&self) -> String {
        Self { file: String::new(), warnings: Vec::new(), ..self.clone() }.digest()
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
