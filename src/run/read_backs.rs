//! Turns the answers of vantages that read back their records into records of the log. Never judges.

use std::collections::BTreeSet;

use firedrill_wire::writes::{Example, ReadBack};

use crate::log::{Event, Moment, WriteExample, WritesRead};

/// Maximum number of examples of each kind that the log takes from a vantage.
const EXAMPLES: usize = 20;

/// The question to one vantage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReadBackAsked {
    pub(super) vantage: String,
    /// The probes that it is asked about.
    pub(super) probes: BTreeSet<String>,
    pub(super) attack: usize,
    pub(super) moment: Moment,
    /// The time at which it is asked.
    pub(super) from_us: i64,
}

/// The answer of one vantage, and the question to it.
pub(crate) struct ReadBackAnswer {
    pub(super) asked: ReadBackAsked,
    pub(super) answer: Result<Vec<ReadBack>, String>,
}

impl ReadBackAsked {
    /// Returns a record for each probe that was asked about. `at_us` gives the time of the run for one of a boot.
    pub(super) fn answered(
        self,
        answer: Result<Vec<ReadBack>, String>,
        at_us: impl Fn(&str, u64) -> Option<i64>,
    ) -> Vec<Event> {
        let mut told = answer;
        let one = |probe: String| {
            let nothing = WritesRead {
                attack: self.attack,
                moment: self.moment,
                vantage: self.vantage.clone(),
                probe: probe.clone(),
                from_us: self.from_us,
                counts: None,
                lost: Vec::new(),
                ghosts: Vec::new(),
                failed: None,
            };
            let failed = |why: &str| WritesRead { failed: Some(why.to_owned()), ..nothing.clone() };
            match &mut told {
                Err(why) => failed(why),
                Ok(all) => match all.iter().position(|one| one.probe == probe) {
                    None => failed("the vantage has no write record of the probe"),
                    Some(at) => {
                        let found = all.swap_remove(at);
                        let time = |us: u64| (us > 0).then(|| at_us(&found.boot_id, us))?;
                        let example = |one: &Example| WriteExample {
                            seq: one.seq,
                            due_us: time(one.due_us),
                            at_us: time(one.at_us),
                            late: one.late,
                            cause: one.cause.clone(),
                        };
                        WritesRead {
                            counts: found.counts,
                            lost: found.lost.iter().take(EXAMPLES).map(example).collect(),
                            ghosts: found.ghosts.iter().take(EXAMPLES).map(example).collect(),
                            failed: found.failed.clone(),
                            ..nothing
                        }
                    }
                },
            }
        };
        self.probes.clone().into_iter().map(one).map(Event::WritesRead).collect()
    }
}
