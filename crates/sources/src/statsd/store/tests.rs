//! Points and reasons from packets, without a socket.

use proptest::prelude::*;

use super::*;
use crate::points::Lacks;

mod losses;

/// A second, in microseconds.
const S: i64 = 1_000_000;
/// The store begins at this second.
const BEGAN: i64 = 100;

/// For [`Store::new`]: a sign before a gauge's value means a change.
const CHANGES: bool = true;
/// For [`Store::new`]: a sign before a gauge's value belongs to the number.
const NUMBERS: bool = false;

/// A store with one question, in which a sender may be silent for 5 s.
struct Source {
    store: Store,
    query: String,
    now: i64,
}

impl Source {
    fn of(query: &str) -> Self {
        let parsed = Query::parse(query).expect("a question");
        let store = Store::new(vec![parsed], 5 * S, CHANGES, BEGAN * S);
        Self { store, query: query.to_owned(), now: BEGAN * S }
    }

    /// Takes a packet of a sender with that port, that many tenths of a second after the beginning.
    fn packet(&mut self, tenths: i64, port: u16, text: &str) -> &mut Self {
        self.now = BEGAN * S + tenths * S / 10;
        self.store.packet(self.now, SocketAddr::from(([127, 0, 0, 1], port)), text.as_bytes());
        self.store.read_until(self.now);
        self
    }

    /// Takes the same packet in each half second.
    fn repeat(&mut self, seconds: std::ops::Range<i64>, port: u16, text: &str) -> &mut Self {
        for half in seconds.start * 2..seconds.end * 2 {
            self.packet(half * 5 + 1, port, text);
        }
        self
    }

    fn read_until(&mut self, second: i64) -> &mut Self {
        self.store.read_until((BEGAN + second) * S);
        self
    }

    fn point(&mut self, second: i64) -> Option<Point> {
        let at = (BEGAN + second) * S;
        let points = self.store.points(&self.query, std::iter::once(at)).expect("it is listened for");
        points.first().copied()
    }

    /// The bounds at the end of a second, and the reason why the value is not complete.
    fn at(&mut self, second: i64) -> Option<(f64, f64, Option<Lacks>)> {
        self.point(second).map(|point| (point.low, point.high, point.lacks))
    }

    fn value(&mut self, second: i64) -> f64 {
        let (low, high, lacks) = self.at(second).expect("a point");
        assert_eq!((low, lacks), (high, None));
        high
    }

    fn behind(&mut self, second: i64) -> Behind {
        let at = (BEGAN + second) * S;
        self.store.behind(&self.query, std::iter::once(at)).expect("it is listened for").remove(0)
    }
}

#[test]
fn counters_add_up_with_their_sample_rate_and_tags_select_metrics() {
    let mut source = Source::of("count(shop.errors{env=\"prod\"}[1s])");
    source.repeat(0..3, 1, "other:1|c\nshop.errors:1|c|#env:prod\nshop.errors:100|c|#env:test");
    source.packet(31, 1, "shop.errors:3|c|@0.1|#zone:a,env:prod").repeat(
        4..20,
        1,
        "shop.errors:1|c|#env:prod",
    );
    assert_eq!((source.value(2), source.value(4), source.value(5)), (2.0, 30.0, 2.0));
    assert_eq!(source.behind(5).series, [1]);
    let mut rate = Source::of("rate(x[2s])");
    rate.repeat(0..20, 1, "x:3|c");
    assert_eq!((rate.value(4), rate.value(6)), (6.0, 6.0));
    let mut total = Source::of("total(x[1s])");
    total.repeat(0..20, 1, "x:3|c");
    assert_eq!((total.value(4), total.value(6)), (24.0, 36.0));
}

#[test]
fn a_counter_that_is_not_sent_is_zero_only_while_its_sender_lives() {
    let mut source = Source::of("count(shop.errors[1s])");
    source.packet(1, 7, "shop.errors:1|c").repeat(1..10, 7, "shop.requests:1|c").repeat(
        1..40,
        8,
        "cart.requests:1|c",
    );
    // Its sender's last packet is of 9.6 s; it may have died at any time after that.
    assert_eq!(source.value(9), 0.0);
    assert_eq!(source.at(11), None, "another sender says nothing of this one");
    assert_eq!(source.at(30), None);
    assert_eq!((source.behind(9).series, source.behind(11).series), (vec![1], vec![0]));
    // It was restarted: another port.
    source.packet(401, 9, "shop.errors:1|c").repeat(41..60, 9, "shop.requests:1|c");
    assert_eq!((source.value(50), source.behind(50).series), (0.0, vec![1]));
}

#[test]
fn a_counter_that_was_never_sent_is_zero_only_if_another_metric_shows_that_its_sender_lives() {
    let mut never = Source::of("count(shop.errors[1s])");
    never.repeat(0..20, 7, "shop.requests:1|c");
    assert_eq!(never.at(10), None);
    let missing = never.store.missing("count(shop.errors[1s])").expect("nothing was sent");
    assert!(
        missing.contains("name in `alive_by`") && missing.contains("40 packets arrived, with shop.requests"),
        "{missing}"
    );
    let mut named = Source::of("count(shop.errors[1s]) alive by shop.requests");
    named.repeat(0..10, 7, "shop.requests:1|c");
    // Each packet has another port: some programs open a socket for each packet.
    for tenths in 100..200 {
        named.packet(tenths, 1_000 + u16::try_from(tenths).expect("it is there"), "shop.requests:1|c");
    }
    assert_eq!((named.value(5), named.value(15), named.behind(15).series), (0.0, 0.0, vec![1]));
    named.read_until(24);
    assert_eq!(named.value(21), 0.0, "it may still be late");
    named.read_until(40);
    assert_eq!(named.at(21), None);
    assert!(
        named
            .store
            .missing("count(shop.errors[1s]) alive by shop.requests")
            .is_some_and(|why| why.contains("silences"))
    );
}

#[test]
fn the_count_of_a_sender_before_it_died_is_a_lower_bound() {
    let mut source = Source::of("count(x[1s])");
    source.repeat(0..10, 7, "x:1|c").packet(101, 7, "x:50|c").read_until(40);
    let (low, high, lacks) = source.at(11).expect("a point");
    assert!(low.is_nan() && high == 50.0 && lacks == Some(Lacks::Silent));
}

#[test]
fn dropped_packets_leave_a_bound_where_there_is_one() {
    for (query, low, high) in [
        ("count(x[1s])", f64::NAN, 4.0),
        ("max(x[1s])", f64::NAN, 2.0),
        ("min(x[1s])", 2.0, f64::NAN),
        ("mean(x[1s])", f64::NAN, f64::NAN),
        ("p50(x[1s])", f64::NAN, f64::NAN),
    ] {
        let text = if query.starts_with("count") { "x:2|c" } else { "x:2|ms" };
        let mut source = Source::of(query);
        source.repeat(0..3, 7, text);
        source.store.dropped((BEGAN * S) + 3_400_000, (BEGAN * S) + 3_410_000, 12);
        source.repeat(3..20, 7, text);
        let (actual_low, actual_high, lacks) = source.at(4).expect("a point");
        let same = |actual: f64, wanted: f64| {
            actual.to_bits() == wanted.to_bits() || actual.is_nan() && wanted.is_nan()
        };
        assert!(same(actual_low, low) && same(actual_high, high), "{query}: {actual_low} {actual_high}");
        assert_eq!(lacks, Some(Lacks::Dropped(12)), "{query}");
        assert_eq!(
            (source.at(3).expect("it is there").2, source.at(5).expect("it is there").2),
            (None, None),
            "{query}"
        );
    }
    let mut falls = Source::of("count(x[1s])");
    falls.repeat(0..3, 7, "x:-1|c");
    falls.store.dropped((BEGAN * S) + 2_400_000, (BEGAN * S) + 2_410_000, 1);
    assert!(falls.repeat(3..9, 7, "x:1|c").at(3).expect("it is there").1.is_nan(), "it may have fallen more");
}

#[test]
fn a_gauge_keeps_its_value_and_a_change_needs_a_known_value() {
    let mut source = Source::of("last(queue[1s])");
    source.packet(2, 1, "queue:+5|g").packet(12, 1, "queue:10|g").packet(22, 1, "queue:-3|g").packet(
        62,
        2,
        "other:1|c",
    );
    source.read_until(6);
    assert_eq!(source.at(1).expect("a point").2, Some(Lacks::OnlyChanges));
    assert_eq!((source.value(2), source.value(3), source.value(6)), (10.0, 7.0, 7.0));
    assert_eq!(source.behind(6).age, Some(3.8));
    // A dropped packet may have had a new value.
    source.store.dropped((BEGAN + 7) * S, (BEGAN + 7) * S + 10, 4);
    source.packet(81, 1, "queue:+1|g").packet(95, 1, "queue:1|g").read_until(20);
    assert_eq!((source.at(9).expect("a point").2, source.value(10)), (Some(Lacks::Dropped(4)), 1.0));
    let mut highest = Source::of("max(queue[1s])");
    highest
        .packet(2, 1, "queue:5|g|#a")
        .packet(11, 1, "queue:9|g|#a")
        .packet(12, 1, "queue:1|g|#a")
        .read_until(9);
    assert_eq!((highest.at(1), highest.value(2), highest.value(3)), (None, 9.0, 1.0));
    let mut two = Source::of("last(queue[1s])");
    two.packet(2, 1, "queue:5|g|#h:a")
        .packet(3, 1, "queue:9|g|#h:b")
        .packet(31, 1, "queue:6|g|#h:b")
        .read_until(9);
    assert_eq!((two.at(2), two.point(2).expect("it is there").series), (Some((5.0, 9.0, None)), 2));
    assert_eq!(two.behind(5).age, Some(4.8), "the oldest series counts");
}

#[test]
fn a_sign_is_a_number_where_the_source_says_so() {
    let query = "last(x[1s])";
    let mut source = Source::of(query);
    source.store = Store::new(vec![Query::parse(query).expect("it is there")], 5 * S, NUMBERS, BEGAN * S);
    source.packet(1, 1, "x:10|g").packet(2, 1, "x:-3|g").read_until(9);
    assert_eq!(source.value(1), -3.0);
}

#[test]
fn timings_have_percentiles_and_an_interval_without_timings_has_none() {
    for (query, wanted) in [
        ("p50(buy[1s])", 50.0),
        ("p99(buy[1s])", 99.0),
        ("max(buy[1s])", 100.0),
        ("min(buy[1s])", 1.0),
        ("mean(buy[1s])", 50.5),
        ("count(buy[1s])", 100.0),
    ] {
        let mut source = Source::of(query);
        source.packet(1, 1, "buy:1|ms");
        for ms in 1..=100 {
            source.packet(11, 1, &format!("buy:{ms}|ms"));
        }
        source.packet(25, 1, "y:1|c").packet(31, 1, "buy:1|h").packet(41, 1, "y:1|c").read_until(9);
        let value = source.value(2);
        assert!((value - wanted).abs() <= wanted / 1_000.0, "{query}: {value}");
        assert_eq!(
            source.at(3).map(|(_, high, _)| high),
            query.starts_with("count").then_some(0.0),
            "{query}"
        );
    }
    // A sample rate says how often each happened.
    let mut sampled = Source::of("p50(buy[1s])");
    sampled
        .packet(1, 1, "buy:1|ms")
        .packet(11, 1, "buy:1|ms|@0.1\nbuy:9:9|d")
        .packet(31, 1, "buy:1|ms")
        .read_until(9);
    assert!((sampled.value(2) - 1.0).abs() < 0.01);
}

#[test]
fn sets_count_distinct_values_up_to_a_limit() {
    let mut source = Source::of("unique(users[1s])");
    source
        .packet(1, 1, "users:a|s")
        .packet(11, 1, "users:a|s\nusers:b|s\nusers:a|s")
        .packet(31, 1, "users:a|s")
        .read_until(9);
    assert_eq!((source.value(2), source.value(3)), (2.0, 0.0));
    let mut many = Source::of("unique(users[1s])");
    many.packet(1, 1, "users:a|s");
    for user in 0..=super::super::interval::MEMBERS {
        many.packet(11, 1, &format!("users:{user}|s"));
    }
    many.packet(31, 1, "users:a|s").read_until(9);
    let (low, high, lacks) = many.at(2).expect("a point");
    assert!(low.is_nan() && high == 100_000.0 && lacks == Some(Lacks::TooMany));
}

#[test]
fn more_series_than_are_kept_are_reported() {
    let mut source = Source::of("last(q[1s])");
    for series in 0..=super::super::gauges::SERIES {
        source.packet(1, 1, &format!("q:{series}|g|#h:{series}"));
    }
    source.read_until(9);
    assert_eq!(source.at(2), Some((0.0, 999.0, Some(Lacks::TooMany))));
}

#[test]
fn another_type_and_lines_that_cannot_be_read_are_reported() {
    let mut source = Source::of("p99(buy[1s])");
    source.repeat(0..3, 1, "buy:1|c").read_until(9);
    assert_eq!(source.at(2).expect("a point").2, Some(Lacks::OtherForm));
    let missing = source.store.missing("p99(buy[1s])").expect("it is of another type");
    assert!(
        missing.starts_with("`buy` is of another type: `p99` is read from timings (ms, h, d)"),
        "{missing}"
    );
    let mut broken = Source::of("count(x[1s])");
    broken.repeat(0..3, 1, "x:1|c").packet(
        31,
        1,
        "x:4|c\nx:five|c\nhello token=s3cr3tValue9\n_e{1,1}:a|b\n_sc|a|0",
    );
    broken.repeat(4..9, 1, "x:1|c");
    let (low, high, lacks) = broken.at(4).expect("a point");
    assert!(low.is_nan() && high == 4.0 && lacks == Some(Lacks::Unreadable(1)));
    assert_eq!(broken.at(5), Some((2.0, 2.0, None)));
    let counts = broken.store.counts();
    assert_eq!(
        (counts.malformed, counts.skipped, counts.first_malformed.as_deref()),
        (2, 2, Some("x:five|c"))
    );
    let mut secret = Source::of("count(x[1s])");
    secret.packet(1, 1, "hello password=s3cr3tValue9");
    let shown = secret.store.counts().first_malformed.expect("it is malformed");
    assert!(shown.contains("hello") && !shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn a_packet_that_was_read_late_counts_in_the_interval_of_its_arrival() {
    let mut source = Source::of("count(x[1s])");
    source.repeat(0..3, 1, "x:1|c");
    // The drop is seen at 6 s, and packets from before it are still to be read.
    source.store.dropped((BEGAN * S) + 5_990_000, (BEGAN + 6) * S, 9);
    source.repeat(3..12, 1, "x:1|c");
    assert_eq!((source.value(4), source.value(5)), (2.0, 2.0));
    assert_eq!((source.at(6).expect("it is there").2, source.value(8)), (Some(Lacks::Dropped(9)), 2.0));
}

#[test]
fn memory_is_bounded_for_any_packets() {
    let mut source = Source::of("count(x[1s])");
    for second in 0..20_000 {
        let port = u16::try_from(second % 60_000).expect("it is there");
        source.packet(second * 10, port, &format!("x:1|c\nname{second}:1|c"));
        source.store.dropped(source.now - 10, source.now, 1);
    }
    assert!(
        source.store.senders.len() <= SENDERS
            && source.store.drops.len() <= DROPS
            && source.store.names.len() <= NAMES
    );
    assert_eq!(source.store.drops.iter().map(|(.., packets)| packets).sum::<u64>(), 20_000);
}

proptest! {
    #[test]
    fn any_packets_are_taken_without_a_panic(packets in prop::collection::vec((0i64..50, any::<u16>(), "(x|y)?:?[-+0-9.e]{0,4}\\|?(c|g|ms|s)?(\\|@0.5)?(\n|x:1\\|c)?"), 0..40)) {
        for query in ["count(x[1s])", "last(x[1s])", "p99(x[1s]) alive by y", "unique(x[1s])", "total(x[1s])"] {
            let mut source = Source::of(query);
            for (tenths, port, text) in &packets {
                source.packet(*tenths, *port, text);
            }
            source.read_until(20);
            for second in 0..12 {
                if let Some((low, high, _)) = source.at(second) {
                    prop_assert!(low <= high || low.is_nan() || high.is_nan(), "{} {}", low, high);
                }
                let _ = source.behind(second);
            }
        }
    }

    /// However lines are split into packets, the counts of all intervals add up to the number of lines.
    #[test]
    fn no_count_is_lost(sizes in prop::collection::vec((0i64..80, 1u32..9), 1..60)) {
        let mut source = Source::of("count(x[1s])");
        let mut sizes = sizes;
        sizes.sort_unstable();
        source.packet(0, 1, "x:0|c");
        let mut sent = 0;
        for (tenths, lines) in &sizes {
            sent += lines;
            source.packet(*tenths, 1, &vec!["x:1|c"; *lines as usize].join("\n"));
        }
        source.repeat(8..12, 1, "y:1|c");
        let sum: f64 = (1..=9).filter_map(|second| source.at(second)).map(|(_, high, _)| high).sum();
        prop_assert_eq!(sum, f64::from(sent));
    }
}
