//! Prints numbers, one on each line, with the target beside it.

use std::{fs, time::Duration};

/// Prints one number.
pub(crate) fn line(what: &str, seen: &str, target: &str) {
    if target.is_empty() {
        println!("  {what:<58} {seen}");
    } else {
        println!("  {what:<58} {seen:<44} target: {target}");
    }
}

/// Prints a remark on the numbers.
pub(crate) fn note(text: &str) {
    println!("  ({text})");
}

/// Measured times, in order from shortest to longest.
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut all: Vec<Duration>) -> Self {
        all.sort();
        Self(all)
    }

    /// Takes times in microseconds.
    pub(crate) fn micros(all: &[u64]) -> Self {
        Self::new(all.iter().map(|us| Duration::from_micros(*us)).collect())
    }

    /// Returns the percentile: the smallest time that at least this many per cent of the times do not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// Returns the ratio of the median to that of other times, in words.
    pub(crate) fn ratio(&self, others: &Self) -> String {
        let (own, other) = (self.percentile(50).as_secs_f64(), others.percentile(50).as_secs_f64());
        if other == 0.0 { "of nothing".to_owned() } else { format!("{:.2} times as long", own / other) }
    }

    /// Returns the given percentiles: `p50 1.20 ms, p99 3.40 ms of 200`. Percentile 100 is the maximum.
    pub(crate) fn show(&self, percents: &[usize]) -> String {
        let one = |percent: &usize| match percent {
            100 => format!("max {}", millis(self.percentile(100))),
            percent => format!("p{percent} {}", millis(self.percentile(*percent))),
        };
        format!("{} of {}", percents.iter().map(one).collect::<Vec<_>>().join(", "), self.0.len())
    }
}

/// Returns a time in milliseconds: `1.20 ms`.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// Returns a size in MiB: `7.9 MiB`.
pub(crate) fn mib(kib: u64) -> String {
    let tenths = (kib * 10 + 512) / 1024;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Returns the text of an error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Prints the machine on which this is measured, and its load.
pub(crate) fn machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = read("/proc/cpuinfo");
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, m)| m));
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    println!(
        "{cores} cores ({}), Linux {}, load {} (others' work on this machine makes all of this worse)",
        model.unwrap_or("unknown"),
        kernel.trim(),
        load.split(' ').next().unwrap_or("unknown"),
    );
}
