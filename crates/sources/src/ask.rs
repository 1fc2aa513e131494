//! Asks a source.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use firedrill_probe::{Anything, Fetcher};
use firedrill_wire::probe::Refusal;

use crate::{Point, Question, SourceKind, clock::date_us};

/// Asks one source.
#[expect(missing_debug_implementations, reason = "it may hold a token")]
pub struct Asker {
    kind: SourceKind,
    timeout: Duration,
    fetcher: Fetcher,
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What it says, in the order of time.
    pub points: Vec<Point>,
    /// The header `Date`, in microseconds since 1970.
    pub date_us: Option<i64>,
    /// When it was asked, by the clock of [`firedrill_probe::clock`].
    pub sent_us: u64,
    /// When the answer was whole.
    pub received_us: u64,
}

impl Asker {
    /// The way to a source. Reads authorities and secrets, and sends nothing. `names` are addresses that the fleet gives to names.
    ///
    /// # Errors
    /// All that cannot be asked, or cannot be read on this machine.
    pub fn new(
        kind: &SourceKind,
        timeout: Duration,
        names: &BTreeMap<String, Vec<IpAddr>>,
    ) -> Result<Self, Vec<Refusal>> {
        let sample = Question { query: "q".to_owned(), from_us: 0, until_us: 0, step_us: 1_000_000 };
        let fetcher = Fetcher::new(&kind.as_kind().question(&sample), names, &Anything)?;
        Ok(Self { kind: kind.clone(), timeout, fetcher })
    }

    /// Returns the source.
    #[must_use]
    pub const fn kind(&self) -> &SourceKind {
        &self.kind
    }

    /// Asks once.
    ///
    /// # Errors
    /// There is no answer, or it is none to the question; a clause for people.
    pub async fn ask(&self, question: &Question) -> Result<Asked, String> {
        let kind = self.kind.as_kind();
        let answer = self.fetcher.fetch(&kind.question(question), self.timeout, &Anything).await?;
        if (300..=399).contains(&answer.status) {
            return Err(format!("status {}: it sends the question elsewhere; give that url", answer.status));
        }
        Ok(Asked {
            points: kind.points(answer.status, &answer.body)?,
            date_us: answer.date.as_deref().and_then(date_us),
            sent_us: answer.sent_us,
            received_us: answer.received_us,
        })
    }
}
