//! The names of hosts and vantages of a page, each once. Rows and lines of the page refer to them by index, and to neighbours by ranges.

use std::collections::{BTreeSet, HashMap};

use firedrill_plan::plan::model::Plan;

/// The names of a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    all: Vec<String>,
    /// The index of each name in `all`.
    places: HashMap<String, usize>,
}

impl Names {
    /// Collects the names of a plan in its order, because hosts of a group are neighbours there and become one range.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut names = Self::default();
        let vantages = plan.probes.iter().flat_map(|probe| &probe.from);
        let targets = plan.attacks.iter().flat_map(|attack| &attack.injections).map(|one| &one.host);
        for name in plan.hosts.iter().map(|host| &host.name).chain(targets).chain(vantages) {
            if !names.places.contains_key(name) {
                names.places.insert(name.clone(), names.all.len());
                names.all.push(name.clone());
            }
        }
        names
    }

    /// Returns all names.
    pub(crate) fn all(&self) -> &[String] {
        &self.all
    }

    /// Returns the indexes of names as sorted ranges, for example `0-3 7`. Names that are not in the list are left out.
    pub(crate) fn refer<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> String {
        let places: BTreeSet<usize> =
            names.into_iter().filter_map(|name| self.places.get(name).copied()).collect();
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for place in places {
            match ranges.last_mut().filter(|(_, last)| last + 1 == place) {
                Some((_, last)) => *last = place,
                None => ranges.push((place, place)),
            }
        }
        let text = |(first, last): (usize, usize)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        ranges.into_iter().map(text).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range_and_names_that_are_not_known_are_left_out() {
        let all = ["app1", "app2", "app3", "db1"].map(str::to_owned).to_vec();
        let places = all.iter().cloned().zip(0..).collect();
        let names = Names { all, places };
        assert_eq!(names.refer(["db1", "app2", "app1", "app1"]), "0-1 3");
        assert_eq!(names.refer(["elsewhere"]), "");
    }
}
