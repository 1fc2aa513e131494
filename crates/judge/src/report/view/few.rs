//! Selects the worst of many rows and counts the others, so that the report of a long run stays readable.

/// Maximum number of rows of one kind for all attacks together.
const ROWS: usize = 400;
/// Maximum number of rows of one kind per attack, if [`ROWS`] divided by the number of attacks is less.
const LEAST: usize = 8;

/// Returns the maximum number of rows of one kind per attack, by the number of attacks.
pub(super) fn rows(attacks: usize) -> usize {
    (ROWS / attacks.max(1)).max(LEAST)
}

/// Returns at most `most` rows, those with the highest badness, in the order of `all`; and a sentence if some are left out, otherwise an
/// empty text.
pub(super) fn worst<T>(all: &[T], most: usize, badness: impl Fn(&T) -> f64) -> (Vec<&T>, String) {
    if all.len() <= most {
        return (all.iter().collect(), String::new());
    }
    let mut places: Vec<usize> = (0..all.len()).collect();
    places.sort_by(|left, right| badness(&all[*right]).total_cmp(&badness(&all[*left])));
    places.truncate(most);
    places.sort_unstable();
    let sentence = format!("The {most} worst of {} are shown; report.json has all of them.", all.len());
    (places.into_iter().map(|place| &all[place]).collect(), sentence)
}

/// Merges rows that differ only by their vantage or host. `key` returns all other parts of a row. `names` returns the fields of a row for the
/// name and for the list of all names.
pub(super) fn folded<T: Clone>(
    rows: Vec<T>,
    key: impl Fn(&T) -> String,
    names: impl Fn(&mut T) -> (&mut String, &mut Vec<String>),
) -> Vec<T> {
    let groups = firedrill_plan::alike::together(rows, key);
    let fold = |mut group: Vec<T>| {
        let all: Vec<String> = group.iter_mut().flat_map(|row| names(row).1.clone()).collect();
        let mut first = group.into_iter().next()?;
        if all.len() > 1 {
            let (name, list) = names(&mut first);
            (*name, *list) = (alike(&all), all);
        }
        Some(first)
    };
    groups.into_iter().filter_map(fold).collect()
}

/// Names the vantages or hosts of a merged row, with their number.
pub(super) fn alike<S: AsRef<str>>(members: &[S]) -> String {
    format!("{} alike: {}", members.len(), firedrill_plan::alike::uncounted(members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_rows_keep_their_order_and_the_others_are_counted() {
        let (kept, sentence) = worst(&[3.0, 9.0, 1.0, 9.5, 0.0], 3, |row| *row);
        assert_eq!(kept, [&3.0, &9.0, &9.5]);
        assert_eq!(sentence, "The 3 worst of 5 are shown; report.json has all of them.");
        assert_eq!(worst(&[1.0], 3, |row| *row), (vec![&1.0], String::new()));
        assert_eq!((rows(1), rows(16), rows(1000)), (400, 25, 8));
    }
}
