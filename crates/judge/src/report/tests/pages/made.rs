//! The simulated drills from which the tests render pages.

use std::collections::BTreeMap;

use firedrill_plan::plan::model::{Alert, AlertGoal, Asks, LogGoal, LogObjective, Metric, MetricGoal, Phase};
use firedrill_sources::{AlertQuery, AlertSeen};
use firedrill_wire::{Span, evidence::Seen, journal::What, logs::LogSpec};

use super::super::Log;
use crate::{
    log::{Event, HostLog, Record, Sample},
    testing::{Drill, HOLD, S},
};

/// Returns a drill with one attack that held, and with a vantage on a target.
pub(super) fn held() -> Drill {
    let mut drill = Drill::one();
    drill.vantages = vec!["coordinator", "canary", "app1"];
    drill.bins = Box::new(|vantage, second, bin| {
        let on_target = vantage == "app1" && (21..80).contains(&second);
        Some(if on_target { crate::testing::bin("buy", second, 40, 60) } else { bin })
    });
    drill
}

/// Returns a drill with one attack that held, and one in which requests failed until the heal and shortly after it.
pub(super) fn violated() -> Drill {
    let mut drill = Drill::good();
    drill.acts[1].bad = vec![(0..14, 40), (14..HOLD, 6), (HOLD..HOLD + 6, 12)];
    let start = Drill::start(1);
    drill.extra = vec![
        (start + 20, Event::LinkLost { host: "db2".to_owned(), why: "no answer within 5 s".to_owned() }),
        (start + 31, Event::LinkBack { host: "db2".to_owned(), rebooted: false }),
    ];
    drill
}

/// Returns the record of an agent about one second of a log, with `matched` matching lines.
pub(super) fn read(log: &str, host: &str, second: i64, matched: u64) -> HostLog {
    HostLog {
        log: log.to_owned(),
        host: host.to_owned(),
        from_us: second * S,
        until_us: (second + 1) * S,
        lines: 40 + matched,
        matched,
        first_us: (matched > 0).then_some(second * S),
        last_us: (matched > 0).then_some((second + 1) * S),
        ..HostLog::default()
    }
}

/// Returns the definition of a log that agents read on some hosts.
pub(super) fn logged(name: &str, on: &[&str]) -> firedrill_plan::plan::model::Log {
    firedrill_plan::plan::model::Log {
        spec: LogSpec {
            name: name.to_owned(),
            file: format!("/var/log/{name}.log"),
            matches: "ERROR".to_owned(),
            lines: 3,
        },
        on: on.iter().map(|host| (*host).to_owned()).collect(),
    }
}

/// Returns the definition of a metric that is judged in the fault and the recovery.
pub(super) fn metric(name: &str, unit: &str) -> Metric {
    Metric {
        name: name.to_owned(),
        source: "prometheus".to_owned(),
        asks: Asks::One { query: "rate(shop_errors_total[1m])".to_owned() },
        goal: MetricGoal::Below(0.05),
        every: Span::secs(5),
        lag: Span::secs(5),
        stale_after: Span::secs(15),
        window: Span::ZERO,
        unit: unit.to_owned(),
        during: vec![Phase::Fault, Phase::Recovery],
    }
}

/// Returns the answer of a source with one sample, whose upper value is `high`.
pub(super) fn sampled(objective: &str, second: i64, high: f64) -> Event {
    let sample = Sample {
        at_us: second * S,
        window_us: 0,
        own_us: 0,
        age_us: 0,
        low: None,
        high: Some(high),
        total: None,
        series: 1,
        behind: Vec::new(),
        lacks: None,
        lost: 0,
    };
    Event::Sampled {
        objective: objective.to_owned(),
        until_us: second * S,
        samples: vec![sample],
        unsure_us: 1_000,
        took_us: 2_000,
        failed: None,
        again: false,
    }
}

/// Returns the log of a drill whose second attack is also judged by a source, an alert and a log.
pub(super) fn with_source(drill: &Drill) -> Log {
    // Seconds in which neither the source nor the log of app2 is read.
    const SILENT: std::ops::Range<i64> = 195..211;
    let mut records = drill.records();
    if let Event::RunStarted { plan, .. } = &mut records[0].event {
        plan.metrics = vec![metric("error rate", "errors/s")];
        plan.alerts = vec![Alert {
            name: "alerted".to_owned(),
            source: "alertmanager".to_owned(),
            query: AlertQuery { name: "CheckoutErrors".to_owned(), labels: BTreeMap::new() },
            goal: AlertGoal::DetectWithin(Span::secs(20)),
            every: Span::secs(1),
        }];
        plan.logs = vec![logged("shop", &["app1", "app2", "db2"])];
        plan.log_objectives = vec![LogObjective {
            name: "quiet".to_owned(),
            log: "shop".to_owned(),
            goal: LogGoal::RateBelow("5/s".parse().unwrap()),
            during: vec![Phase::Fault, Phase::Recovery],
        }];
        plan.attacks[1].judge.extend(["error rate", "alerted", "quiet"].map(str::to_owned));
    }
    let end = records.pop().unwrap();
    let mut add = |at: i64, event| records.push(Record { at_us: at * S, event, ..end.clone() });
    let fault = Drill::start(1);
    for second in (130..260).step_by(5).filter(|second| !SILENT.contains(second)) {
        let base = if second > fault { 0.07 } else { 0.002 };
        add(second, sampled("error rate", second, base + (second % 7) as f64 * 0.002));
    }
    for second in 130..260 {
        let firing = (fault + 9..fault + 75).contains(&second);
        let alert = AlertSeen {
            id: "CheckoutErrors".to_owned(),
            what: "CheckoutErrors".to_owned(),
            since_us: None,
            precise_to_us: None,
            forgotten_us: None,
            hushed: None,
        };
        add(
            second,
            Event::AlertSeen {
                objective: "alerted".to_owned(),
                asked_us: second * S,
                answered_us: second * S + 9_000,
                clock: None,
                firing: if firing { vec![alert] } else { Vec::new() },
                failed: None,
            },
        );
    }
    for second in 1..260 {
        for host in ["app1", "app2", "db2"] {
            let faulty = host == "app2" && (fault..fault + HOLD + 6).contains(&second);
            let matched = if faulty { 12 + u64::try_from(second * 7 % 5).unwrap() } else { 0 };
            // The log of app2 cannot be read for a time.
            if host == "app2" && SILENT.contains(&second) {
                continue;
            }
            add(second + 1, Event::HostLog(read("shop", host, second, matched)));
        }
    }
    records.push(end);
    numbered(records)
}

/// Sorts records by time, numbers them, and returns their log.
pub(super) fn numbered(mut records: Vec<Record>) -> Log {
    records.sort_by_key(|record| record.at_us);
    for (place, record) in records.iter_mut().enumerate() {
        record.seq = u64::try_from(place).unwrap() + 1;
    }
    Log::of(&records)
}

/// Returns the log of a drill whose fault affected nothing, with the text that an agent would report.
pub(super) fn met_nothing(drill: &Drill) -> Log {
    let mut records = drill.records();
    for record in &mut records {
        if let Event::Agent { what, .. } = &mut record.event
            && let What::Looked { evidence, .. } = &mut what.what
        {
            "the service is stopped; nothing asked for it".clone_into(&mut evidence.detail);
        }
    }
    Log::of(&records)
}

/// Returns a drill whose fault affected nothing, and with a vantage that did not measure for ten seconds.
pub(super) fn unknown() -> Drill {
    let mut drill = Drill::one();
    drill.acts[0].bad = Vec::new();
    drill.acts[0].exercised = Seen::No;
    drill.bins =
        Box::new(|vantage, second, bin| (vantage != "canary" || !(50..60).contains(&second)).then_some(bin));
    drill
}
