//! Gauges in the OpenMetrics text format. All figures are gauges, so that readers of the older text format (the node exporter, a
//! Pushgateway) take them, too.

use std::sync::atomic::AtomicU64;

pub use prometheus_client::registry::Unit;
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

/// The names of labels and their values.
type Labels = Vec<(&'static str, String)>;

/// Gauges of one name, each with its labels.
#[derive(Clone, Default)]
pub struct Gauges(Family<Labels, Gauge<f64, AtomicU64>>);

impl Gauges {
    /// Sets a sample.
    pub fn set(&self, labels: &[(&'static str, &str)], value: f64) {
        let labels: Labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.0.get_or_create(&labels).set(value);
    }

    /// Sets a sample, if its value is known. A figure that is not known has no sample.
    pub fn set_known(&self, labels: &[(&'static str, &str)], value: Option<f64>) {
        if let Some(value) = value {
            self.set(labels, value);
        }
    }
}

/// A text of gauges, whose names begin with `firedrill_`.
pub struct Exposition(Registry);

impl Default for Exposition {
    fn default() -> Self {
        Self(Registry::with_prefix("firedrill"))
    }
}

impl Exposition {
    /// Adds a name. A name without samples is not in the text.
    pub fn add(&mut self, name: &str, help: &str, unit: Option<Unit>) -> Gauges {
        let gauges = Gauges::default();
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, gauges.0.clone()),
            None => self.0.register(name, help, gauges.0.clone()),
        }
        gauges
    }

    /// Returns the text, the samples of each name in order.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0);
        in_order(&text)
    }
}

/// Puts the samples of each name in order. In the registry they have no fixed order.
fn in_order(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut parts: Vec<Vec<&str>> = lines
        .chunk_by(|one, other| one.starts_with('#') == other.starts_with('#'))
        .map(<[&str]>::to_vec)
        .collect();
    for part in parts.iter_mut().filter(|part| !part[0].starts_with('#')) {
        part.sort_unstable();
    }
    parts.concat().iter().map(|line| format!("{line}\n")).collect()
}
