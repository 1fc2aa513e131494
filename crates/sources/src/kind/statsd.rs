//! `statsd`: packets of StatsD and DogStatsD, which the coordinator listens for.

use std::{collections::BTreeMap, net::SocketAddr};

use firedrill_wire::{
    Span,
    probe::{Field, Refusal},
};
use serde::{Deserialize, Serialize};

use super::{Form, Kind, Listens, Metrics, Missing, Way, Written};
use crate::{
    alert::Alerts,
    statsd::{Listener, Query, Reads, Selector, Wanted},
};

/// The longest silence of a sender that counts as alive, unless the source sets another.
const ALIVE_WITHIN: Span = Span::secs(5);
/// The longest silence that may be set. The verdict of each attack waits that long.
const LONGEST_ALIVE_WITHIN: Span = Span::secs(300);

/// Packets of StatsD, and of DogStatsD. The coordinator listens for them by UDP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Statsd {
    /// The address and port on which it listens, such as `127.0.0.1:8126`.
    pub listen: String,
    /// The address and port to which each packet is passed on as it is, such as that of the daemon that had them so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<String>,
    /// The longest silence of a sender that is alive. An interval in which a metric is not sent is 0 only if its senders are.
    #[serde(default = "Statsd::alive_within")]
    #[schemars(extend("default" = ALIVE_WITHIN))]
    pub alive_within: Span,
    /// The meaning of a sign before a gauge's value, as in `queue:-3|g`: a change of the value as StatsD has it, or a number as DogStatsD has
    /// it.
    #[serde(default)]
    pub signed_gauges: SignedGauges,
}

/// The meaning of a sign before a gauge's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignedGauges {
    /// The value changes by the number.
    #[default]
    Change,
    /// The number is the value.
    Value,
}

impl SignedGauges {
    /// Whether the number is a change of the value.
    const fn is_change(self) -> bool {
        matches!(self, Self::Change)
    }
}

impl Form for Statsd {
    const EXAMPLE: &'static str = "{ listen = \"127.0.0.1:8126\" }";

    fn without_secrets(&self) -> Self {
        self.clone()
    }
}

impl Statsd {
    const fn alive_within() -> Span {
        ALIVE_WITHIN
    }

    /// Returns the address to which packets are passed on; `None` if there is none or it is not valid.
    fn forward(&self) -> Option<SocketAddr> {
        self.forward.as_ref()?.parse().ok()
    }
}

impl Kind for Statsd {
    fn way(&self) -> Way<'_> {
        Way::Listens(self)
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut wrong = Vec::new();
        let mut check_address = |key: &str, text: &str| {
            let field = Field::request(&[key]);
            match text.parse::<SocketAddr>() {
                Err(_) => wrong.push(Refusal::new(
                    field,
                    format!("`{text}` is not an address with a port"),
                    "no name, no path",
                    "for example \"127.0.0.1:8126\" or \"[::1]:8126\"",
                )),
                Ok(address) if address.port() == 0 => wrong.push(Refusal::new(
                    field,
                    format!("`{text}` has port 0, to which nobody can send"),
                    "no port",
                    "for example \"127.0.0.1:8126\"",
                )),
                Ok(_) => {}
            }
        };
        check_address("listen", &self.listen);
        if let Some(forward) = &self.forward {
            check_address("forward", forward);
        }
        let listen = self.listen.parse::<SocketAddr>().ok();
        let is_own = |to: SocketAddr| {
            listen.is_some_and(|at| {
                at.port() == to.port()
                    && (at.ip() == to.ip() || at.ip().is_unspecified() && to.ip().is_loopback())
            })
        };
        if self.forward().is_some_and(is_own) {
            let what = "packets are passed on to where they come in, and would never end";
            let help = "forward = \"127.0.0.1:8125\", or what else the daemon listens on";
            wrong.push(Refusal::new(Field::request(&["forward"]), what, "the same as `listen`", help));
        }
        if self.alive_within < Span::secs(1) || self.alive_within > LONGEST_ALIVE_WITHIN {
            let what = format!("a sender counts as alive for {} after a packet", self.alive_within);
            let help = "\"5s\" is usual; a little longer than the interval at which clients send";
            wrong.push(Refusal::new(Field::request(&["alive_within"]), what, "from 1s to 5m", help));
        }
        wrong
    }

    fn doubts(&self) -> Vec<Refusal> {
        let open = self.listen.parse::<SocketAddr>().is_ok_and(|at| !at.ip().is_loopback());
        let what = format!("anybody who reaches {} can send packets, which decide verdicts", self.listen);
        let help =
            "listen on 127.0.0.1 behind a repeater of this machine, or let a firewall allow the senders only";
        open.then(|| Refusal::new(Field::request(&["listen"]), what, "open to others", help))
            .into_iter()
            .collect()
    }

    fn metrics(&self) -> Option<&dyn Metrics> {
        Some(self)
    }

    fn alerts(&self) -> Option<&dyn Alerts> {
        None
    }
}

impl Listens for Statsd {
    fn address(&self) -> String {
        self.listen.clone()
    }

    fn words(&self) -> String {
        let forward = self.forward.as_ref().map_or_else(String::new, |to| format!(", passed on to {to}"));
        format!("UDP {}{forward}", self.listen)
    }

    fn open(&self, queries: &[&str]) -> Result<Listener, String> {
        let wrong = |text: &str| format!("`{text}` is not an address with a port");
        let mut parsed = Vec::new();
        for query in queries {
            let query = Query::parse(query)?;
            if !parsed.contains(&query) {
                parsed.push(query);
            }
        }
        Listener::open(Wanted {
            listen: self.listen.parse().map_err(|_| wrong(&self.listen))?,
            forward: self.forward.as_ref().map(|to| to.parse().map_err(|_| wrong(to))).transpose()?,
            within: self.alive_within.0,
            changes: self.signed_gauges.is_change(),
            queries: parsed,
        })
    }
}

impl Metrics for Statsd {
    fn key(&self) -> &'static str {
        "statsd"
    }

    fn takes(&self) -> &'static [&'static str] {
        &["tags", "value", "alive_by", "window"]
    }

    fn written(&self, text: &str, written: &Written<'_>) -> String {
        let selector = |text: &str, tags: &BTreeMap<String, String>| {
            Selector::parse(text).map(|mut selector| {
                selector.tags.extend(tags.clone());
                selector
            })
        };
        let reads = written.value.map(Reads::parse);
        let default = if written.part { Reads::Count } else { Reads::Total };
        let alive_by = written.alive_by.map(|text| selector(text, &BTreeMap::new()));
        let alive_by = alive_by.or_else(|| written.total.map(|text| selector(text, written.tags)));
        match (selector(text, written.tags), reads.unwrap_or(Some(default)), alive_by.transpose()) {
            (Ok(of), Some(reads), Ok(alive_by)) => Query {
                reads,
                alive_by: alive_by.filter(|by| *by != of || written.alive_by.is_some()),
                of,
                every: written.every,
            }
            .to_string(),
            // `wrong` names the error.
            _ => text.to_owned(),
        }
    }

    fn wrong(&self, text: &str, written: &Written<'_>) -> Vec<(&'static str, String, String)> {
        let mut wrong = Vec::new();
        let name = "a name as it is sent, such as shop.errors or shop.requests{code=\"ok\"}";
        if let Err(why) = Selector::parse(text) {
            wrong.push(("statsd", why, name.to_owned()));
        }
        // For a share, this is called for both parts, which have the rest in common.
        if written.part && written.total.is_some() {
            return wrong;
        }
        if let Some(Err(why)) = written.alive_by.map(Selector::parse) {
            wrong.push(("alive_by", why, name.to_owned()));
        }
        let values = "rate or count of counters and timings; last, min or max of gauges; p50 to p99.9, min, max or mean of timings; \
                      unique of sets";
        let reads = written.value.map(|value| (value, Reads::parse(value)));
        match reads {
            Some((value, None)) => {
                wrong.push(("value", format!("`{value}` is no value of StatsD"), values.to_owned()));
            }
            None if !written.part && !written.increase => {
                let what = "nothing says which value of the metric is meant".to_owned();
                wrong.push(("statsd", what, format!("value = \"…\": {values}")));
            }
            Some((value, Some(_))) if written.part => {
                let what = format!("`good` and `total` are counted, so there is no value `{value}`");
                wrong.push(("value", what, "leave `value` out".to_owned()));
            }
            Some((value, Some(reads))) if written.increase && reads != Reads::Total => {
                let what = format!("`increase_below` is about all that was counted, not about `{value}`");
                wrong.push(("value", what, "leave `value` out".to_owned()));
            }
            Some((_, Some(Reads::Total))) if !written.increase => {
                let what =
                    "`total` is all that was counted since the run began, which has no bound".to_owned();
                wrong.push((
                    "value",
                    what,
                    "value = \"count\" or \"rate\", or the goal increase_below".to_owned(),
                ));
            }
            _ => {}
        }
        if written.alive_by.is_some() && matches!(reads, Some((_, Some(Reads::Last)))) {
            let what = "a gauge shows by its own age whether it is sent (`stale_after`)".to_owned();
            wrong.push(("alive_by", what, "leave `alive_by` out".to_owned()));
        }
        wrong
    }

    fn least_lag(&self, query: &str) -> Span {
        match Query::parse(query) {
            Ok(Query { reads: Reads::Last, .. }) | Err(_) => Span::ZERO,
            Ok(_) => self.alive_within,
        }
    }

    fn invalid_query(&self, query: &str) -> Vec<(String, String)> {
        let help = || "for example rate(shop.errors[1s])".to_owned();
        Query::parse(query).err().map(|why| (why, help())).into_iter().collect()
    }

    fn window_us(&self, query: &str) -> i64 {
        let window = Query::parse(query).map(|query| query.window()).unwrap_or_default();
        i64::try_from(window.as_micros()).unwrap_or(i64::MAX)
    }

    fn has_steps(&self) -> bool {
        true
    }

    fn behind_query(&self, queries: &[&str]) -> Option<String> {
        Some(queries.join("\n"))
    }

    /// The series of a StatsD source are its senders, or for [`Reads::Last`] its gauges.
    fn missing(&self, query: &str) -> Missing {
        match Query::parse(query).map(|query| query.reads) {
            Ok(Reads::Count | Reads::Rate | Reads::Total | Reads::Unique | Reads::Max) => Missing::AtLeast,
            Ok(Reads::Min) => Missing::AtMost,
            Ok(Reads::Last) => Missing::Each,
            _ => Missing::Open,
        }
    }
}

#[cfg(test)]
mod tests;
