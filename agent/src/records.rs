//! The place of write records of probes on this host: a folder beside the journal. Reads are those of the policy. Never opens a record.

use std::path::Path;

use firedrill_probe::{Account, Reads, Use, writes::Place};
use firedrill_wire::{RunId, api::StartProbes, writes::Author};

/// The folder's name in the state directory.
const FOLDER: &str = "record";

/// Reads by the policy, and keeps write records of one run.
pub(crate) struct OfRun<'a> {
    reads: &'a dyn Reads,
    place: Place,
}

impl<'a> OfRun<'a> {
    /// Records of a run lie below the state directory. A coordinator that does not say which vantage this is gets the host's own name.
    pub(crate) fn new(
        reads: &'a dyn Reads,
        state: &Path,
        host: &str,
        run: &RunId,
        start: &StartProbes,
    ) -> Self {
        let vantage = start.vantage.clone().unwrap_or_else(|| host.to_owned());
        let place = Place { folder: state.join(FOLDER), author: Author { run: run.clone(), vantage } };
        Self { reads, place }
    }
}

impl Reads for OfRun<'_> {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        self.reads.file(path, what_for)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        self.reads.variable(name)
    }

    fn program(&self, command: &[String]) -> Result<Option<Account>, String> {
        self.reads.program(command)
    }

    fn records(&self) -> Result<Place, String> {
        Ok(self.place.clone())
    }
}
