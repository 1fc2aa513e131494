//! The bins of hosts' logs that the run's log has already. A run that is finished after its coordinator died uses them to take no bin twice,
//! and to lose none.

use std::collections::BTreeMap;

use firedrill_wire::logs::LogBin;

use super::ROUNDING_US;
use crate::log::HostLog;

/// The newest record of each log of each host.
#[derive(Debug, Default)]
pub(in crate::run) struct Had {
    newest: BTreeMap<(String, String), Newest>,
    /// The last time at which the agent of a host was restarted, as far as the records show it: then the agent numbers bins from 1 again.
    anew_us: BTreeMap<String, i64>,
}

#[derive(Debug)]
struct Newest {
    bin: u64,
    until_us: i64,
}

impl Had {
    /// Takes the next record of the run's log.
    pub(in crate::run) fn note(&mut self, record: &HostLog) {
        let new = Newest { bin: record.bin, until_us: record.until_us };
        if let Some(old) = self.newest.insert((record.host.clone(), record.log.clone()), new)
            && (record.bin <= old.bin || record.from_us > old.until_us + ROUNDING_US)
        {
            // Without a restart, bins follow each other without gaps, and their numbers rise. So this is the first record after a restart.
            let anew_us = self.anew_us.entry(record.host.clone()).or_insert(record.from_us);
            *anew_us = record.from_us.max(*anew_us);
        }
    }

    /// Returns the number after which bins of a host are requested: the smallest number of the newest records of its logs. All logs of a host
    /// share one sequence of numbers, and a quiet stretch of one log is recorded after later bins of another.
    pub(in crate::run) fn after<'n>(&self, host: &str, logs: impl IntoIterator<Item = &'n str>) -> u64 {
        let anew_us = self.anew_us.get(host).copied().unwrap_or(i64::MIN);
        let number = |log: &str| {
            let newest = self.newest.get(&(host.to_owned(), log.to_owned()))?;
            // Numbers from before the restart belong to another sequence.
            (newest.until_us > anew_us).then_some(newest.bin)
        };
        logs.into_iter().map(|log| number(log).unwrap_or(0)).min().unwrap_or(0)
    }

    /// Whether the run's log has a bin that begins at `from_us` on the run's clock. The number alone does not tell, because a restarted agent
    /// uses it again at a later time.
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

    /// The state after a run has recorded these bins (log, number, second).
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

    /// Returns the numbers of the bins that a later coordinator takes, if the agent has `bins`.
    fn taken(had: Had, bins: &[(&str, u64, u64)]) -> Vec<u64> {
        let after = had.after("h", ["a", "b"]);
        let mut logs = HostLogs::keeping(BTreeMap::new());
        logs.resume(had);
        let sent = bins.iter().filter(|(_, seq, _)| *seq > after);
        let records = sent.flat_map(|(log, seq, second)| {
            logs.take("h", &bin(log, *seq, *second), |us| Some(signed(us)), |_| 0)
        });
        records
            .filter_map(|event| if let Event::HostLog(record) = event { Some(record.bin) } else { None })
            .collect()
    }

    #[test]
    fn bins_after_the_smallest_number_are_requested_and_none_is_taken_twice() {
        let before = [("b", 1, 0), ("a", 2, 0), ("b", 3, 1), ("b", 5, 2)];
        assert_eq!(had(&before).after("h", ["a", "b"]), 2);
        let agent = [("b", 1, 0), ("a", 2, 0), ("b", 3, 1), ("a", 4, 1), ("b", 5, 2), ("a", 6, 2)];
        assert_eq!(taken(had(&before), &agent), [4, 6]);
        assert_eq!(had(&before).after("h", ["a", "b", "c"]), 0, "nothing was recorded of a log");
        assert_eq!(Had::default().after("h", ["a"]), 0);
    }

    #[test]
    fn after_a_restart_only_the_new_numbers_count() {
        let both =
            [("a", 599, 299), ("b", 600, 299), ("a", 1, 310), ("b", 2, 310), ("a", 49, 334), ("b", 50, 334)];
        let now = had(&both);
        assert_eq!(now.after("h", ["a", "b"]), 49);
        assert_eq!(taken(now, &[("a", 49, 334), ("b", 50, 334), ("a", 51, 335), ("b", 52, 335)]), [51, 52]);
    }

    #[test]
    fn bins_after_a_restart_are_taken_also_if_a_log_has_no_record_since() {
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
