use super::*;

/// Returns the first times of a pattern from a moment on, each with its day of the week.
fn first(pattern: &str, from: &str, count: usize) -> Vec<String> {
    let cron = Cron::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error:?}"));
    let from = crate::times::moment(from).unwrap();
    let times = cron.starting_at(from).take(count);
    times
        .map(|time| {
            format!("{} {}", time.strftime("%a").to_string().to_uppercase(), crate::times::written(time))
        })
        .collect()
}

#[test]
fn days_of_the_week_are_those_of_cron() {
    let week = first("0 14 * * 1-5", "2026-12-04T14:01", 6);
    assert_eq!(week[0], "MON 2026-12-07T14:00");
    assert_eq!(week[4], "FRI 2026-12-11T14:00");
    assert_eq!(week[5], "MON 2026-12-14T14:00");
    for sunday in ["0 14 * * 0", "0 14 * * 7", "0 14 * * sun", "0 14 * * SUN", "0 14 * * 7-7"] {
        assert_eq!(first(sunday, "2026-12-04T14:00", 1), ["SUN 2026-12-06T14:00"], "{sunday}");
    }
    assert_eq!(
        first("0 14 * * FRI-7", "2026-12-04T14:00", 4),
        ["FRI 2026-12-04T14:00", "SAT 2026-12-05T14:00", "SUN 2026-12-06T14:00", "FRI 2026-12-11T14:00"]
    );
}

#[test]
fn numbered_and_last_days_of_the_week_in_a_month_are_found() {
    assert_eq!(
        first("0 14 * * FRI#1", "2026-12-01T00:00", 2),
        ["FRI 2026-12-04T14:00", "FRI 2027-01-01T14:00"]
    );
    assert_eq!(
        first("0 14 * * FRIL", "2026-12-01T00:00", 2),
        ["FRI 2026-12-25T14:00", "FRI 2027-01-29T14:00"]
    );
    assert_eq!(first("0 14 * * 5L", "2026-12-26T00:00", 1), ["FRI 2027-01-29T14:00"]);
    // The first and the last day of each week of a month: 1 and 7, 8 and 14, 22 and 28, 29.
    for (pattern, from, wanted) in [
        ("FRI#1", "2027-01-01", "2027-01-01"),
        ("FRI#1", "2027-05-01", "2027-05-07"),
        ("FRI#2", "2027-01-01", "2027-01-08"),
        ("FRI#2", "2027-05-01", "2027-05-14"),
        ("FRI#4", "2027-01-01", "2027-01-22"),
        ("FRI#4", "2027-05-01", "2027-05-28"),
        ("FRI#5", "2027-05-01", "2027-07-30"),
        ("FRI#5", "2027-10-01", "2027-10-29"),
        // The last Friday is the last day of its month, or a week before the next month's first Friday, the 1st.
        ("FRIL", "2027-04-01", "2027-04-30"),
        ("FRIL", "2026-12-01", "2026-12-25"),
    ] {
        let found = first(&format!("0 14 * * {pattern}"), &format!("{from}T00:00"), 1);
        assert_eq!(found, [format!("FRI {wanted}T14:00")], "{pattern} from {from}");
    }
    assert_eq!(
        first("0 14 15,L * *", "2027-02-14T00:00", 4),
        ["MON 2027-02-15T14:00", "SUN 2027-02-28T14:00", "MON 2027-03-15T14:00", "WED 2027-03-31T14:00"]
    );
    assert_eq!(first("0 14 L 2 *", "2026-12-01T00:00", 2), ["SUN 2027-02-28T14:00", "TUE 2028-02-29T14:00"]);
    assert_eq!(first("0 14 * 2 FRI#5", "2026-12-01T00:00", 1), ["FRI 2036-02-29T14:00"]);
    // The longest time between two days of a pattern, 40 years: 2100 has no 29th of February.
    assert_eq!(first("0 0 * 2 MON#5", "2072-03-01T00:00", 1), ["MON 2112-02-29T00:00"]);
}

#[test]
fn lists_ranges_and_steps_are_those_of_cron() {
    let quarter = first("*/20 8-10/2 * * *", "2026-12-01T00:00", 7);
    let times: Vec<&str> = quarter.iter().map(|time| &time[15..]).collect();
    assert_eq!(times, ["08:00", "08:20", "08:40", "10:00", "10:20", "10:40", "08:00"]);
    assert_eq!(first("5,7 1 3 JAN,mar *", "2026-12-01T00:00", 3)[2], "WED 2027-03-03T01:05");
}

#[test]
fn each_error_has_a_message_and_its_place() {
    for (pattern, at, part) in [
        ("0 14 13 * FRI", 5..13, "some programs take either"),
        ("0 14 30 2 *", 5..9, "never"),
        ("0 14 31 FEB,APR *", 5..15, "never"),
        ("60 14 * * *", 0..2, "`60` is no minute"),
        ("0 24 * * *", 2..4, "`24` is no hour"),
        ("0 14 * * FRY", 9..12, "`FRY` is no day of week"),
        ("0 14 * * 8", 9..10, "is no day of week"),
        ("0 14 * * FRI#6", 9..14, "no week of a month"),
        ("0 14 * * FRI-MON", 9..16, "backwards"),
        ("0/15 14 * * *", 0..4, "a step without a range"),
        ("*/0 14 * * *", 0..3, "an invalid step"),
        ("0,,5 14 * * *", 2..2, "is no minute"),
        ("0 14 ? * FRI", 5..6, "is no day of month"),
        ("0 14 15W * *", 5..8, "is no day of month"),
        ("@daily", 0..6, "nicknames"),
        ("0 0 14 * * FRI", 0..14, "seconds"),
        ("", 0..0, "0 fields"),
        ("0 +4 * * *", 2..4, "is no hour"),
        ("ü 14 * * *", 0..2, "is no minute"),
    ] {
        let error = Cron::parse(pattern).expect_err(pattern);
        assert_eq!(error.at, at, "{pattern}: {error:?}");
        assert!(error.message.contains(part), "{pattern}: {error:?}");
    }
}
