//! Logs of hosts that their agents read: starts and stops the readers, and turns their bins into records of the run's log. A stretch without a
//! matching line becomes one record, and of the matching lines in a phase only the first ones are kept.

mod had;

pub(super) use had::Had;

use std::collections::{BTreeMap, BTreeSet};

use firedrill_wire::{
    RunId,
    logs::{LogBin, StartLogs},
};
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{facts::Facts, follow::Follow, peers::Peers, probe_specs::at_most, tasks::Tasks, watchers};
use crate::{
    link::Agent,
    log::{Event, HostLog, KeptLine},
    plan::Plan,
};

/// Maximum length of a stretch without a matching line in one record, in microseconds.
const QUIET_US: i64 = 10_000_000;
/// Maximum gap or overlap between two bins that follow each other, in microseconds: times are rounded, and clocks are measured anew.
const ROUNDING_US: i64 = 20_000;

/// The logs of a run.
pub(super) struct HostLogs {
    /// Maximum number of lines of each log that are kept in a phase.
    most: BTreeMap<String, usize>,
    /// Hosts whose bins are still read.
    reading: BTreeSet<String>,
    /// Cancelled when nothing more is to be read. Until then readers are started again when their agent restarts.
    wanted: CancellationToken,
    /// The state of each log, by host and log.
    all: BTreeMap<(String, String), OfLog>,
    /// The bins that the run's log has already, if an earlier coordinator of the run died.
    had: Had,
}

/// One log of a host.
#[derive(Default)]
struct OfLog {
    /// A stretch without a matching line that is not in the run's log yet, because it may become longer.
    quiet: Option<HostLog>,
    /// The end of the newest bin, in microseconds on the run's clock.
    until_us: i64,
    /// The phase of the newest matching line.
    phase: usize,
    /// Number of lines that were kept in this phase.
    kept: usize,
}

impl Drop for HostLogs {
    fn drop(&mut self) {
        self.wanted.cancel();
    }
}

/// Returns the request for each host that reads logs.
fn requests(plan: &Plan) -> BTreeMap<&str, StartLogs> {
    let mut requests: BTreeMap<&str, StartLogs> = BTreeMap::new();
    let empty =
        || StartLogs { logs: Vec::new(), at_most: at_most(plan), environment: plan.environment.clone() };
    for log in &plan.logs {
        for host in &log.on {
            requests.entry(host).or_insert_with(empty).logs.push(log.spec.clone());
        }
    }
    requests
}

impl HostLogs {
    /// The logs of a plan; none is read yet.
    pub(super) fn new(plan: &Plan) -> Self {
        let most = plan.logs.iter().map(|log| (log.spec.name.clone(), log.spec.lines as usize));
        Self::keeping(most.collect())
    }

    /// Logs with these maximum numbers of lines.
    fn keeping(most: BTreeMap<String, usize>) -> Self {
        let (reading, all) = (BTreeSet::new(), BTreeMap::new());
        Self { most, reading, wanted: CancellationToken::new(), all, had: Had::default() }
    }

    /// Leaves out the bins that the run's log has already.
    pub(super) fn resume(&mut self, had: Had) {
        self.had = had;
    }

    /// Starts all readers. The error is a log that cannot be read; then no attack runs.
    pub(super) async fn start(&mut self, facts: &Facts, peers: &Peers, tasks: &Tasks) -> Result<(), String> {
        let calls = requests(&facts.plan).into_iter().filter_map(|(host, start)| {
            let agent = peers.agent(host)?.clone();
            Some(async move { (host, agent.start_logs(&facts.id, &start).await, agent, start) })
        });
        let mut failed = Vec::new();
        for (host, answer, agent, start) in join_all(calls.collect::<Vec<_>>()).await {
            match answer {
                Ok(()) => self.follow(host, &agent, (&facts.id, 0, Some(start)), tasks),
                Err(error) => failed.push(format!("{host} cannot read logs: {error}")),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        self.stop(facts, peers).await;
        Err(failed.join("; "))
    }

    /// Starts to take the bins of a host after number `after`. With `start` the reader is started again if the agent restarts.
    pub(super) fn follow(
        &mut self,
        host: &str,
        agent: &Agent,
        (run, after, start): (&RunId, u64, Option<StartLogs>),
        tasks: &Tasks,
    ) {
        self.reading.insert(host.to_owned());
        let again = start.map(|start| (start, self.wanted.clone()));
        let follow = Follow { run: run.clone(), after, again };
        watchers::log_bins(host.to_owned(), agent.clone(), follow, tasks);
    }

    /// Notes that a host will send no more bins.
    pub(super) fn ended(&mut self, host: &str) {
        self.reading.remove(host);
    }

    /// Whether all bins have arrived, except those of hosts that cannot be reached.
    pub(super) fn all_in(&self, peers: &Peers) -> bool {
        self.reading.iter().all(|host| peers.agent(host).is_some() && !peers.is_reachable(host))
    }

    /// Whether all bins up to the time `us` on the run's clock have arrived, except those of hosts that cannot be reached.
    pub(super) fn are_read_until(&self, us: i64, peers: &Peers) -> bool {
        let late = |((host, _), log): (&(String, String), &OfLog)| {
            log.until_us < us && self.reading.contains(host) && peers.is_reachable(host)
        };
        !self.all.iter().any(late)
    }

    /// Stops all readers. Their last bins arrive afterwards.
    pub(super) async fn stop(&self, facts: &Facts, peers: &Peers) {
        self.wanted.cancel();
        let calls = self.reading.iter().filter_map(|host| {
            let agent = peers.agent(host)?.clone();
            // An error is ignored: the readers of an agent that cannot be reached end by themselves.
            Some(async move { drop(agent.stop_logs(&facts.id).await) })
        });
        join_all(calls).await;
    }

    /// Takes a bin. Returns the records that are complete now. `at_us` converts a time of the bin's boot to the run's clock, and `phase` returns
    /// the number of the phase at a time.
    pub(super) fn take(
        &mut self,
        host: &str,
        bin: &LogBin,
        at_us: impl Fn(u64) -> Option<i64>,
        phase: impl Fn(i64) -> usize,
    ) -> Vec<Event> {
        let end_us = bin.start_boot_us.saturating_add(bin.length_us);
        let (Some(from_us), Some(until_us)) = (at_us(bin.start_boot_us), at_us(end_us)) else {
            return Vec::new();
        };
        if self.had.has(host, bin, from_us) {
            return Vec::new();
        }
        let most = self.most.get(&bin.log).copied().unwrap_or(0);
        let state = self.all.entry((host.to_owned(), bin.log.clone())).or_default();
        let mut new = HostLog {
            log: bin.log.clone(),
            host: host.to_owned(),
            bin: bin.seq,
            from_us,
            until_us,
            lines: bin.lines,
            matched: bin.matched,
            first_us: bin.first_boot_us.and_then(&at_us),
            last_us: bin.last_boot_us.and_then(&at_us),
            cut: bin.cut,
            missed: bin.missed.clone(),
            absent: bin.absent.clone(),
            kept: Vec::new(),
        };
        for line in &bin.kept {
            let Some(at_us) = at_us(line.boot_us) else { continue };
            let now = phase(at_us);
            if now != state.phase {
                (state.phase, state.kept) = (now, 0);
            }
            if state.kept < most {
                state.kept += 1;
                new.kept.push(KeptLine { at_us, text: line.text.clone() });
            }
        }
        // The newest bin is not always the last to arrive: bins about lines that the journal dropped come later than others of their time.
        state.until_us = state.until_us.max(until_us);
        if !new.is_quiet() {
            return state.quiet.take().into_iter().chain([new]).map(Event::HostLog).collect();
        }
        match &mut state.quiet {
            Some(quiet)
                if new.absent == quiet.absent
                    && (new.from_us - quiet.until_us).abs() <= ROUNDING_US
                    && new.until_us - quiet.from_us <= QUIET_US =>
            {
                quiet.lines += new.lines;
                (quiet.until_us, quiet.bin) = (new.until_us, new.bin);
                Vec::new()
            }
            quiet => quiet.replace(new).map(Event::HostLog).into_iter().collect(),
        }
    }

    /// Returns the stretches without a matching line that are not in the run's log yet.
    pub(super) fn flush(&mut self) -> Vec<Event> {
        self.all.values_mut().filter_map(|state| state.quiet.take()).map(Event::HostLog).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::clock::signed;
    use firedrill_wire::logs::LogLine;

    fn bin(second: u64, lines: &[&str]) -> LogBin {
        let kept =
            lines.iter().map(|text| LogLine { boot_us: second * 1_000_000 + 5, text: (*text).to_owned() });
        LogBin {
            seq: second,
            log: "app".to_owned(),
            start_boot_us: second * 1_000_000,
            length_us: 1_000_000,
            matched: lines.len() as u64,
            kept: kept.collect(),
            ..LogBin::default()
        }
    }

    fn take(logs: &mut HostLogs, bin: &LogBin) -> Vec<HostLog> {
        let events = logs.take("a", bin, |us| Some(signed(us)), |us| usize::from(us > 20_000_000));
        let read = |event| match event {
            Event::HostLog(record) => record,
            other => panic!("{other:?}"),
        };
        events.into_iter().map(read).collect()
    }

    #[test]
    fn quiet_seconds_become_one_record_and_the_first_lines_of_a_phase_stay() {
        let mut logs = HostLogs::keeping([("app".to_owned(), 2)].into());
        let quiet: Vec<HostLog> = (0..12).flat_map(|second| take(&mut logs, &bin(second, &[]))).collect();
        assert_eq!(
            quiet.iter().map(|record| (record.from_us, record.until_us)).collect::<Vec<_>>(),
            [(0, 10_000_000)]
        );
        let loud = take(&mut logs, &bin(12, &["one", "two", "three"]));
        assert_eq!(
            loud.iter().map(|record| (record.from_us, record.bin)).collect::<Vec<_>>(),
            [(10_000_000, 11), (12_000_000, 12)]
        );
        let texts = |records: &[HostLog]| {
            records.iter().flat_map(|record| &record.kept).map(|line| line.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(texts(&loud), ["one", "two"]);
        assert_eq!(texts(&take(&mut logs, &bin(13, &["four"]))), Vec::<String>::new());
        assert_eq!(texts(&take(&mut logs, &bin(21, &["five"]))), ["five"], "another phase");
        assert!(take(&mut logs, &bin(22, &[])).is_empty() && logs.flush().len() == 1);
    }

    #[test]
    fn neither_a_gap_nor_an_absent_file_is_part_of_a_quiet_stretch() {
        let mut logs = HostLogs::keeping([("app".to_owned(), 2)].into());
        let ends = |records: Vec<HostLog>| {
            records.iter().map(|record| (record.from_us, record.until_us)).collect::<Vec<_>>()
        };
        assert!(take(&mut logs, &bin(0, &[])).is_empty());
        assert_eq!(ends(take(&mut logs, &bin(3, &[]))), [(0, 1_000_000)]);
        let absent = LogBin { absent: Some("there is no file".to_owned()), ..bin(4, &[]) };
        assert_eq!(ends(take(&mut logs, &absent)), [(3_000_000, 4_000_000)]);
    }
}
