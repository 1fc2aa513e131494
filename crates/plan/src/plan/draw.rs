//! Draws some of a plan's attacks by its seed, for drills whose attacks no person chose.

use firedrill_files::text::hex;
use ring::digest::{Context, SHA256};

use super::{
    model::{Drawn, Plan},
    select::lowest,
};

/// The salt of the draw. With another salt the same seeds would draw other attacks.
const SALT: &str = "firedrill draw v1";

impl Plan {
    /// Returns the plan with `count` of its attacks, in their order: those with the lowest hash of the seed and their name. Guards, steps
    /// between attacks and everything else stay. `gameday` is the file of the game day that draws, for the report.
    #[must_use]
    pub fn draw(mut self, count: usize, gameday: String) -> Self {
        // Attacks on a target that moves have one turn, because only one of them runs: they are drawn together.
        let turns: Vec<usize> = self.turns().map(|(index, _)| index).collect();
        let names = self.turns().map(|(_, attack)| match attack.leader {
            Some(_) => attack.base.as_str(),
            None => attack.name.as_str(),
        });
        let drawn: Vec<usize> = lowest(self.seed, SALT, names, count)
            .into_iter()
            .filter_map(|place| turns.get(place))
            .flat_map(|index| self.alternatives(*index))
            .collect();
        let all = std::mem::take(&mut self.attacks).into_iter().enumerate();
        let (left, gone): (Vec<_>, Vec<_>) = all.partition(|(index, _)| drawn.binary_search(index).is_ok());
        // Steps stay at their place in the file.
        for step in &mut self.steps {
            step.before = left.iter().filter(|(index, _)| *index < step.before).count();
        }
        self.attacks = left.into_iter().map(|(_, attack)| attack).collect();
        let attacks = &self.attacks;
        let is_on = |attack: &super::model::Attack, target: &str| {
            attack.leader.as_ref().is_some_and(|leader| leader.target == target)
        };
        self.moving.retain(|moving| attacks.iter().any(|attack| is_on(attack, &moving.target)));
        // Warnings about attacks that do not run are removed. A warning about a probe stays: it names an attack only as an example.
        for (_, attack) in &gone {
            let is_left = self.attacks.iter().any(|left| left.base == attack.base);
            let base = Some(&attack.base).filter(|_| !is_left);
            for name in [Some(&attack.name), base].into_iter().flatten() {
                let named = format!("attack `{name}`");
                self.warnings.retain(|warning| warning.starts_with("probe ") || !warning.contains(&named));
            }
        }
        // A promotion counts runs by the digest of the files. A run of some attacks gets another digest, because it is no run of all.
        if !gone.is_empty() {
            let names: Vec<&str> = self.attacks.iter().map(|attack| attack.name.as_str()).collect();
            self.files = self.files.as_deref().map(|files| part_of(files, &names));
        }
        self.drawn = Some(Drawn { of: turns.len(), gameday });
        self.share_peers();
        self
    }
}

/// Returns the digest that stands for a part of the files with that digest.
fn part_of(files: &str, names: &[&str]) -> String {
    let mut hash = Context::new(&SHA256);
    for text in [SALT, files].iter().chain(names) {
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hex(hash.finish().as_ref().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use proptest::prelude::*;

    use super::*;
    use crate::{fleet::FleetSource, plan::inspect};

    /// Returns the plan of a scenario with five attacks, of which one has a group for each of two zones: six attacks.
    fn plan(seed: u64) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut fleet = "schema = 1\n".to_owned();
        for (number, zone) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
            fleet += &format!(
                "[[host]]\nname = \"app{number}\"\naddress = \"10.9.0.{number}\"\nzone = \"{zone}\"\nroles = [\"app\"]\n"
            );
        }
        let mut text = "schema = 1\nname = \"m\"\nhypothesis = \"It goes on.\"\n\
                        [targets.one]\nwhere = { role = \"app\" }\npick = 1\n\
                        [targets.zones]\nwhere = { role = \"app\" }\ngroup_by = \"zone\"\n\
                        [probes.p]\nhttp.url = \"http://10.9.0.9/\"\nrate = 50\n[objectives.o]\nprobe = \"p\"\ngood = \"50%\"\n\
                        [guard]\nkeep = { app = 2 }\n"
            .to_owned();
        for name in ["w", "x", "y", "z"] {
            text += &format!(
                "[[attack]]\nname = \"{name}\"\non = \"one\"\nhold = \"1m\"\nfault.service-stop = {{ service = \"s\" }}\n"
            );
        }
        text += "[[attack]]\nname = \"zone\"\non = \"zones\"\nfor_each = \"zone\"\nhold = \"1m\"\n\
                 fault.service-stop = { service = \"s\" }\n";
        std::fs::write(path("fleet.toml"), fleet).unwrap();
        std::fs::write(path("m.toml"), text).unwrap();
        let fleet = FleetSource::File(path("fleet.toml"));
        let found = inspect(Path::new(&path("m.toml")), Some(&fleet), &[], Some(seed));
        found.plan.unwrap_or_else(|| panic!("{}", found.report.render(false, 110)))
    }

    fn names(plan: &Plan) -> Vec<String> {
        plan.attacks.iter().map(|attack| attack.name.clone()).collect()
    }

    /// Draws attacks of a plan with another seed.
    fn drawn(base: &Plan, seed: u64, count: usize) -> Plan {
        Plan { seed, ..base.clone() }.draw(count, "day.toml".to_owned())
    }

    #[test]
    fn each_attack_is_drawn_as_often_as_any_other() {
        let base = plan(1);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for seed in 0..6_000 {
            for name in names(&drawn(&base, seed, 1)) {
                *counts.entry(name).or_default() += 1;
            }
        }
        assert_eq!(counts.len(), 6, "{counts:?}");
        // Five standard deviations of 6,000 draws with a chance of one in six.
        assert!(counts.values().all(|count| count.abs_diff(1_000) < 145), "{counts:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_attacks_whatever_their_order_and_their_company() {
        let base = plan(1);
        let mut turned = base.clone();
        turned.attacks.reverse();
        for seed in 0..200 {
            let one = drawn(&base, seed, 2);
            let mut other = names(&drawn(&turned, seed, 2));
            other.reverse();
            assert_eq!(names(&one), other);
            // The draw stays the same without an attack that was not drawn.
            let mut fewer = base.clone();
            let gone = base.attacks.iter().position(|attack| !names(&one).contains(&attack.name));
            fewer.attacks.remove(gone.unwrap());
            assert_eq!(names(&drawn(&fewer, seed, 2)), names(&one));
        }
    }

    #[test]
    fn only_attacks_change_and_a_part_has_another_digest_than_the_whole() {
        let base = plan(3);
        let one = base.clone().draw(1, "day.toml".to_owned());
        assert_eq!(one.guard, base.guard);
        assert_eq!((one.seed, &one.probes, &one.hosts), (base.seed, &base.probes, &base.hosts));
        assert_eq!(one.drawn, Some(Drawn { of: 6, gameday: "day.toml".to_owned() }));
        assert!(one.files.is_some() && one.files != base.files, "{:?}", one.files);
        assert_ne!(one.digest(), base.digest());
        let whole = base.clone().draw(6, "day.toml".to_owned());
        assert_eq!((&whole.files, &whole.attacks), (&base.files, &base.attacks));
        let read: Plan = serde_json::from_str(&serde_json::to_string(&one).unwrap()).unwrap();
        assert_eq!((&read.drawn, read.digest()), (&one.drawn, one.digest()));
    }

    #[test]
    fn warnings_are_those_of_the_attacks_that_were_drawn() {
        let mut base = plan(3);
        base.warnings =
            base.attacks.iter().map(|attack| format!("attack `{}` is odd", attack.name)).collect();
        let example = format!("probe `buy` asks too seldom, as in attack `{}`", base.attacks[0].name);
        base.warnings.extend(["attack `zone` has a base", "the fleet is odd", &example].map(str::to_owned));
        for seed in 0..50 {
            let one = drawn(&base, seed, 1);
            let name = &names(&one)[0];
            let mut expected = vec![format!("attack `{name}` is odd")];
            expected.extend(name.starts_with("zone").then(|| "attack `zone` has a base".to_owned()));
            expected.extend(["the fleet is odd".to_owned(), example.clone()]);
            assert_eq!(one.warnings, expected);
        }
    }

    #[test]
    fn attacks_of_which_only_one_runs_are_drawn_together_and_count_once() {
        use crate::plan::model::{Ask, Leader, Moving};

        let mut base = plan(1);
        let last = base.attacks.len() - 1;
        for attack in &mut base.attacks[last - 1..] {
            let host = attack.injections[0].host.clone();
            attack.leader = Some(Leader { target: "zones".to_owned(), host });
        }
        let ask = Ask::Command(vec!["./leader.sh".to_owned()]);
        let timeout = firedrill_wire::Span::secs(2);
        base.moving = vec![Moving { target: "zones".to_owned(), ask, timeout, candidates: Vec::new() }];
        assert_eq!(base.alternatives(last), last - 1..last + 1);
        assert_eq!(base.turns().count(), last);
        for seed in 0..50 {
            let one = drawn(&base, seed, 1);
            let on_leader = one.attacks[0].leader.is_some();
            assert_eq!((one.attacks.len(), one.moving.len()), if on_leader { (2, 1) } else { (1, 0) });
            assert_eq!(one.drawn.map(|drawn| drawn.of), Some(5));
        }
    }

    proptest! {
        #[test]
        fn the_wanted_number_is_drawn_or_all_there_are(seed: u64, count in 0_usize..9) {
            let base = plan(1);
            let all = names(&base);
            let some = names(&drawn(&base, seed, count));
            prop_assert_eq!(some.len(), count.min(6));
            let mut rest = all.iter();
            prop_assert!(some.iter().all(|name| rest.any(|other| other == name)), "in the file's order");
        }
    }
}
