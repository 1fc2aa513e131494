//! Packets that were dropped, cut, late or never sent. Values that they could have changed are not known, and all others are.

use super::*;

/// Converts tenths of a second since the beginning to microseconds of the clock.
fn tenth(tenths: i64) -> i64 {
    BEGAN * S + tenths * S / 10
}

impl Source {
    fn drop_between(&mut self, from: i64, until: i64, packets: u64) -> &mut Self {
        self.store.dropped(tenth(from), tenth(until), packets);
        self
    }

    /// The bounds at the end of a second, each `None` if it is not known, and the reason why the value is not complete.
    fn bounds(&mut self, second: i64) -> (Option<f64>, Option<f64>, Option<Lacks>) {
        let (low, high, lacks) = self.at(second).expect("a point");
        let known = |value: f64| (!value.is_nan()).then_some(value);
        (known(low), known(high), lacks)
    }
}

#[test]
fn an_extreme_of_a_gauge_may_have_been_in_a_packet_that_was_dropped() {
    for (query, low, high) in [("max(q[1s])", None, Some(9.0)), ("min(q[1s])", Some(5.0), None)] {
        let mut source = Source::of(query);
        source.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
        // It is sent again after the loss, so its last value is known.
        source
            .packet(22, 1, "q:9|g")
            .drop_between(24, 25, 3)
            .packet(27, 1, "q:6|g")
            .packet(32, 1, "q:6|g")
            .read_until(9);
        assert_eq!(source.bounds(3), (low, high, Some(Lacks::Dropped(3))), "{query}");
        assert_eq!(source.value(2), 5.0, "{query}: the loss was later");
        assert_eq!(source.value(4), 6.0, "{query}: the loss was earlier");
    }
    let mut last = Source::of("last(q[1s])");
    last.packet(22, 1, "q:9|g").drop_between(24, 25, 3).packet(27, 1, "q:6|g").read_until(9);
    assert_eq!(last.value(3), 6.0, "its value was sent again after the loss");
}

#[test]
fn an_extreme_of_a_gauge_is_not_known_if_its_value_at_the_beginning_is_not() {
    for loss in ["dropped", "unreadable", "changes"] {
        let mut source = Source::of("max(q[1s])");
        source.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
        let lacks = match loss {
            "dropped" => {
                source.drop_between(24, 25, 3);
                Lacks::Dropped(3)
            }
            "unreadable" => {
                source.packet(24, 1, "q:five|g");
                Lacks::Unreadable(1)
            }
            _ => {
                source.packet(24, 1, "q:+1|g|#other");
                Lacks::OnlyChanges
            }
        };
        source.packet(37, 1, "q:6|g\nq:6|g|#other").packet(47, 1, "q:7|g\nq:7|g|#other").read_until(9);
        assert_eq!(source.value(2), 5.0, "{loss}");
        assert_eq!(source.bounds(3).2, Some(lacks), "{loss}");
        assert_eq!(
            source.bounds(4),
            (None, Some(6.0), Some(lacks)),
            "{loss}: it was another one until 3.7 s"
        );
        assert_eq!(source.value(5), 7.0, "{loss}");
    }
}

#[test]
fn the_extremes_of_a_gauge_need_its_value_at_the_beginning() {
    let mut source = Source::of("max(q[1s])");
    source.packet(2, 1, "q:5|g").packet(12, 1, "q:9|g").packet(22, 1, "q:1|g").read_until(9);
    assert_eq!(source.at(1), None, "its value before the first packet is not known");
    assert_eq!(
        (source.value(2), source.value(3), source.value(4)),
        (9.0, 9.0, 1.0),
        "9 was in force until 2.2 s"
    );
    assert_eq!(source.behind(3).age, Some(1.8), "so its data are as old as that value");
    assert_eq!(source.behind(4).age, Some(1.8));
}

#[test]
fn a_loss_that_is_noticed_after_an_interval_counts_in_it() {
    for query in ["last(q[1s])", "max(q[1s])"] {
        let mut source = Source::of(query);
        source.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g").packet(22, 1, "q:5|g");
        // The packet of 3.01 s ends the interval; then the kernel reports drops between 2.98 s and 3.02 s.
        source.store.packet(tenth(30) + 10_000, SocketAddr::from(([127, 0, 0, 1], 1)), b"q:6|g");
        source.store.dropped(tenth(30) - 20_000, tenth(30) + 20_000, 4);
        source.packet(31, 1, "q:6|g").packet(41, 1, "q:6|g").read_until(9);
        assert_eq!(source.value(2), 5.0, "{query}");
        assert_eq!(source.bounds(3).2, Some(Lacks::Dropped(4)), "{query}");
        assert_eq!(source.value(5), 6.0, "{query}");
    }
}

#[test]
fn a_value_that_is_read_after_a_later_loss_is_known_until_the_loss() {
    let mut source = Source::of("last(q[1s])");
    source.packet(2, 1, "q:5|g");
    source.drop_between(38, 39, 2);
    source.packet(12, 1, "q:8|g").read_until(9);
    assert_eq!((source.value(2), source.value(3)), (8.0, 8.0));
    assert_eq!(source.bounds(4), (None, None, Some(Lacks::Dropped(2))));
    assert_eq!(source.bounds(9), (None, None, Some(Lacks::Dropped(2))), "it was not sent again");
}

#[test]
fn a_loss_in_an_interval_without_packets_of_a_gauge_leaves_it_open_from_then_on() {
    let mut source = Source::of("max(q[1s])");
    source.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g").packet(41, 1, "other:1|c").read_until(5);
    assert_eq!(source.value(4), 5.0);
    source.drop_between(64, 65, 2).read_until(9);
    assert_eq!(source.value(6), 5.0, "before the loss");
    assert_eq!(source.bounds(7), (None, Some(5.0), Some(Lacks::Dropped(2))), "it was 5 until the loss");
    assert_eq!(source.bounds(8), (None, None, Some(Lacks::Dropped(2))));
}

#[test]
fn losses_of_a_gauge_that_are_merged_cover_all_their_time() {
    let mut source = Source::of("last(q[1s])");
    source.packet(20, 1, "q:5|g").drop_between(25, 26, 1).packet(31, 1, "q:7|g|#other");
    for _ in 0..64 {
        source.store.packet(tenth(15), SocketAddr::from(([127, 0, 0, 1], 1)), b"q:5|g");
    }
    source.read_until(9);
    assert_eq!(source.bounds(4).2, Some(Lacks::Dropped(1)));
}

#[test]
fn a_value_before_a_loss_may_not_have_been_in_force_in_a_later_interval() {
    let mut source = Source::of("max(q[1s])");
    source.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
    source.drop_between(24, 25, 3);
    source.packet(37, 1, "q:4|g").packet(47, 1, "q:4|g").read_until(9);
    assert_eq!(source.bounds(4), (None, Some(4.0), Some(Lacks::Dropped(3))));
}

#[test]
fn a_value_before_a_loss_may_not_have_been_in_force_in_the_interval_of_a_late_line() {
    let mut source = Source::of("max(q[1s])");
    source.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
    source.drop_between(24, 25, 3).packet(51, 1, "q:4|g");
    source.store.packet(tenth(35), SocketAddr::from(([127, 0, 0, 1], 1)), b"q:4|g");
    source.read_until(9);
    assert_eq!(source.bounds(4), (None, None, Some(Lacks::Late(1))));
}

#[test]
fn a_change_counts_from_a_value_that_is_known() {
    let mut source = Source::of("last(q[1s])");
    source
        .packet(2, 1, "q:5|g")
        .drop_between(12, 13, 1)
        .packet(14, 1, "q:+2|g")
        .packet(24, 1, "q:3|g")
        .packet(26, 1, "q:+1|g")
        .read_until(9);
    assert_eq!(source.value(1), 5.0);
    assert_eq!(
        source.bounds(2),
        (None, None, Some(Lacks::Dropped(1))),
        "the base of +2 may have been dropped"
    );
    assert_eq!(source.value(3), 4.0);
}

#[test]
fn a_counter_that_ever_fell_has_no_bound_in_any_interval() {
    let mut source = Source::of("count(x[1s])");
    source.repeat(0..2, 7, "x:-1|c").repeat(2..3, 7, "x:9|c").drop_between(31, 32, 1).repeat(
        3..9,
        7,
        "x:9|c",
    );
    assert_eq!(
        source.bounds(4),
        (None, None, Some(Lacks::Dropped(1))),
        "a dropped event may have been negative"
    );
    let mut later = Source::of("count(x[1s])");
    later.repeat(0..3, 7, "x:9|c").drop_between(31, 32, 1).repeat(3..5, 7, "x:9|c").repeat(5..9, 7, "x:-9|c");
    assert_eq!(later.bounds(4), (None, None, Some(Lacks::Dropped(1))));
}

#[test]
fn a_sampled_counter_that_ever_fell_has_no_range() {
    let mut source = Source::of("count(x[1s])");
    source.repeat(0..1, 7, "x:-9|c|@0.1").repeat(1..9, 7, "x:9|c|@0.1");
    let sampled = source.point(4).and_then(|point| point.sampled);
    assert_eq!(sampled, Some((f64::NEG_INFINITY, f64::INFINITY)));
    let mut late = Source::of("count(x[1s])");
    late.repeat(0..4, 7, "x:1|c").read_until(4);
    assert_eq!(late.value(4), 2.0);
    late.store.packet(tenth(35), SocketAddr::from(([127, 0, 0, 1], 7)), b"x:-70|c");
    late.repeat(5..9, 7, "x:1|c");
    assert_eq!(late.bounds(4), (None, None, Some(Lacks::Late(1))), "other late events may be negative");
}

#[test]
fn a_sampled_total_has_no_range() {
    let mut source = Source::of("total(x[1s])");
    source.repeat(0..9, 7, "x:1|c|@0.1");
    let sampled = source.point(4).and_then(|point| point.sampled);
    assert_eq!(sampled, Some((f64::NEG_INFINITY, f64::INFINITY)));
}

#[test]
fn drops_that_are_merged_cover_all_their_time() {
    let mut source = Source::of("count(x[1s])");
    source.repeat(0..1, 7, "x:1|c");
    // These are more periods than are kept apart. Each is 10 ms long and begins at the end of the one before it.
    for step in 0..1_500 {
        let from = tenth(10) + step * 10_000;
        source.store.dropped(from, from + 10_000, 1);
    }
    source.repeat(1..30, 7, "x:1|c");
    for second in 2..=16 {
        let lacks = source.at(second).expect("a point").2;
        assert!(matches!(lacks, Some(Lacks::Dropped(_))), "{second}: {lacks:?}");
    }
    assert_eq!(source.value(20), 2.0);
}

#[test]
fn the_last_line_of_a_packet_that_was_cut_may_be_of_any_name_that_begins_so() {
    let mut source = Source::of("count(shop.errors[1s])");
    source.repeat(0..3, 7, "shop.errors:1|c").packet(31, 7, "shop.errors:1|c\nshop.err").repeat(
        4..5,
        7,
        "shop.errors:1|c",
    );
    source.packet(51, 7, "shop.errors:1|c\nshop.req").packet(61, 7, "shop.err\nshop.errors:1|c").repeat(
        7..12,
        7,
        "shop.errors:1|c",
    );
    assert_eq!(source.bounds(4), (None, Some(1.0), Some(Lacks::Unreadable(1))));
    assert_eq!((source.value(5), source.value(6)), (2.0, 1.0), "another name");
    assert_eq!(source.value(7), 1.0, "only the end of a packet is cut");
}

#[test]
fn a_packet_that_is_read_after_the_value_of_its_interval_was_given_out_counts_in_no_other() {
    let mut source = Source::of("count(x[1s])");
    source.repeat(0..4, 7, "x:1|c").read_until(4);
    assert_eq!(source.value(3), 2.0);
    // It arrived at 3.5 s, and something kept it back in the kernel.
    source.store.read_until(tenth(41));
    assert_eq!(source.value(4), 2.0);
    source.store.packet(tenth(35), SocketAddr::from(([127, 0, 0, 1], 7)), b"x:70|c");
    source.repeat(5..12, 7, "x:1|c");
    assert_eq!(source.bounds(4), (None, Some(2.0), Some(Lacks::Late(1))));
    assert_eq!((source.value(5), source.value(6)), (0.0, 2.0), "it is not one of the next second");
    let mut gauge = Source::of("last(q[1s])");
    gauge.packet(2, 1, "q:5|g").packet(31, 1, "other:1|c").read_until(3);
    assert_eq!(gauge.value(3), 5.0);
    gauge.store.packet(tenth(25), SocketAddr::from(([127, 0, 0, 1], 7)), b"q:9|g");
    gauge.packet(47, 1, "q:6|g").read_until(9);
    assert_eq!(gauge.bounds(3), (None, None, Some(Lacks::Late(1))));
    assert_eq!(gauge.value(5), 6.0, "it was sent again");
}

/// The bounds of the truth of a metric that is sent with a sample rate, and the upper bound in an interval without it.
fn sampled(query: &str, text: &str) -> (f64, f64, f64) {
    let mut source = Source::of(query);
    source.repeat(0..3, 7, text).repeat(3..4, 7, "alive:1|c").repeat(4..9, 7, text);
    let zero = source.point(4).and_then(|point| point.sampled).map_or(f64::NAN, |(_, most)| most);
    let point = source.point(3).expect("a point");
    assert_eq!(point.lacks, None, "{query} {text}");
    let (least, most) = point.sampled.unwrap_or((point.low, point.high));
    (least, most, zero)
}

#[test]
fn a_metric_with_a_sample_rate_is_an_estimate_between_bounds() {
    // Two lines a second, of about 20 events.
    let (least, most, zero) = sampled("count(x[1s])", "x:1|c|@0.1");
    assert!((2.0..10.0).contains(&least) && (40.0..100.0).contains(&most), "{least} {most}");
    assert!((40.0..50.0).contains(&zero), "of none sent, 44 may have been: {zero}");
    let (least, most, zero) = sampled("count(x[1s])", "x:1|c");
    assert!(least == 2.0 && most == 2.0 && zero.is_nan(), "{least} {most} {zero}");
    assert_eq!(sampled("max(x[1s])", "x:7|ms|@0.5").1, f64::INFINITY);
    assert_eq!(sampled("max(x[1s])", "x:7|ms|@0.5").0, 7.0);
    let mean = sampled("mean(x[1s])", "x:7|ms|@0.5");
    assert!(mean.0 == f64::NEG_INFINITY && mean.1 == f64::INFINITY);
    let few = sampled("p99(x[1s])", &["x:7|ms|@0.5"; 40].join("\n"));
    assert!(few.1 == f64::INFINITY && (few.0 - 7.0).abs() < 0.01, "80 timings cannot bound a p99: {few:?}");
    let many = sampled("p99(x[1s])", &["x:7|ms|@0.5"; 600].join("\n"));
    assert!((many.1 - 7.0).abs() < 0.01, "{many:?}");
    let mut gauge = Source::of("last(q[1s])");
    gauge.packet(2, 1, "q:5|g|@0.5").read_until(9);
    assert_eq!(gauge.bounds(2), (None, None, Some(Lacks::Sampled)), "a later value may not have been sent");
}

#[test]
fn an_estimate_with_dropped_packets_has_only_its_lower_bound_as_a_bound() {
    let mut source = Source::of("count(x[1s])");
    source.repeat(0..3, 7, "x:1|c|@0.1").drop_between(31, 32, 1).repeat(3..9, 7, "x:1|c|@0.1");
    let (low, high, lacks) = source.bounds(4);
    assert!(low.is_none() && lacks == Some(Lacks::Dropped(1)));
    assert!(high.is_some_and(|high| (2.0..10.0).contains(&high)), "not the estimate of 20: {high:?}");
}
