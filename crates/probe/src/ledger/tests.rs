//! The books under made-up time: nothing is lost, whatever happens when.

use firedrill_wire::probe::{Arrivals, Bin};
use proptest::prelude::*;

use super::*;
use crate::schedule::{requests_within, slip_limit_us};

const START: u64 = 7_300_000;

fn ledger(rate: f64, timeout_us: u64, length_us: u64) -> Ledger<u64> {
    let within = requests_within(rate, std::time::Duration::from_micros(timeout_us)).unwrap();
    let limits =
        Limits { timeout_us, slip_us: slip_limit_us(timeout_us), most: usize::try_from(within).unwrap() + 4 };
    Ledger::new(Schedule::new(START, START + length_us, rate, Arrivals::Even, 0).unwrap(), limits)
}

fn sealed(ledger: &mut Ledger<u64>) -> Vec<Bin> {
    std::iter::from_fn(|| ledger.complete()).map(|(start, tally)| tally.seal("p", start, "boot")).collect()
}

fn sum(bins: &[Bin], what: impl Fn(&Bin) -> u64) -> u64 {
    bins.iter().map(what).sum()
}

/// Runs a ledger whose server answers each request after `answer(due)` microseconds (never, where that is none), and
/// whose pacer wakes every `step(now)` microseconds.
fn run(
    ledger: &mut Ledger<u64>,
    stalls: &mut Stalls,
    step: impl Fn(u64) -> u64,
    answer: impl Fn(u64) -> Option<u64>,
) -> Vec<Bin> {
    let (mut now, mut bins, mut flying) = (START, Vec::new(), Vec::<(u64, Ticket)>::new());
    while !ledger.ended() {
        stalls.beat(now);
        ledger.expire(now, stalls);
        while let Some(ticket) = ledger.next_due(now) {
            ledger.attach(ticket, ticket.id);
            if ledger.begin(ticket, now)
                && let Some(after) = answer(ticket.due_us)
            {
                flying.push((now.max(ticket.due_us + after), ticket));
            }
        }
        bins.extend(sealed(ledger));
        let next = now + step(now);
        stalls.expect(next.min(now + 1000));
        flying.sort_by_key(|(at, _)| *at);
        for (at, ticket) in flying.extract_if(.., |(at, _)| *at <= next) {
            // Answers are seen only when the prober is awake: at once in a short step, at its end in a long one.
            let seen = if next - now > 1000 { next } else { at };
            ledger.finish(ticket, seen, Ok(Phases::default()), stalls);
        }
        now = next;
    }
    bins
}

#[test]
fn a_stalled_server_cannot_hide_its_stall() {
    // 100 a second with a time-out of 1 s; for 2 s the server answers nothing, then all at once.
    let stall = (START + 1_000_000, START + 3_000_000);
    let mut books = ledger(100.0, 1_000_000, 5_000_000);
    let bins = run(
        &mut books,
        &mut Stalls::new(START, 1_000_000),
        |_| 500,
        |due| Some(if (stall.0..stall.1).contains(&due) { stall.1 - due } else { 1000 }),
    );
    assert_eq!(sum(&bins, |bin| bin.due), 500);
    assert_eq!(sum(&bins, |bin| bin.slipped), 0);
    // The first half of the stall is over the time-out; the second half is late by what was left of the stall.
    assert_eq!(sum(&bins, Bin::bad_total), 100);
    let mut all = crate::bin::empty().unwrap();
    for bin in &bins {
        all.add(crate::bin::histogram(bin).unwrap()).unwrap();
    }
    assert_eq!(all.len(), 400);
    assert_eq!(all.count_between(2000, 1_001_000), 100);
    assert_eq!(bins[1].first_bad_us, Some(300_000));
}

#[test]
fn a_prober_that_stood_still_says_so_in_every_second() {
    let mut books = ledger(100.0, 1_000_000, 20_000_000);
    let freeze = |now: u64| if now == START + 4_000_000 { 10_000_000 } else { 500 };
    let bins = run(&mut books, &mut Stalls::new(START, 1_000_000), freeze, |_| Some(200_000));
    assert_eq!(sum(&bins, |bin| bin.due), 2000);
    assert_eq!(sum(&bins, Bin::bad_total), 0, "the server was never at fault");
    // What was missed, and the 20 that were under way when it began; the last few ms start late, yet in time.
    let slipped = sum(&bins, |bin| bin.slipped);
    assert!((1010..=1021).contains(&slipped), "{slipped}");
    let frozen: Vec<_> = bins.iter().filter(|bin| bin.slipped == bin.due && bin.due == 100).collect();
    assert_eq!(frozen.len(), 9, "whole seconds in the middle");
    assert!(bins.windows(2).all(|two| two[1].start_boot_us == two[0].start_boot_us + LENGTH_US));
}

#[test]
fn a_starved_prober_sends_late_and_does_not_blame_the_service() {
    // Woken every 40 ms only, which is within its slip limit; the service answers 70 ms after it was asked.
    let mut books = ledger(100.0, 2_000_000, 10_000_000);
    let (mut now, mut under_way, mut bins) = (START, Vec::<(u64, Ticket)>::new(), Vec::new());
    let mut stalls = Stalls::new(START, 2_000_000);
    while !books.ended() {
        books.expire(now, &stalls);
        while let Some(ticket) = books.next_due(now) {
            assert!(books.begin(ticket, now));
            under_way.push((now + 70_000, ticket));
        }
        bins.extend(sealed(&mut books));
        let next = now + 40_000;
        under_way.sort_by_key(|(at, _)| *at);
        for (at, ticket) in under_way.extract_if(.., |(at, _)| *at <= next) {
            stalls.expect(at);
            books.finish(ticket, at, Ok(Phases::default()), &stalls);
        }
        now = next;
    }
    let all = |read: fn(&Bin) -> Result<hdrhistogram::Histogram<u64>, crate::bin::HistogramError>| {
        bins.iter().fold(crate::bin::empty().unwrap(), |mut sum, bin| {
            sum.add(read(bin).unwrap()).unwrap();
            sum
        })
    };
    let (latency, late) = (all(crate::bin::histogram), all(crate::bin::lateness));
    assert_eq!((latency.len(), sum(&bins, |bin| bin.slipped)), (1000, 0));
    assert!(latency.max().abs_diff(70_000) < 100, "the service took 70 ms: {}", latency.max());
    assert!(late.value_at_quantile(0.9) > 25_000 && late.max() <= 40_100, "{}", late.max());
}

#[test]
fn what_is_too_much_at_once_slips() {
    let mut books = ledger(100.0, 1_000_000, 1_000_000);
    books.limits.most = 10;
    let bins = run(&mut books, &mut Stalls::new(START, 1_000_000), |_| 500, |_| None);
    assert_eq!((sum(&bins, Bin::bad_total), sum(&bins, |bin| bin.slipped)), (10, 90));
}

#[test]
fn the_vantages_own_failures_and_dropped_requests_slip() {
    let mut books = ledger(10.0, 1_000_000, 1_000_000);
    let stalls = Stalls::new(START, 1_000_000);
    let failed = books.next_due(START).unwrap();
    assert!(books.begin(failed, START));
    books.finish(failed, START + 10, Err(Failure::Vantage), &stalls);
    books.finish(failed, START + 20, Ok(Phases::default()), &stalls);
    let dropped = books.next_due(START + 100_000).unwrap();
    books.abandon(dropped);
    assert!(!books.begin(dropped, START + 100_000), "what was given up is not sent");
    let late = books.next_due(START + 200_000).unwrap();
    assert!(!books.begin(late, START + 260_000), "too late to start");
    books.close(START + 260_000);
    assert!(books.next_due(START + 300_000).is_none());
    let bins = sealed(&mut books);
    assert_eq!((bins.len(), bins[0].due, bins[0].slipped, bins[0].worst_slip_us), (1, 3, 3, 60_000));
    assert!(books.ended() && !books.busy());
}

#[test]
fn seconds_without_requests_are_handed_out_too() {
    let mut books = ledger(0.25, 100_000, 10_000_000);
    let bins = run(&mut books, &mut Stalls::new(START, 100_000), |_| 1000, |_| Some(5));
    assert_eq!(bins.iter().map(|bin| bin.due).collect::<Vec<_>>(), [1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_request_is_ever_lost(
        rate in 0.2_f64..400.0,
        timeout in 1000_u64..3_000_000,
        length in 1_u64..8_000_000,
        most in 1_usize..60,
        steps in proptest::collection::vec(prop_oneof![8 => 50_u64..3000, 1 => 3000_u64..50_000, 1 => 50_000_u64..4_000_000], 1..40),
        answers in proptest::collection::vec(proptest::option::weighted(0.8, 0_u64..4_000_000), 1..40),
        stopped in proptest::option::of(0_u64..8_000_000),
    ) {
        let mut books = ledger(rate, timeout, length);
        books.limits.most = most;
        let pick = |list: &[u64], at: u64| list[usize::try_from(at / 97).unwrap() % list.len()];
        if let Some(stopped) = stopped {
            books.close(START + stopped);
        }
        let total = books.schedule.clone().take_before(u64::MAX);
        let bins = run(
            &mut books,
            &mut Stalls::new(START, timeout),
            |now| pick(&steps, now),
            |due| answers[usize::try_from(due / 89).unwrap() % answers.len()],
        );
        prop_assert_eq!(sum(&bins, |bin| bin.due), total);
        for bin in &bins {
            prop_assert_eq!(bin.due, bin.good + bin.bad_total() + bin.slipped);
            prop_assert_eq!(crate::bin::histogram(bin).unwrap().len(), bin.good);
            prop_assert_eq!(bin.start_boot_us % LENGTH_US, 0);
            let last = bins[bins.len() - 1].start_boot_us;
            prop_assert!(bin.length_us == LENGTH_US || bin.start_boot_us == last);
        }
        prop_assert!(bins.windows(2).all(|two| two[1].start_boot_us == two[0].start_boot_us + LENGTH_US));
    }
}
