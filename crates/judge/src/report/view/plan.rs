//! Describes the plan on the page: its settings, probes, objectives and attacks.

use firedrill_plan::plan::model::Plan;
use serde::Serialize;

use super::alike;

/// The plan of a run, as pairs of names and texts.
#[derive(Debug, Serialize)]
pub(crate) struct PlanView {
    pub(crate) digest: String,
    pub(crate) rows: Vec<(String, String)>,
    pub(crate) probes: Vec<(String, String)>,
    pub(crate) objectives: Vec<(String, String)>,
    pub(crate) attacks: Vec<(String, String)>,
    pub(crate) warnings: Vec<String>,
}

impl PlanView {
    /// Describes a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut rows = vec![("scenario".to_owned(), plan.file.clone())];
        rows.extend(plan.environment.clone().map(|environment| ("environment".to_owned(), environment)));
        rows.extend(plan.meta.iter().map(|(key, value)| (key.clone(), value.clone())));
        rows.extend(plan.params.iter().map(|(key, value)| (format!("parameter {key}"), value.clone())));
        rows.push(("lease".to_owned(), plan.lease.to_string()));
        rows.push(("seed".to_owned(), plan.seed.to_string()));
        let hosts: Vec<_> = plan.hosts.iter().map(|host| host.name.as_str()).collect();
        rows.push(("fleet".to_owned(), firedrill_plan::alike::names(&hosts)));
        for guard in &plan.guard.abort_on {
            let text = format!("abort when {} is violated by itself over {}", guard.objective, guard.over);
            rows.push(("guard".to_owned(), text));
        }
        for source in &plan.sources {
            let at = format!("{}: {}", source.kind.name(), source.kind.place());
            let text = match source.kind.listens() {
                Some(_) => at,
                None => format!("{at}, time-out {}", source.timeout),
            };
            rows.push((format!("source {}", source.name), text));
        }
        for log in &plan.logs {
            let on = firedrill_plan::alike::names(&log.on);
            let text = format!("lines of {} on {on} that match `{}`", log.spec.file, log.spec.matches);
            rows.push((format!("log {}", log.spec.name), text));
        }
        for step in &plan.steps {
            let undo = step.does.undo().map(|undo| format!("; put back by: {undo}")).unwrap_or_default();
            let text = format!("{}, at most {}: {}{undo}", step.does.word(), step.timeout, step.does.said());
            rows.push((format!("step {}", step.name), text));
        }
        for guard in &plan.guard.abort {
            let text = format!(
                "abort when less than {} of {} is good over {}",
                guard.good_below, guard.probe, guard.over
            );
            rows.push(("guard".to_owned(), text));
        }
        Self {
            digest: plan.digest(),
            rows,
            probes: plan
                .probes
                .iter()
                .map(|probe| {
                    let from = firedrill_plan::alike::names(&probe.from);
                    let what = probe.kind.about().measures;
                    let text =
                        format!("{what}, {} a second, time-out {}, from {from}", probe.rate, probe.timeout);
                    (probe.name.clone(), text)
                })
                .collect(),
            objectives: plan
                .objectives
                .iter()
                .map(|one| (one.name.clone(), format!("{}: {}", one.probe, crate::score::goal_text(one))))
                .chain(plan.metrics.iter().map(|one| {
                    let text = format!(
                        "{}: {}: {}",
                        one.source,
                        one.asks.words(),
                        crate::score::metric::goal_text(one)
                    );
                    (one.name.clone(), text)
                }))
                .chain(plan.alerts.iter().map(|one| {
                    (one.name.clone(), format!("{}: {}", one.source, crate::score::alert::goal_text(one)))
                }))
                .chain(plan.log_objectives.iter().map(|one| {
                    let text = format!("log {}: {}", one.log, crate::score::host_log::goal_text(one));
                    (one.name.clone(), text)
                }))
                .collect(),
            attacks: plan
                .attacks
                .iter()
                .map(|attack| {
                    let faults = alike::faults(attack);
                    let times = format!(
                        "baseline {}, hold {}, recovery {}, settle {}",
                        attack.baseline, attack.hold, attack.recovery, attack.settle
                    );
                    let texts: Vec<String> = attack.means.iter().cloned().chain(faults).collect();
                    (
                        attack.name.clone(),
                        format!("{}; {times}; judged by {}", texts.join(", "), attack.judge.join(", ")),
                    )
                })
                .collect(),
            warnings: plan.warnings.clone(),
        }
    }
}
