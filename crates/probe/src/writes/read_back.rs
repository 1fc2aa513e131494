//! Compares a write record with its store: two passes over what the store has, some seconds apart. Reads only, and notes in the record what it tells
//! as lost.

use std::{fmt, io, ops::Range, sync::Arc, time::Duration};

use firedrill_wire::writes::{Example, ReadBack};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    classes::{self, Pass, Writes, classify, writes},
    file::Header,
    record::Record,
    store::{Failure, MakeStore, Store},
};
use crate::clock::boot_us;

/// Time between the two passes: a store may drop records some seconds after it was whole again.
pub const PASSES_APART: Duration = Duration::from_secs(10);

/// Maximum duration of one pass.
pub const PASS_WITHIN: Duration = Duration::from_secs(60);

/// Compares the write record of one probe with its store.
#[derive(Clone)]
pub struct Reader {
    pub(crate) probe: String,
    pub(crate) record: Arc<Record>,
    pub(crate) store: MakeStore,
}

/// Prints nothing of the store, which may hold a token.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("probe", &self.probe).finish_non_exhaustive()
    }
}

/// The writes of a record.
struct Snapshot {
    writes: Writes,
    /// The flaw of the record, as a clause for people.
    flaw: Option<String>,
    /// The numbers of writes of other boots.
    elsewhere: Vec<Range<u64>>,
}

impl Reader {
    /// Compares the records of several probes at the same time. Blocks for as long as the slowest takes.
    ///
    /// # Errors
    /// This process cannot make a runtime.
    pub fn all(readers: &[Self]) -> io::Result<Vec<ReadBack>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let all = runtime.block_on(join_all(readers.iter().map(|reader| reader.read_back(PASSES_APART))));
        runtime.shutdown_background();
        Ok(all)
    }

    /// Compares the record with the store in two passes, which are `apart` from each other. Covers all writes that had ended before. Writes that
    /// are sent meanwhile do not count.
    pub async fn read_back(&self, apart: Duration) -> ReadBack {
        let began_us = boot_us();
        let mut told = ReadBack {
            probe: self.probe.clone(),
            boot_id: self.record.boot_id().to_owned(),
            began_us,
            ended_us: began_us,
            counts: None,
            lost: Vec::new(),
            ghosts: Vec::new(),
            failed: None,
        };
        match self.compared(apart).await {
            Ok((classes, flaw)) => {
                told.counts = Some(classes.counts);
                (told.lost, told.ghosts) = (classes.lost, classes.ghosts);
                told.failed = flaw;
            }
            Err(why) => told.failed = Some(why),
        }
        told.ended_us = boot_us();
        told
    }

    async fn compared(&self, apart: Duration) -> Result<(classes::Classes, Option<String>), String> {
        let unreadable = |why: io::Error| format!("the write record cannot be read: {why}");
        let Snapshot { writes: before, flaw, elsewhere } = self.snapshot().map_err(unreadable)?;
        let store = (self.store)();
        let first = self.pass(&*store, "first").await?;
        sleep(apart).await;
        let second = self.pass(&*store, "second").await?;
        let known = self.record.announced().map_err(unreadable)?;
        let mut classes = classify(&before, &known, &first, &second);
        // Times of an earlier boot have no place on this one's clock.
        let strange = |one: &&mut Example| elsewhere.iter().any(|seqs| seqs.contains(&one.seq));
        for one in classes.lost.iter_mut().chain(&mut classes.ghosts).filter(strange) {
            (one.due_us, one.at_us) = (0, 0);
        }
        let noted = self.record.missed(&classes.newly_lost);
        let flaw = flaw.or(noted.err().map(|why| format!("the write record cannot be written: {why}")));
        Ok((classes, flaw))
    }

    /// Returns the writes that the record has. Those that are under way have no outcome and would read as unknown, so they are left out.
    fn snapshot(&self) -> io::Result<Snapshot> {
        self.record.sync()?;
        let (next, open) = self.record.under_way();
        let files = self.record.read()?;
        let damaged = files.iter().any(|file| file.damaged);
        let flaw = if damaged {
            Some("the write record is damaged: it is not known which writes are missing in it")
        } else {
            self.record.flaw()?
        };
        let other =
            files.iter().map(|file| &file.header).filter(|header| header.boot_id != self.record.boot_id());
        let elsewhere = other.map(Header::seqs).collect();
        let mut all = writes(files.into_iter().flat_map(|file| file.entries));
        all.retain(|seq, _| *seq < next && !open.contains(seq));
        Ok(Snapshot { writes: all, flaw: flaw.map(str::to_owned), elsewhere })
    }

    /// Reads what the store has. `which` names the pass in the error, which is a clause for people.
    async fn pass(&self, store: &dyn Store, which: &str) -> Result<Pass, String> {
        let mut pass = Pass::default();
        let prefix = self.record.prefix();
        let until = Instant::now() + PASS_WITHIN;
        let mut each = |found| pass.add(prefix, &found);
        let read = timeout_at(until, store.read_back(prefix, until, &mut each)).await;
        let why = match read {
            Ok(Ok(())) => return Ok(pass),
            Ok(Err(Failure::Bad(cause))) => cause.to_string(),
            Ok(Err(Failure::Vantage)) => "this machine could not open a connection".to_owned(),
            Err(_) => format!("it took longer than {} seconds", PASS_WITHIN.as_secs()),
        };
        Err(format!("the {which} read-back failed: {why}"))
    }
}
