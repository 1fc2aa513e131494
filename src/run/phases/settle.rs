//! Waits after an attack until the system is healthy again, before the next attack.

use firedrill_wire::Span;

use super::super::{clock::signed, error::RunError, guards::Guards, parts::Run, stop::Stop};
use crate::{
    plan::{
        Plan,
        model::{Attack, Goal, Phase},
    },
    score::{self, metric},
};

/// Waits until the system has been healthy for the attack's `settle`. After the last attack there is no wait. The inner error is that this did
/// not happen within `settle_within`, or that the run must stop.
pub(super) async fn settle(
    run: &mut Run,
    index: usize,
    attack: &Attack,
) -> Result<Result<(), Stop>, RunError> {
    if attack.settle.is_zero() || run.facts.plan.alternatives(index).end == run.facts.plan.attacks.len() {
        return Ok(Ok(()));
    }
    let earliest = run.facts.now_us() + signed(attack.settle.as_micros());
    let until = run.recorder.phase(index, Phase::Settle, attack.settle_within)?;
    let against =
        |run: &Run| unhealthy(&run.facts.plan, &run.guards, attack, attack.settle, run.facts.now_us());
    let settled = run
        .pump(until, |run| {
            run.facts.now_us() >= earliest && run.injections.all_over() && against(run).is_none()
        })
        .await?;
    Ok(match settled {
        Err(stop) => Err(stop),
        Ok(true) => Ok(()),
        Ok(false) => {
            let why = against(run).unwrap_or_else(|| {
                if run.injections.all_over() {
                    format!("it became healthy, but not for {} in one piece", attack.settle)
                } else {
                    run.waiting_for()
                }
            });
            let (within, name) = (attack.settle_within, &attack.name);
            Err(Stop::Failed(format!("not healthy within {within} after \"{name}\": {why}")))
        }
    })
}

/// Returns the reason why the attack's judged probes and metrics were not healthy during the last time of length `over`; `None` if they
/// were.
fn unhealthy(plan: &Plan, guards: &Guards, attack: &Attack, over: Span, now_us: i64) -> Option<String> {
    let judged = plan.objectives.iter().filter(|objective| attack.judge.contains(&objective.name));
    let probed = judged.into_iter().find_map(|objective| {
        let wanted = match objective.goal {
            Goal::Good(share) => share.fraction(),
            _ => score::good_enough(plan, attack, &objective.probe),
        };
        match guards.window().good_share(&objective.probe, over, now_us) {
            None => Some(format!("nothing was measured of {}", objective.probe)),
            Some((share, _)) if share < wanted => Some(format!(
                "only {:.1}% of the requests of {} were good over {over}; {:.1}% are wanted",
                share * 100.0,
                objective.probe,
                wanted * 100.0
            )),
            Some(_) => None,
        }
    });
    let metrics = plan.metrics.iter().filter(|metric| attack.judge.contains(&metric.name));
    probed.or_else(|| {
        metrics.into_iter().find_map(|metric| {
            let timeout = plan.timeout_of(metric);
            match guards.metrics().window(metric, timeout, over, now_us) {
                None => Some(format!("source {} has no new sample of {}", metric.source, metric.name)),
                Some(samples) => metric::violated_by(metric, &samples)
                    .map(|why| format!("{} was {why} over {over}", metric.name)),
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        log::{Event, Sample},
        plan::model::MetricGoal,
    };
    use firedrill_judge::testing::{Drill, S, bin, metric};

    #[test]
    fn a_probe_without_measurements_is_not_healthy() {
        let plan = Arc::new(Drill { vantages: vec!["canary"], ..Drill::one() }.plan());
        let mut guards = Guards::new(&plan);
        let seen = |guards: &Guards, now| unhealthy(&plan, guards, &plan.attacks[0], Span::secs(3), now * S);
        assert_eq!(seen(&guards, 10).as_deref(), Some("nothing was measured of buy"));
        (0..10).for_each(|second| guards.measured("canary", second * S, &bin("buy", second, 100, 0)));
        assert_eq!(seen(&guards, 10), None);
        (10..13).for_each(|second| guards.measured("canary", second * S, &bin("buy", second, 50, 50)));
        let bad = seen(&guards, 13).unwrap();
        assert!(
            bad.starts_with("only 50.0% of the requests of buy were good over 3s; 98.0% are wanted"),
            "{bad}"
        );
        assert_eq!(seen(&guards, 60).as_deref(), Some("nothing was measured of buy"), "long ago");
    }

    #[test]
    fn a_metric_without_a_new_sample_is_not_healthy() {
        let mut plan = Drill { vantages: vec!["canary"], ..Drill::one() }.plan();
        plan.metrics = vec![metric(MetricGoal::Below(0.5))];
        plan.attacks[0].judge = vec!["errors".to_owned()];
        let plan = Arc::new(plan);
        let mut guards = Guards::new(&plan);
        let seen = |guards: &Guards, now| unhealthy(&plan, guards, &plan.attacks[0], Span::secs(3), now * S);
        assert_eq!(seen(&guards, 10).as_deref(), Some("source prom has no new sample of errors"));
        let sampled = |second: i64, value: f64| Event::Sampled {
            objective: "errors".to_owned(),
            until_us: second * S,
            samples: vec![Sample {
                at_us: second * S,
                window_us: 0,
                own_us: 0,
                age_us: 0,
                low: Some(value),
                high: Some(value),
                total: None,
                series: 1,
                behind: Vec::new(),
                lacks: None,
                lost: 0,
            }],
            unsure_us: 1_000,
            took_us: 1_000,
            failed: None,
            again: false,
        };
        guards.sampled(&sampled(9, 0.9));
        assert_eq!(seen(&guards, 10).as_deref(), Some("errors was 0.9, not below 0.5 over 3s"));
        (10..14).for_each(|second| guards.sampled(&sampled(second, 0.1)));
        assert_eq!(seen(&guards, 14), None);
    }
}
