//! Shows similar hosts in one line: their common text, their number, and their names in short form.

mod said;

use std::{collections::HashMap, hash::Hash};

pub use said::{likewise, masked, said, without};

/// Maximum number of names that are all written out.
const WRITTEN_OUT: usize = 8;
/// Maximum number of ranges of names that are shown.
const RANGES: usize = 6;

/// Groups items by key. Groups are in the order of their first items.
pub fn together<T, K: Eq + Hash>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    let mut places: HashMap<K, usize> = HashMap::new();
    let mut groups: Vec<Vec<T>> = Vec::new();
    for item in items {
        let at = *places.entry(key(&item)).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups
}

/// Lists names of hosts: a few in full, many as ranges with their number: `app1…app40, db1, db2 (42)`.
pub fn names<S: AsRef<str>>(names: &[S]) -> String {
    let text = uncounted(names);
    if names.len() <= WRITTEN_OUT { text } else { format!("{text} ({})", names.len()) }
}

/// Lists names without their number, for a line that already has the number.
pub fn uncounted<S: AsRef<str>>(names: &[S]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.len() <= WRITTEN_OUT {
        return names.join(", ");
    }
    // The number that differs can be the first in a name (`app7.dc2`) or the last (`dc2-app7`).
    let ranges = [ranges(&names, first_number), ranges(&names, last_number)];
    let ranges = ranges.into_iter().min_by_key(Vec::len).unwrap_or_default();
    let shown: Vec<String> = ranges.iter().take(RANGES).map(Range::text).collect();
    let left: usize = ranges.iter().skip(RANGES).map(|range| range.count).sum();
    let more = if left == 0 { String::new() } else { format!(", and {left} more") };
    format!("{}{more}", shown.join(", "))
}

/// Neighbouring names: from one to another, without a gap.
struct Range<'n> {
    first: &'n str,
    last: &'n str,
    count: usize,
}

impl Range<'_> {
    fn text(&self) -> String {
        match self.count {
            1 => self.first.to_owned(),
            2 => format!("{}, {}", self.first, self.last),
            _ => format!("{}…{}", self.first, self.last),
        }
    }
}

/// A name, split into the text before its number, the number, and the text after it.
type Parts<'n> = (&'n str, &'n str, &'n str);

/// Groups names that differ only in their number, as `parts` finds it, and splits each group where numbers are missing.
fn ranges<'n>(names: &[&'n str], parts: fn(&'n str) -> Option<Parts<'n>>) -> Vec<Range<'n>> {
    let stem = |name: &&'n str| {
        parts(name).map_or((*name, "", 0), |(before, number, after)| {
            // `app07` and `app7` are not counted together.
            (before, after, if number.len() > 1 && number.starts_with('0') { number.len() } else { 0 })
        })
    };
    let mut ranges: Vec<Range<'n>> = Vec::new();
    for group in together(names.iter().copied(), stem) {
        let number = |name: &'n str| parts(name).and_then(|(_, number, _)| number.parse::<u128>().ok());
        let mut group: Vec<(Option<u128>, &'n str)> =
            group.into_iter().map(|name| (number(name), name)).collect();
        group.sort_unstable();
        // The number that continues the last range.
        let mut next = None;
        for (number, name) in group {
            match ranges.last_mut().filter(|_| number.is_some() && number == next) {
                Some(range) => (range.last, range.count) = (name, range.count + 1),
                None => ranges.push(Range { first: name, last: name, count: 1 }),
            }
            next = number.and_then(|number| number.checked_add(1));
        }
    }
    ranges
}

/// Splits a name at its first number; `None` if it has none.
fn first_number(name: &str) -> Option<Parts<'_>> {
    let start = name.find(|c: char| c.is_ascii_digit())?;
    let length = name[start..].find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len() - start);
    Some((&name[..start], &name[start..start + length], &name[start + length..]))
}

/// Splits a name at its last number; `None` if it has none.
fn last_number(name: &str) -> Option<Parts<'_>> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    Some((&name[..start], &name[start..end], &name[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> String {
        names(&text.split(' ').collect::<Vec<_>>())
    }

    fn count(stem: &str, numbers: impl Iterator<Item = u32>) -> Vec<String> {
        numbers.map(|number| stem.replace('#', &number.to_string())).collect()
    }

    #[test]
    fn few_names_are_all_there() {
        assert_eq!(listed("app1 app2 app3"), "app1, app2, app3");
        assert_eq!(listed(""), "");
    }

    #[test]
    fn many_names_are_ranges_with_their_number() {
        assert_eq!(names(&count("app#", 1..=40)), "app1…app40 (40)");
        assert_eq!(names(&count("dc2-app#.example", 1..=9)), "dc2-app1.example…dc2-app9.example (9)");
        assert_eq!(names(&count("app#.dc2", 1..=9)), "app1.dc2…app9.dc2 (9)");
        let mut mixed = count("app#", 1..=10);
        mixed.extend(["db1".to_owned(), "db2".to_owned(), "edge".to_owned(), "app12".to_owned()]);
        assert_eq!(names(&mixed), "app1…app10, app12, db1, db2, edge (14)");
        assert_eq!(names(&count("h0#", 1..=9)), "h01…h09 (9)");
        assert_eq!(uncounted(&count("h#", 0..=9)), "h0…h9");
    }

    #[test]
    fn many_names_without_ranges_are_cut() {
        let text = names(&count("app#", (0..50).map(|n| n * 2)));
        assert_eq!(text, "app0, app2, app4, app6, app8, app10, and 44 more (50)");
        let words: Vec<String> = ('a'..='j').map(|c| format!("{c}é")).collect();
        assert_eq!(names(&words), "aé, bé, cé, dé, eé, fé, and 4 more (10)");
        assert_eq!(names(&["9é9"; 9]), "9é9, 9é9, 9é9, 9é9, 9é9, 9é9, and 3 more (9)");
    }
}
