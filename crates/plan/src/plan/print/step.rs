//! Prints the steps between attacks: what a person does, and the programs that the coordinator runs.

use std::fmt::Write as _;

use super::super::model::{Does, Plan, Step, Then};

/// Writes the steps before the attack with this index; for the number of attacks, those after the last attack.
pub(super) fn write(out: &mut String, plan: &Plan, attack: usize) -> std::fmt::Result {
    plan.steps_before(attack).try_for_each(|(index, step)| write_step(out, index, step))
}

fn write_step(out: &mut String, index: usize, step: &Step) -> std::fmt::Result {
    writeln!(out, "\nStep {}. {}  [{}]", index + 1, step.name, step.does.word())?;
    let what = step.does.said();
    match &step.does {
        Does::Manual { undo, .. } => {
            writeln!(out, "   A person does this within {}: {what}", step.timeout)?;
            match undo {
                Some(undo) => {
                    writeln!(out, "   FIREDRILL CANNOT UNDO IT. At its end the run asks a person: {undo}")?;
                }
                None => writeln!(out, "   Firedrill cannot undo it, and asks nobody to put it back.")?,
            }
        }
        Does::Check { .. } => {
            writeln!(out, "   The coordinator runs this for at most {}: {what}", step.timeout)?;
            writeln!(out, "   Exit code 0 is good, any other makes the run violated.")?;
        }
        Does::Command { .. } => {
            writeln!(out, "   The coordinator runs this for at most {}: {what}", step.timeout)?;
            writeln!(out, "   FIREDRILL CANNOT UNDO IT.")?;
        }
    }
    match step.on_failure {
        Then::Stop => writeln!(out, "   If it fails, or if nobody knows, the run stops."),
        Then::Continue => {
            writeln!(out, "   If it fails, or if nobody knows, the run goes on, and does not hold.")
        }
    }
}

/// Returns the number of steps, for the summary; empty without any.
pub(super) fn summary(plan: &Plan) -> String {
    let by_hand = plan.steps.iter().filter(|step| step.does.argv().is_none()).count();
    let parts = [(by_hand, "by hand"), (plan.steps.len() - by_hand, "by a program here")];
    let parts = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, how)| format!("; {count} step{} {how}", crate::diagnostic::plural(count)));
    parts.collect()
}

#[cfg(test)]
mod tests {
    use crate::{
        fleet::FleetSource,
        plan::{Plan, inspect, print},
    };

    /// Returns the plan of a scenario with an attack on each of two zones, one attack more, and these steps: before, between and after
    /// the attacks.
    fn plan(steps: [&str; 3]) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let host = |n: u8, zone: &str| {
            format!(
                "[[host]]\nname = \"app{n}\"\naddress = \"10.9.0.{n}\"\nzone = \"{zone}\"\nroles = [\"app\"]\n"
            )
        };
        let fleet = format!("schema = 1\n{}{}{}", host(1, "a"), host(2, "b"), host(3, "c"));
        let head = "schema = 1\nname = \"m\"\nhypothesis = \"It goes on.\"\n\
                    [targets.zones]\nwhere = { zone = [\"a\", \"b\"] }\ngroup_by = \"zone\"\n\
                    [probes.p]\nhttp.url = \"http://10.9.0.9/\"\nrate = 50\n[objectives.o]\nprobe = \"p\"\ngood = \"50%\"\n";
        let attack = |name: &str, on: &str| {
            format!(
                "[[attack]]\nname = \"{name}\"\n{on}\nhold = \"1m\"\nfault.service-stop = {{ service = \"s\" }}\n"
            )
        };
        let zones = attack("zones", "on = \"zones\"\nfor_each = \"zone\"");
        let [first, second, third] = steps;
        let text = format!("{head}{first}{zones}{second}{}{third}", attack("last", "on = \"app3\""));
        std::fs::write(path("fleet.toml"), fleet).unwrap();
        std::fs::write(path("m.toml"), text).unwrap();
        let fleet = FleetSource::File(path("fleet.toml"));
        let found = inspect(&path("m.toml"), Some(&fleet), &[], Some(7));
        found.plan.unwrap_or_else(|| panic!("{}", found.report.render(false, 110)))
    }

    fn check(name: &str) -> String {
        format!("[[attack]]\nname = \"{name}\"\ncheck = [\"verify\", \"--token=abc123def\"]\n")
    }

    fn by_hand(undo: &str) -> String {
        format!("[[attack]]\nname = \"cable\"\nmanual = \"\"\"\nPull the\ncable.\"\"\"\n{undo}\n")
    }

    #[test]
    fn steps_stay_before_the_attack_that_follows_them_also_if_attacks_are_drawn() {
        let (one, two, three) = (check("one"), check("two"), check("three"));
        let plan = plan([&one, &two, &three]);
        let places = |plan: &Plan| plan.steps.iter().map(|step| step.before).collect::<Vec<_>>();
        assert_eq!((plan.attacks.len(), places(&plan)), (3, vec![0, 2, 3]));
        for seed in 0..20 {
            let drawn = Plan { seed, ..plan.clone() }.draw(1, "day.toml".to_owned());
            let is_last = drawn.attacks[0].name == "last";
            assert_eq!(places(&drawn), [0, usize::from(!is_last), 1], "{}", drawn.attacks[0].name);
        }
    }

    #[test]
    fn the_plan_shows_each_step_and_that_it_is_not_undone() {
        let (hand, check) = (by_hand("undo = \"Plug it in.\""), check("rows"));
        let plan = plan([&hand, &check, ""]);
        let text = print::text(&plan, &[], 200);
        let all = [
            "; 1 step by hand; 1 step by a program here",
            "Step 1. cable  [manual]\n   A person does this within 10m: Pull the cable.\n   FIREDRILL CANNOT UNDO IT. At its end the run asks a person: Plug it in.\n",
            "Step 2. rows  [check]\n   The coordinator runs this for at most 1m: verify --token=",
        ];
        for part in all {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
        let places =
            ["Step 1.", "1. zones (a)", "2. zones (b)", "Step 2.", "3. last"].map(|part| text.find(part));
        assert!(places.is_sorted() && places.iter().all(Option::is_some), "{text}");
        let written = serde_json::to_string(&plan).unwrap();
        assert!(!text.contains("abc123def") && !written.contains("abc123def"), "{text}");
        assert!(plan.hiding().unwrap().contains("the steps rows run"));
        // A person has the time twice: to do it, and to put it back.
        let without = Plan { steps: Vec::new(), ..plan.clone() };
        assert_eq!(
            print::longest(&plan).0,
            print::longest(&without).0 + std::time::Duration::from_secs(1260)
        );
    }

    #[test]
    fn approvals_cover_steps_and_a_plan_without_steps_does_not_mention_them() {
        let plain = plan(["", "", ""]);
        assert!(!serde_json::to_string(&plain).unwrap().contains("\"steps\""));
        let agreed = |steps: [&str; 3]| plan(steps).agreement();
        let (put_back, other) = (by_hand("undo = \"Plug it in.\""), by_hand("undo = \"Leave it.\""));
        let all = [
            agreed(["", "", ""]),
            agreed([&put_back, "", ""]),
            agreed([&other, "", ""]),
            agreed(["", &other, ""]),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(one), "{place}");
        }
    }
}
