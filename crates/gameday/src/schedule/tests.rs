use std::collections::BTreeSet;

use super::*;
use crate::{
    cron::Cron,
    pattern::{Every, Step},
    times::{date, moment, time, zone, zones},
};

fn cron(pattern: &str, zone_name: &str) -> Schedule {
    Schedule {
        name: "day".to_owned(),
        pattern: Pattern::Cron(Cron::parse(pattern).unwrap()),
        zone: zone(zone_name, &zones()).unwrap(),
        jitter: None,
        chance: None,
    }
}

fn every(zone_name: &str, step: &str, from: &str, at: &str) -> Schedule {
    let pattern = Pattern::Every(Every {
        step: Step::parse(step).unwrap(),
        anchor: date(from).unwrap(),
        at: time(at).unwrap(),
    });
    Schedule { pattern, ..cron("0 0 * * *", zone_name) }
}

fn once(zone_name: &str, at: &str) -> Schedule {
    Schedule { pattern: Pattern::Once(moment(at).unwrap()), ..cron("0 0 * * *", zone_name) }
}

/// Returns the first slots from the beginning of a day on, each as local time with offset.
fn due(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    let slots = schedule.next(begin(schedule, from), count);
    slots.iter().map(|slot| slot.due.strftime("%Y-%m-%d %H:%M%:z").to_string()).collect()
}

/// Returns the last second before a day in the schedule's zone. Slots at midnight are after it.
fn begin(schedule: &Schedule, day: &str) -> Timestamp {
    let begin = date(day).unwrap().to_zoned(schedule.zone.clone()).unwrap();
    begin.timestamp() - SignedDuration::from_secs(1)
}

/// Returns the notes of these slots.
fn notes(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
    schedule.next(begin(schedule, from), count).into_iter().filter_map(|slot| slot.note).collect()
}

const BERLIN: &str = "Europe/Berlin";

#[test]
fn a_slot_is_found_by_its_civil_time() {
    for (schedule, zone) in
        [("0 14 * * FRI", BERLIN), ("0 14 * * FRI", "Pacific/Kiritimati"), ("0 14 * * FRI", "Pacific/Niue")]
    {
        let friday = cron(schedule, zone);
        let slot = friday.slot("2026-12-04T14:00").expect("a Friday");
        assert_eq!(slot, friday.next(slot.due.timestamp() - SignedDuration::from_secs(1), 1)[0]);
        for none in ["2026-12-05T14:00", "2026-12-04T14:01", "2026-12-04T14:00:00", "2026-12-04", "soon", ""]
        {
            assert_eq!(friday.slot(none), None, "{none}");
        }
    }
    // A civil time that does not exist is still the name of its slot.
    let gap = cron("30 2 * * *", BERLIN).slot("2027-03-28T02:30").expect("a slot");
    assert_eq!(gap.due.strftime("%H:%M").to_string(), "03:00");
}

#[test]
fn a_time_in_a_gap_is_due_at_the_end_of_the_gap() {
    let nightly = cron("30 2 * * *", BERLIN);
    assert_eq!(
        due(&nightly, "2027-03-27", 3),
        ["2027-03-27 02:30+01:00", "2027-03-28 03:00+02:00", "2027-03-29 02:30+02:00"]
    );
    assert_eq!(
        notes(&nightly, "2027-03-27", 3),
        ["2027-03-28: 02:30 does not exist in Europe/Berlin, runs at 03:00"]
    );
    assert_eq!(due(&cron("0,30 2 * * *", BERLIN), "2027-03-28", 2)[0], "2027-03-28 03:00+02:00", "once");
    assert_eq!(due(&cron("0,30 2 * * *", BERLIN), "2027-03-28", 2)[1], "2027-03-29 02:00+02:00");
}

#[test]
fn a_missing_time_gets_no_slot_if_the_pattern_has_one_soon_after_the_gap() {
    let both = cron("30 2,3 * * *", BERLIN);
    assert_eq!(due(&both, "2027-03-28", 2), ["2027-03-28 03:30+02:00", "2027-03-29 02:30+02:00"]);
    assert_eq!(
        notes(&both, "2027-03-28", 2),
        ["2027-03-28: 02:30 does not exist in Europe/Berlin, the run at 03:30 stands for it"]
    );
    let often = due(&cron("*/30 * * * *", BERLIN), "2027-03-28", 6);
    let times: Vec<&str> = often.iter().map(|slot| &slot[11..16]).collect();
    assert_eq!(times, ["00:00", "00:30", "01:00", "01:30", "03:00", "03:30"]);
    // The day's other runs are not lost.
    let rest = due(&cron("15 */2 * * *", BERLIN), "2027-03-28", 4);
    let times: Vec<&str> = rest.iter().map(|slot| &slot[11..16]).collect();
    assert_eq!(times, ["00:15", "03:00", "04:15", "06:15"]);
}

#[test]
fn a_time_that_occurs_twice_has_one_slot() {
    let nightly = cron("30 2 * * *", BERLIN);
    assert_eq!(due(&nightly, "2026-10-25", 2), ["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]);
    assert_eq!(
        notes(&nightly, "2026-10-25", 2),
        ["2026-10-25: 02:30 occurs twice in Europe/Berlin, runs at the first (02:30+02)"]
    );
    let around = due(&cron("30 1,2,3 * * *", BERLIN), "2026-10-25", 4);
    assert_eq!(
        around,
        [
            "2026-10-25 01:30+02:00",
            "2026-10-25 02:30+02:00",
            "2026-10-25 03:30+01:00",
            "2026-10-26 01:30+01:00"
        ]
    );
    let often = due(&cron("*/30 2,3 * * *", BERLIN), "2026-10-25", 4);
    let times: Vec<&str> = often.iter().map(|slot| &slot[11..]).collect();
    assert_eq!(times, ["02:00+02:00", "02:30+02:00", "03:00+01:00", "03:30+01:00"]);
}

#[test]
fn days_of_the_week_are_those_of_the_zone() {
    let auckland = cron("0 7 * * FRI", "Pacific/Auckland");
    let slot = auckland.next(begin(&auckland, "2026-12-01"), 1).remove(0);
    assert_eq!(slot.due.strftime("%A %H:%M %:z").to_string(), "Friday 07:00 +13:00");
    assert_eq!(slot.due.timestamp().to_string(), "2026-12-03T18:00:00Z", "a Thursday in UTC");
}

#[test]
fn gaps_at_midnight_and_of_half_an_hour_are_handled() {
    assert_eq!(
        due(&cron("0 0 * * *", "Africa/Cairo"), "2027-04-30", 2),
        ["2027-04-30 01:00+03:00", "2027-05-01 00:00+03:00"]
    );
    assert_eq!(due(&cron("15 2 * * *", "Australia/Lord_Howe"), "2026-10-04", 1), ["2026-10-04 02:30+11:00"]);
    // The gap ends with the day, so the slot of this day is due in the next one, which has two.
    let nuuk = cron("59 23 * * *", "America/Nuuk");
    let slots = nuuk.next(begin(&nuuk, "2027-03-27"), 2);
    assert_eq!(slots[0].civil_text(), "2027-03-27T23:59");
    assert_eq!(due(&nuuk, "2027-03-27", 2), ["2027-03-28 00:00-01:00", "2027-03-28 23:59-01:00"]);
    assert_eq!(
        notes(&nuuk, "2027-03-27", 1),
        ["2027-03-27: 23:59 does not exist in America/Nuuk, runs at 00:00 on 2027-03-28"]
    );
}

#[test]
fn steps_are_counted_in_civil_time() {
    let fortnight = every(BERLIN, "2 weeks", "2026-10-09", "14:00");
    let slots = fortnight.next(begin(&fortnight, "2026-10-01"), 14);
    assert_eq!(slots.len(), 14);
    for slot in &slots {
        assert_eq!(slot.due.strftime("%A %H:%M").to_string(), "Friday 14:00");
    }
    let offsets: BTreeSet<i32> = slots.iter().map(|slot| slot.due.offset().seconds()).collect();
    assert_eq!(offsets.len(), 2, "over both changes of clocks");
    assert_eq!(
        due(&every(BERLIN, "1 day", "2027-01-01", "02:30"), "2027-03-28", 1),
        ["2027-03-28 03:00+02:00"]
    );
    assert_eq!(due(&once(BERLIN, "2027-03-28T02:30"), "2027-03-01", 5), ["2027-03-28 03:00+02:00"]);
    assert_eq!(due(&once(BERLIN, "2027-03-28T02:30"), "2027-03-29", 5), Vec::<String>::new());
}

#[test]
fn the_next_slot_follows_from_the_last_one() {
    for schedule in [
        cron("30 1,2,3 * * *", BERLIN),
        cron("*/20 * * * *", "Australia/Lord_Howe"),
        cron("59 23 * * *", "America/Nuuk"),
    ] {
        let all = schedule.next("2026-03-01T00:00:00Z".parse().unwrap(), 2000);
        for pair in all.windows(2) {
            assert_eq!(schedule.next(pair[0].due.timestamp(), 1), pair[1..], "{schedule}");
        }
    }
}

#[test]
fn delays_depend_on_the_slot_and_are_bounded() {
    let late = Schedule { jitter: Some(Span::secs(600)), ..cron("0 14 * * FRI", BERLIN) };
    let from = begin(&late, "2026-12-01");
    let slots = late.next(from, 50);
    assert_eq!(slots, late.next(from, 50));
    let delays: BTreeSet<i64> = slots.iter().map(|slot| slot.delay.as_secs()).collect();
    assert!(delays.iter().all(|delay| (0..=600).contains(delay)), "{delays:?}");
    assert!(delays.len() > 30, "{delays:?}");
    let other = Schedule { name: "other".to_owned(), ..late.clone() };
    assert_ne!(late.next(from, 5)[0].delay, other.next(from, 5)[0].delay);
    // While a slot waits for its delay, it is still to come.
    let slot = slots.iter().find(|slot| slot.delay.as_secs() > 1).unwrap();
    let within = slot.due.timestamp() + SignedDuration::from_secs(1);
    assert_eq!(late.upcoming(within).next().as_ref(), Some(slot));
    assert_ne!(late.upcoming(slot.starts().timestamp()).next().as_ref(), Some(slot));
    assert_eq!(late.id(&slots[0]), "day 2026-12-04T14:00");
}

/// The search around changes of clocks finds the same slots as a search through all slots.
#[test]
fn slots_with_a_note_are_found_in_frequent_patterns_too() {
    let now: Timestamp = "2026-09-04T00:00:00Z".parse().unwrap();
    let mut found = 0;
    for zone in [BERLIN, "Africa/Cairo", "Africa/Casablanca", "Australia/Lord_Howe", "America/Nuuk", "UTC"] {
        for (pattern, jitter) in
            [("*/7 * * * *", 0), ("30 2 * * *", 3600), ("59 23 * * *", 0), ("15 2 29 2 *", 0)]
        {
            let schedule = Schedule { jitter: Some(Span::secs(jitter)), ..cron(pattern, zone) };
            for days in [30, 400] {
                let until = now + SignedDuration::from_hours(24 * days);
                let all = schedule.upcoming(now).take_while(|slot| slot.due.timestamp() < until);
                let wanted: Vec<Slot> = all.filter(|slot| slot.note.is_some()).collect();
                assert_eq!(schedule.changed(now, until), wanted, "{pattern} in {zone}, {days} days");
                found += wanted.len();
            }
        }
    }
    assert!(found > 50, "{found}");
    // While a slot waits for its delay, it is still to come, and afterwards no more.
    let late = Schedule { jitter: Some(Span::secs(3600)), ..cron("30 2 * * *", BERLIN) };
    let until = now + SignedDuration::from_hours(24 * 400);
    let slot = late.changed(now, until).remove(0);
    assert!(slot.delay.as_secs() > 1, "{slot:?}");
    let waits = slot.due.timestamp() + SignedDuration::from_secs(1);
    assert_eq!(late.changed(waits, until).first(), Some(&slot));
    assert_ne!(late.changed(slot.starts().timestamp(), until).first(), Some(&slot));
}

/// Tries daily patterns in each zone whose clocks change.
#[test]
fn slots_ascend_and_each_day_has_one_in_all_zones() {
    let zones = zones();
    let from: Timestamp = "2026-09-01T00:00:00Z".parse().unwrap();
    let until: Timestamp = "2027-11-30T00:00:00Z".parse().unwrap();
    let (mut changing, mut slots) = (0, 0);
    for name in zones.available() {
        let zone = zones.get(name.as_str()).unwrap();
        if zone.is_unknown()
            || zone.following(from).take_while(|change| change.timestamp() < until).next().is_none()
        {
            continue;
        }
        changing += 1;
        for pattern in ["30 2 * * *", "0 0 * * *", "59 23 * * *", "15 2 * * *", "30 1 * * *", "0 3 * * *"] {
            let schedule = Schedule { zone: zone.clone(), ..cron(pattern, "UTC") };
            let all: Vec<Slot> =
                schedule.slots(from).take_while(|slot| slot.due.timestamp() < until).collect();
            slots += all.len();
            for pair in all.windows(2) {
                assert!(pair[0].due.timestamp() < pair[1].due.timestamp(), "{name} {pattern}: {pair:?}");
                assert_eq!(
                    pair[0].civil.date().tomorrow().unwrap(),
                    pair[1].civil.date(),
                    "{name} {pattern}: {pair:?}"
                );
            }
            for slot in &all {
                let is_moved = slot.due.datetime() != slot.civil;
                assert!(
                    !is_moved || slot.note.as_ref().is_some_and(|note| note.contains("does not exist")),
                    "{name}: {slot:?}"
                );
            }
        }
    }
    assert!(changing > 100 && slots > 200_000, "{changing} zones, {slots} slots");
}

/// Returns a schedule for weekdays between 10:00 and 16:00, by a cron pattern and a delay of up to 6 hours.
fn window(chance: Option<Share>, zone_name: &str) -> Schedule {
    Schedule { jitter: Some(Span::secs(6 * 3600)), chance, ..cron("0 10 * * MON-FRI", zone_name) }
}

#[test]
fn starts_stay_between_10_and_16_all_year_in_every_zone() {
    for zone in [BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Nuuk"] {
        let schedule = window(None, zone);
        let slots = schedule.next(begin(&schedule, "2026-12-01"), 600);
        let hours: Vec<i8> = slots.iter().map(|slot| slot.starts().hour()).collect();
        for slot in &slots {
            let at = slot.starts().datetime();
            assert!(at.weekday().to_monday_zero_offset() < 5, "{at}");
            assert!(at >= at.date().at(10, 0, 0, 0) && at <= at.date().at(16, 0, 0, 0), "{at}");
        }
        for hour in 10..16 {
            let count = hours.iter().filter(|start_hour| **start_hour == hour).count();
            // 100 are expected; five standard deviations are 46.
            assert!((54..=146).contains(&count), "{count} of 600 in hour {hour} in {zone}");
        }
    }
}

#[test]
fn a_delay_over_a_change_of_clocks_is_real_time() {
    // Berlin, 2027-03-28: 02:00 becomes 03:00.
    let schedule = Schedule { jitter: Some(Span::secs(6 * 3600)), ..cron("0 0 * * SUN", BERLIN) };
    let slot = schedule.slot("2027-03-28T00:00").unwrap();
    let passed = slot.starts().timestamp().duration_since(slot.due.timestamp());
    assert_eq!(passed, slot.delay);
    assert!(slot.starts().datetime() <= date("2027-03-28").unwrap().at(7, 0, 0, 0));
}

#[test]
fn chance_leaves_out_some_times_which_differ_between_game_days() {
    let all = window(None, BERLIN);
    let from = begin(&all, "2026-12-01");
    for (per_cent, count) in [(20, 400_u32), (50, 1_000), (100, 2_000)] {
        let some = window(Some(Share::per_cent(per_cent)), BERLIN);
        let until = all.next(from, 2_000).last().unwrap().due.timestamp();
        let slots: Vec<Slot> = some.slots(from).take_while(|slot| slot.due.timestamp() <= until).collect();
        let there = u32::try_from(slots.len()).unwrap();
        // Five standard deviations of 2,000 throws are at most 112.
        assert!(there.abs_diff(count) <= if per_cent == 100 { 0 } else { 112 }, "{there} of {count}");
        for slot in slots.iter().take(50) {
            assert_eq!(all.slot(&slot.civil_text()).as_ref(), Some(slot), "the same delay");
            assert_eq!(some.slot(&slot.civil_text()).as_ref(), Some(slot));
        }
    }
    let some = window(Some(Share::per_cent(20)), BERLIN);
    let none = all.slots(from).find(|slot| some.slot(&slot.civil_text()).is_none()).unwrap();
    assert!(some.slots(from).take(50).all(|slot| slot.civil != none.civil));
    let other = Schedule { name: "other".to_owned(), ..some.clone() };
    assert_ne!(other.next(from, 50), some.next(from, 50));
}
