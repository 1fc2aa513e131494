//! The bins of hosts' logs that the log of a run has already. With them a run that is finished later takes no bin twice, and loses none.

use std::collections::BTreeMap;

use firedrill_wire::logs::LogBin;

use super::ROUNDING_US;
use crate::log::HostLog;

/// The newest record of each log of each host.
#[derive(Debug, Default)]
pub(in crate::run) struct Had {
    newest: BTreeMap<(String, String), Newest>,
    /// Time at which each host last began to read anew. Its agent was restarted and counts bins from 1 again.
    anew_us: BTreeMap<String, i64>,
}

#[derive(Debug)]
struct Newest {
    bin: u64,
    until_us: i64,
}

impl Had {
    /// Notes the next record.
    pub(in crate::run) fn note(&mut self, record: &HostLog) {
        let new = Newest { bin: record.bin, until_us: record.until_us };
        if let Some(old) = self.newest.insert((record.host.clone(), record.log.clone()), new)
            && (record.bin <= old.bin || record.from_us > old.until_us + ROUNDING_US)
        {
            // Bins of one agent have no gaps between them, and their numbers rise.
            let anew_us = self.anew_us.entry(record.host.clone()).or_insert(record.from_us);
            *anew_us = record.from_us.max(*anew_us);
        }
    }

    /// Returns the number after which bins of a host are asked for. The logs of a host share their numbers, and the quiet
    /// stretch of one is recorded after later bins of another, so it is the smallest of theirs.
    pub(in crate::run) fn after<'n>(&self, host: &str, logs: impl IntoIterator<Item = &'n str>) -> u64 {
        let anew_us = self.anew_us.get(host).copied().unwrap_or(i64::MIN);
        let number = |log: &str| {
            let newest = self.newest.get(&(host.to_owned(), log.to_owned()))?;
            // An older number says nothing about the agent that runs now.
            (newest.until_us > anew_us).then_some(newest.bin)
        };
        logs.into_iter().map(|log| number(log).unwrap_or(0)).min().unwrap_or(0)
    }

    /// Whether it has a bin, which begins at that time of the run. The number alone does not say it: a restarted agent uses
    /// it again, later.
    pub(super) fn has(&self, host: &str, bin: &LogBin, from_us: i64) -> bool {
        let newest = self.newest.get(&(host.to_owned(), bin.log.clone()));
        newest.is_some_and(|had| bin.seq <= had.bin && from_us < had.until_us + ROUNDING_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Event;
    use crate::run::{clock::signed, host_logs::HostLogs};

    const SECOND: u64 = 1_000_000;

    fn bin(log: &str, seq: u64, second: u64) -> LogBin {
        LogBin {
            seq,
            log: log.to_owned(),
            start_boot_us: second * SECOND,
            length_us: SECOND,
            matched: 1,
            ..LogBin::default()
        }
    }

    /// A run that had recorded these bins (log, number, second).
    fn had(bins: &[(&str, u64, u64)]) -> Had {
        let mut had = Had::default();
        let mut logs = HostLogs::keeping(BTreeMap::new());
        for (log, seq, second) in bins {
            for event in logs.take("h", &bin(log, *seq, *second), |us| Some(signed(us)), |_| 0) {
                if let Event::HostLog(record) = event {
                    had.note(&record);
                }
            }
        }
        had
    }

    /// Returns the numbers that a later run takes of what the agent has.
    fn taken(had: Had, bins: &[(&str, u64, u64)]) -> Vec<u64> {
        let after = had.after("h", ["a", "b"]);
        let mut logs = HostLogs::keeping(BTreeMap::new());
        logs.resume(had);
        let sent = bins.iter().filter(|(_, seq, _)| *seq > after);
        let records = sent.flat_map(|(log, seq, second)| {
            logs.take("h", &bin(log, *seq, *second), |us| Some(signed(us)), |_| 0)
        });
        records
            .filter_map(|event| if let Event::HostLog(one) = event { Some(one.bin) } else { None })
            .collect()
    }

    #[test]
    fn the_smallest_number_is_asked_after_and_nothing_is_taken_twice() {
        let before = [("b", 1, 0), ("a", 2, 0), ("b", 3, 1), ("b", 5, 2)];
        assert_eq!(had(&before).after("h", ["a", "b"]), 2);
        let agent = [("b", 1, 0), ("a", 2, 0), ("b", 3, 1), ("a", 4, 1), ("b", 5, 2), ("a", 6, 2)];
        assert_eq!(taken(had(&before), &agent), [4, 6]);
        assert_eq!(had(&before).after("h", ["a", "b", "c"]), 0, "nothing was recorded of a log");
        assert_eq!(Had::default().after("h", ["a"]), 0);
    }

    #[test]
    fn a_restarted_agent_is_asked_after_its_own_numbers() {
        let both =
            [("a", 599, 299), ("b", 600, 299), ("a", 1, 310), ("b", 2, 310), ("a", 49, 334), ("b", 50, 334)];
        let now = had(&both);
        assert_eq!(now.after("h", ["a", "b"]), 49);
        assert_eq!(taken(now, &[("a", 49, 334), ("b", 50, 334), ("a", 51, 335), ("b", 52, 335)]), [51, 52]);
    }

    #[test]
    fn bins_that_a_restarted_agent_made_of_a_log_without_news_are_taken() {
        // The newest record of `b` is from before the restart.
        let agent = [("a", 1, 20), ("b", 2, 20), ("a", 3, 21), ("b", 4, 21)];
        for before in [[("b", 600, 9), ("a", 599, 9), ("a", 1, 20)], [("b", 1, 9), ("a", 2, 9), ("a", 3, 21)]]
        {
            assert_eq!(had(&before).after("h", ["a", "b"]), 0);
        }
        assert_eq!(taken(had(&[("b", 600, 9), ("a", 599, 9), ("a", 1, 20)]), &agent), [2, 3, 4]);
        assert_eq!(taken(had(&[("b", 1, 9), ("a", 2, 9), ("a", 3, 21)]), &agent), [2, 4]);
    }
}
