use proptest::prelude::*;

use super::*;
use crate::points::Lacks;

mod losses;

const S: i64 = 1_000_000;
/// The store begins at this second.
const BEGAN: i64 = 100;

/// A store of one question, in which a sender may be silent for 5 s.
struct One {
    store: Store,
    query: String,
    now: i64,
}

impl One {
    fn of(query: &str) -> Self {
        let read = Query::parse(query).expect("a question");
        let store = Store::new(vec![read], 5 * S, true, BEGAN * S);
        Self { store, query: query.to_owned(), now: BEGAN * S }
    }

    /// A packet, in tenths of a second since the beginning, of a sender by its port.
    fn packet(&mut self, tenths: i64, port: u16, text: &str) -> &mut Self {
        self.now = BEGAN * S + tenths * S / 10;
        self.store.packet(self.now, SocketAddr::from(([127, 0, 0, 1], port)), text.as_bytes());
        self.store.read_until(self.now);
        self
    }

    /// Sends the same in each half second.
    fn all(&mut self, seconds: std::ops::Range<i64>, port: u16, text: &str) -> &mut Self {
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
        let all = self.store.points(&self.query, std::iter::once(at)).expect("it is listened for");
        all.first().copied()
    }

    /// The bounds and what is lacking, at the end of a second.
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
fn counters_add_up_with_their_sample_rate_and_tags_choose() {
    let mut one = One::of("count(shop.errors{env=\"prod\"}[1s])");
    one.all(0..3, 1, "other:1|c\nshop.errors:1|c|#env:prod\nshop.errors:100|c|#env:test");
    one.packet(31, 1, "shop.errors:3|c|@0.1|#zone:a,env:prod").all(4..20, 1, "shop.errors:1|c|#env:prod");
    assert_eq!((one.value(2), one.value(4), one.value(5)), (2.0, 30.0, 2.0));
    assert_eq!(one.behind(5).series, [1]);
    let mut rate = One::of("rate(x[2s])");
    rate.all(0..20, 1, "x:3|c");
    assert_eq!((rate.value(4), rate.value(6)), (6.0, 6.0));
    let mut total = One::of("total(x[1s])");
    total.all(0..20, 1, "x:3|c");
    assert_eq!((total.value(4), total.value(6)), (24.0, 36.0));
}

#[test]
fn nothing_is_zero_only_while_its_sender_lives() {
    let mut one = One::of("count(shop.errors[1s])");
    one.packet(1, 7, "shop.errors:1|c").all(1..10, 7, "shop.requests:1|c").all(1..40, 8, "cart.requests:1|c");
    // Its sender is heard of until 9.6 s, and nobody knows when it died after that.
    assert_eq!(one.value(9), 0.0);
    assert_eq!(one.at(11), None, "another sender says nothing of this one");
    assert_eq!(one.at(30), None);
    assert_eq!((one.behind(9).series, one.behind(11).series), (vec![1], vec![0]));
    // It was restarted: another port.
    one.packet(401, 9, "shop.errors:1|c").all(41..60, 9, "shop.requests:1|c");
    assert_eq!((one.value(50), one.behind(50).series), (0.0, vec![1]));
}

#[test]
fn a_counter_that_was_never_sent_is_not_zero_unless_something_named_shows_its_sender() {
    let mut never = One::of("count(shop.errors[1s])");
    never.all(0..20, 7, "shop.requests:1|c");
    assert_eq!(never.at(10), None);
    let missing = never.store.missing("count(shop.errors[1s])").expect("nothing was sent");
    assert!(
        missing.contains("name in `alive_by`") && missing.contains("40 packets arrived, with shop.requests"),
        "{missing}"
    );
    let mut named = One::of("count(shop.errors[1s]) alive by shop.requests");
    named.all(0..10, 7, "shop.requests:1|c");
    // Each packet has another port, as those of programs that open a socket for each.
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
fn what_a_sender_counted_before_it_died_is_the_least() {
    let mut one = One::of("count(x[1s])");
    one.all(0..10, 7, "x:1|c").packet(101, 7, "x:50|c").read_until(40);
    let (low, high, lacks) = one.at(11).expect("a point");
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
        let mut one = One::of(query);
        one.all(0..3, 7, text);
        one.store.dropped((BEGAN * S) + 3_400_000, (BEGAN * S) + 3_410_000, 12);
        one.all(3..20, 7, text);
        let (is_low, is_high, lacks) = one.at(4).expect("a point");
        let same = |is: f64, wanted: f64| is.to_bits() == wanted.to_bits() || is.is_nan() && wanted.is_nan();
        assert!(same(is_low, low) && same(is_high, high), "{query}: {is_low} {is_high}");
        assert_eq!(lacks, Some(Lacks::Dropped(12)), "{query}");
        assert_eq!(
            (one.at(3).expect("it is there").2, one.at(5).expect("it is there").2),
            (None, None),
            "{query}"
        );
    }
    let mut falls = One::of("count(x[1s])");
    falls.all(0..3, 7, "x:-1|c");
    falls.store.dropped((BEGAN * S) + 2_400_000, (BEGAN * S) + 2_410_000, 1);
    assert!(falls.all(3..9, 7, "x:1|c").at(3).expect("it is there").1.is_nan(), "it may have fallen more");
}

#[test]
fn gauges_hold_their_value_and_changes_need_one() {
    let mut one = One::of("last(queue[1s])");
    one.packet(2, 1, "queue:+5|g").packet(12, 1, "queue:10|g").packet(22, 1, "queue:-3|g").packet(
        62,
        2,
        "other:1|c",
    );
    one.read_until(6);
    assert_eq!(one.at(1).expect("a point").2, Some(Lacks::OnlyChanges));
    assert_eq!((one.value(2), one.value(3), one.value(6)), (10.0, 7.0, 7.0));
    assert_eq!(one.behind(6).age, Some(3.8));
    // What was dropped may have been a new value.
    one.store.dropped((BEGAN + 7) * S, (BEGAN + 7) * S + 10, 4);
    one.packet(81, 1, "queue:+1|g").packet(95, 1, "queue:1|g").read_until(20);
    assert_eq!((one.at(9).expect("a point").2, one.value(10)), (Some(Lacks::Dropped(4)), 1.0));
    let mut highest = One::of("max(queue[1s])");
    highest
        .packet(2, 1, "queue:5|g|#a")
        .packet(11, 1, "queue:9|g|#a")
        .packet(12, 1, "queue:1|g|#a")
        .read_until(9);
    assert_eq!((highest.at(1), highest.value(2), highest.value(3)), (None, 9.0, 1.0));
    let mut two = One::of("last(queue[1s])");
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
    let mut one = One::of(query);
    one.store = Store::new(vec![Query::parse(query).expect("it is there")], 5 * S, false, BEGAN * S);
    one.packet(1, 1, "x:10|g").packet(2, 1, "x:-3|g").read_until(9);
    assert_eq!(one.value(1), -3.0);
}

#[test]
fn timings_have_percentiles_and_nothing_sent_has_none() {
    for (query, wanted) in [
        ("p50(buy[1s])", 50.0),
        ("p99(buy[1s])", 99.0),
        ("max(buy[1s])", 100.0),
        ("min(buy[1s])", 1.0),
        ("mean(buy[1s])", 50.5),
        ("count(buy[1s])", 100.0),
    ] {
        let mut one = One::of(query);
        one.packet(1, 1, "buy:1|ms");
        for ms in 1..=100 {
            one.packet(11, 1, &format!("buy:{ms}|ms"));
        }
        one.packet(25, 1, "y:1|c").packet(31, 1, "buy:1|h").packet(41, 1, "y:1|c").read_until(9);
        let value = one.value(2);
        assert!((value - wanted).abs() <= wanted / 1_000.0, "{query}: {value}");
        assert_eq!(one.at(3).map(|one| one.1), query.starts_with("count").then_some(0.0), "{query}");
    }
    // A sample rate says how often each happened.
    let mut sampled = One::of("p50(buy[1s])");
    sampled
        .packet(1, 1, "buy:1|ms")
        .packet(11, 1, "buy:1|ms|@0.1\nbuy:9:9|d")
        .packet(31, 1, "buy:1|ms")
        .read_until(9);
    assert!((sampled.value(2) - 1.0).abs() < 0.01);
}

#[test]
fn sets_count_different_values_up_to_a_bound() {
    let mut one = One::of("unique(users[1s])");
    one.packet(1, 1, "users:a|s")
        .packet(11, 1, "users:a|s\nusers:b|s\nusers:a|s")
        .packet(31, 1, "users:a|s")
        .read_until(9);
    assert_eq!((one.value(2), one.value(3)), (2.0, 0.0));
    let mut many = One::of("unique(users[1s])");
    many.packet(1, 1, "users:a|s");
    for user in 0..=super::super::interval::MEMBERS {
        many.packet(11, 1, &format!("users:{user}|s"));
    }
    many.packet(31, 1, "users:a|s").read_until(9);
    let (low, high, lacks) = many.at(2).expect("a point");
    assert!(low.is_nan() && high == 100_000.0 && lacks == Some(Lacks::TooMany));
}

#[test]
fn more_series_than_are_kept_are_told() {
    let mut one = One::of("last(q[1s])");
    for series in 0..=super::super::gauges::SERIES {
        one.packet(1, 1, &format!("q:{series}|g|#h:{series}"));
    }
    one.read_until(9);
    assert_eq!(one.at(2), Some((0.0, 999.0, Some(Lacks::TooMany))));
}

#[test]
fn another_type_and_lines_that_cannot_be_read_are_told() {
    let mut one = One::of("p99(buy[1s])");
    one.all(0..3, 1, "buy:1|c").read_until(9);
    assert_eq!(one.at(2).expect("a point").2, Some(Lacks::OtherForm));
    let missing = one.store.missing("p99(buy[1s])").expect("it is of another type");
    assert!(
        missing.starts_with("`buy` is of another type: `p99` is read from timings (ms, h, d)"),
        "{missing}"
    );
    let mut broken = One::of("count(x[1s])");
    broken.all(0..3, 1, "x:1|c").packet(
        31,
        1,
        "x:4|c\nx:five|c\nhello token=s3cr3tValue9\n_e{1,1}:a|b\n_sc|a|0",
    );
    broken.all(4..9, 1, "x:1|c");
    let (low, high, lacks) = broken.at(4).expect("a point");
    assert!(low.is_nan() && high == 4.0 && lacks == Some(Lacks::Unreadable(1)));
    assert_eq!(broken.at(5), Some((2.0, 2.0, None)));
    let counts = broken.store.counts();
    assert_eq!(
        (counts.malformed, counts.skipped, counts.first_malformed.as_deref()),
        (2, 2, Some("x:five|c"))
    );
    let mut secret = One::of("count(x[1s])");
    secret.packet(1, 1, "hello password=s3cr3tValue9");
    let shown = secret.store.counts().first_malformed.expect("it is malformed");
    assert!(shown.contains("hello") && !shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn a_packet_that_was_read_late_counts_where_it_arrived() {
    let mut one = One::of("count(x[1s])");
    one.all(0..3, 1, "x:1|c");
    // The drop is seen at 6 s, and packets from before it are still to be read.
    one.store.dropped((BEGAN * S) + 5_990_000, (BEGAN + 6) * S, 9);
    one.all(3..12, 1, "x:1|c");
    assert_eq!((one.value(4), one.value(5)), (2.0, 2.0));
    assert_eq!((one.at(6).expect("it is there").2, one.value(8)), (Some(Lacks::Dropped(9)), 2.0));
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    let mut one = One::of("count(x[1s])");
    for second in 0..20_000 {
        let port = u16::try_from(second % 60_000).expect("it is there");
        one.packet(second * 10, port, &format!("x:1|c\nname{second}:1|c"));
        one.store.dropped(one.now - 10, one.now, 1);
    }
    assert!(
        one.store.senders.len() <= SENDERS
            && one.store.drops.len() <= DROPS
            && one.store.names.len() <= NAMES
    );
    assert_eq!(one.store.drops.iter().map(|(.., packets)| packets).sum::<u64>(), 20_000);
}

proptest! {
    #[test]
    fn any_packets_are_taken_without_a_panic(packets in prop::collection::vec((0i64..50, any::<u16>(), "(x|y)?:?[-+0-9.e]{0,4}\\|?(c|g|ms|s)?(\\|@0.5)?(\n|x:1\\|c)?"), 0..40)) {
        for query in ["count(x[1s])", "last(x[1s])", "p99(x[1s]) alive by y", "unique(x[1s])", "total(x[1s])"] {
            let mut one = One::of(query);
            for (tenths, port, text) in &packets {
                one.packet(*tenths, *port, text);
            }
            one.read_until(20);
            for second in 0..12 {
                if let Some((low, high, _)) = one.at(second) {
                    prop_assert!(low <= high || low.is_nan() || high.is_nan(), "{} {}", low, high);
                }
                let _ = one.behind(second);
            }
        }
    }

    /// Whatever is split into whichever packets, the counts of all intervals are that of all lines.
    #[test]
    fn no_count_is_lost(sizes in prop::collection::vec((0i64..80, 1u32..9), 1..60)) {
        let mut one = One::of("count(x[1s])");
        let mut sizes = sizes;
        sizes.sort_unstable();
        one.packet(0, 1, "x:0|c");
        let mut all = 0;
        for (tenths, lines) in &sizes {
            all += lines;
            one.packet(*tenths, 1, &vec!["x:1|c"; *lines as usize].join("\n"));
        }
        one.all(8..12, 1, "y:1|c");
        let sum: f64 = (1..=9).filter_map(|second| one.at(second)).map(|(_, high, _)| high).sum();
        prop_assert_eq!(sum, f64::from(all));
    }
}
