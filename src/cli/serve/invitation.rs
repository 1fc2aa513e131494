//! The facts with which people are invited to a game day: its plans, as its files are now. No host is asked for them.

use firedrill_gameday::Gameday;
use firedrill_wire::text::{NAME_MOST, cleaned};
use jiff::Timestamp;

use crate::{
    cli::{
        approve::{headline, step_line},
        days::{inspect, may_touch},
    },
    plan::{Plan, model::Attack},
    told::Invitation,
};

/// Returns the facts about a game day. A scenario that cannot be planned adds nothing: the calendar tells that it is wrong.
pub(super) fn invitation(gameday: &Gameday, now: Timestamp) -> Invitation {
    let days = inspect(&[&gameday.file], None, now);
    let Some(day) = days.first() else { return Invitation::default() };
    let plans: Vec<&Plan> = day.drills.iter().filter_map(|drill| drill.plan.as_ref()).collect();
    of_plans(
        &plans,
        gameday.monkey.as_ref().map(|monkey| monkey.attacks),
        may_touch(&day.drills).into_iter().collect(),
    )
}

/// Returns the facts about plans. `drawn` is the number of attacks that a slot draws, if it draws some.
fn of_plans(plans: &[&Plan], drawn: Option<usize>, hosts: Vec<String>) -> Invitation {
    let all = || plans.iter().flat_map(|plan| &plan.attacks);
    let steps = plans.iter().flat_map(|plan| plan.steps.iter().map(step_line));
    let mut attacks: Vec<String> =
        all().map(headline).chain(steps).map(|line| cleaned(line, NAME_MOST)).collect();
    if let Some(drawn) = drawn.filter(|_| !attacks.is_empty()) {
        attacks.insert(0, format!("{drawn} of these, drawn by chance"));
    }
    let lost: Vec<&str> =
        all().filter(|attack| Attack::is_irreversible(attack)).map(|attack| attack.name.as_str()).collect();
    let undo = (!attacks.is_empty()).then(|| match lost.as_slice() {
        [] => "all of it, by the hosts\u{2019} agents: when its time is over, or when the run is silent"
            .to_owned(),
        some => format!("what can be undone, by the hosts\u{2019} agents; not undone: {}", some.join(", ")),
    });
    let environment = plans.first().and_then(|plan| plan.environment.clone());
    let environment =
        environment.filter(|one| plans.iter().all(|plan| plan.environment.as_ref() == Some(one)));
    Invitation { hosts, environment, attacks, undo }
}
