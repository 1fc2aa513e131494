//! Asks a source.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use firedrill_probe::{Anything, Fetched, Fetcher};
use firedrill_wire::probe::{HttpProbe, Refusal};

use crate::{AlertQuery, AlertSeen, Behind, Metrics, Point, Question, SourceKind, clock::date_us};

/// Asks one source.
#[expect(missing_debug_implementations, reason = "it may hold a token")]
pub struct Asker {
    kind: SourceKind,
    timeout: Duration,
    fetcher: Fetcher,
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked<T> {
    /// What it says, such as points in the order of time.
    pub says: T,
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
        let request = kind.metrics().map_or_else(|| kind.request(), |metrics| metrics.question(&sample));
        let fetcher = Fetcher::new(&request, names, &Anything)?;
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
    pub async fn ask(&self, question: &Question) -> Result<Asked<Vec<Point>>, String> {
        let metrics = self.metrics()?;
        self.read(&metrics.question(question), |status, body| metrics.points(status, body)).await
    }

    /// Asks once for the data behind other queries, by the query of [`crate::Metrics::behind_query`].
    ///
    /// # Errors
    /// There is no answer, or it is none to the question; a clause for people.
    pub async fn behind(&self, question: &Question) -> Result<Asked<Vec<Behind>>, String> {
        let metrics = self.metrics()?;
        self.read(&metrics.question(question), |status, body| metrics.behind(status, body)).await
    }

    /// Asks once whether an alert is firing.
    ///
    /// # Errors
    /// There is no answer, or it is none to the question; a clause for people.
    pub async fn alert(&self, query: &AlertQuery) -> Result<Asked<Vec<AlertSeen>>, String> {
        let alerts = self.kind.alerts().ok_or_else(|| format!("{} has no alerts", self.kind.name()))?;
        self.read(&alerts.ask(query), |status, body| alerts.firing(query, status, body)).await
    }

    fn metrics(&self) -> Result<&dyn Metrics, String> {
        self.kind.metrics().ok_or_else(|| format!("{} has no metrics", self.kind.name()))
    }

    async fn read<T>(
        &self,
        request: &HttpProbe,
        read: impl Fn(u16, &[u8]) -> Result<T, String>,
    ) -> Result<Asked<T>, String> {
        let answer = self.fetch(request).await?;
        Ok(Asked {
            says: read(answer.status, &answer.body)?,
            date_us: answer.date.as_deref().and_then(date_us),
            sent_us: answer.sent_us,
            received_us: answer.received_us,
        })
    }

    async fn fetch(&self, request: &HttpProbe) -> Result<Fetched, String> {
        let answer = self.fetcher.fetch(request, self.timeout, &Anything).await?;
        if (300..=399).contains(&answer.status) {
            return Err(format!("status {}: it sends the question elsewhere; give that url", answer.status));
        }
        Ok(answer)
    }
}
