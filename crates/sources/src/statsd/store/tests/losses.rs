//! Packets that were dropped, cut, late or never sent: what they could decide is not known, and all else is.

use super::*;

/// The microsecond of a tenth of a second since the beginning.
fn tenth(tenths: i64) -> i64 {
    BEGAN * S + tenths * S / 10
}

impl One {
    fn drop_between(&mut self, from: i64, until: i64, packets: u64) -> &mut Self {
        self.store.dropped(tenth(from), tenth(until), packets);
        self
    }

    /// The bounds at the end of a second, `None` where one is not known.
    fn bounds(&mut self, second: i64) -> (Option<f64>, Option<f64>, Option<Lacks>) {
        let (low, high, lacks) = self.at(second).expect("a point");
        let known = |value: f64| (!value.is_nan()).then_some(value);
        (known(low), known(high), lacks)
    }
}

#[test]
fn an_extreme_of_a_gauge_may_have_been_in_a_packet_that_was_dropped() {
    for (query, low, high) in [("max(q[1s])", None, Some(9.0)), ("min(q[1s])", Some(5.0), None)] {
        let mut one = One::of(query);
        one.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
        // It is sent again after the loss, so its last value is known.
        one.packet(22, 1, "q:9|g")
            .drop_between(24, 25, 3)
            .packet(27, 1, "q:6|g")
            .packet(32, 1, "q:6|g")
            .read_until(9);
        assert_eq!(one.bounds(3), (low, high, Some(Lacks::Dropped(3))), "{query}");
        assert_eq!(one.value(2), 5.0, "{query}: the loss was later");
        assert_eq!(one.value(4), 6.0, "{query}: the loss was earlier");
    }
    let mut last = One::of("last(q[1s])");
    last.packet(22, 1, "q:9|g").drop_between(24, 25, 3).packet(27, 1, "q:6|g").read_until(9);
    assert_eq!(last.value(3), 6.0, "whatever was dropped, it was sent again");
}

#[test]
fn an_extreme_of_a_gauge_is_open_where_its_value_at_the_beginning_is() {
    for loss in ["dropped", "unreadable", "changes"] {
        let mut one = One::of("max(q[1s])");
        one.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
        let lacks = match loss {
            "dropped" => {
                one.drop_between(24, 25, 3);
                Lacks::Dropped(3)
            }
            "unreadable" => {
                one.packet(24, 1, "q:five|g");
                Lacks::Unreadable(1)
            }
            _ => {
                one.packet(24, 1, "q:+1|g|#other");
                Lacks::OnlyChanges
            }
        };
        one.packet(37, 1, "q:6|g\nq:6|g|#other").packet(47, 1, "q:7|g\nq:7|g|#other").read_until(9);
        assert_eq!(one.value(2), 5.0, "{loss}");
        assert_eq!(one.bounds(3).2, Some(lacks), "{loss}");
        assert_eq!(one.bounds(4), (None, Some(6.0), Some(lacks)), "{loss}: it was another one until 3.7 s");
        assert_eq!(one.value(5), 7.0, "{loss}");
    }
}

#[test]
fn the_extremes_of_a_gauge_need_its_value_at_the_beginning() {
    let mut one = One::of("max(q[1s])");
    one.packet(2, 1, "q:5|g").packet(12, 1, "q:9|g").packet(22, 1, "q:1|g").read_until(9);
    assert_eq!(one.at(1), None, "nothing tells what it was before its first packet");
    assert_eq!((one.value(2), one.value(3), one.value(4)), (9.0, 9.0, 1.0), "9 was in force until 2.2 s");
    assert_eq!(one.behind(3).age, Some(1.8), "so its data are as old as that value");
    assert_eq!(one.behind(4).age, Some(1.8));
}

#[test]
fn a_loss_that_is_noticed_after_an_interval_counts_in_it() {
    for query in ["last(q[1s])", "max(q[1s])"] {
        let mut one = One::of(query);
        one.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g").packet(22, 1, "q:5|g");
        // The packet of 3.01 s ends the interval; then the kernel tells of drops between 2.98 s and now.
        one.store.packet(tenth(30) + 10_000, SocketAddr::from(([127, 0, 0, 1], 1)), b"q:6|g");
        one.store.dropped(tenth(30) - 20_000, tenth(30) + 20_000, 4);
        one.packet(31, 1, "q:6|g").packet(41, 1, "q:6|g").read_until(9);
        assert_eq!(one.value(2), 5.0, "{query}");
        assert_eq!(one.bounds(3).2, Some(Lacks::Dropped(4)), "{query}");
        assert_eq!(one.value(5), 6.0, "{query}");
    }
}

#[test]
fn a_value_that_is_read_after_a_later_loss_is_known_until_the_loss() {
    let mut one = One::of("last(q[1s])");
    one.packet(2, 1, "q:5|g");
    one.drop_between(38, 39, 2);
    one.packet(12, 1, "q:8|g").read_until(9);
    assert_eq!((one.value(2), one.value(3)), (8.0, 8.0));
    assert_eq!(one.bounds(4), (None, None, Some(Lacks::Dropped(2))));
    assert_eq!(one.bounds(9), (None, None, Some(Lacks::Dropped(2))), "it was not sent again");
}

#[test]
fn a_loss_in_an_interval_without_packets_of_a_gauge_leaves_it_open_from_then_on() {
    let mut one = One::of("max(q[1s])");
    one.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g").packet(41, 1, "other:1|c").read_until(5);
    assert_eq!(one.value(4), 5.0);
    one.drop_between(64, 65, 2).read_until(9);
    assert_eq!(one.value(6), 5.0, "before the loss");
    assert_eq!(one.bounds(7), (None, Some(5.0), Some(Lacks::Dropped(2))), "it was 5 until the loss");
    assert_eq!(one.bounds(8), (None, None, Some(Lacks::Dropped(2))));
}

#[test]
fn losses_of_a_gauge_that_are_told_as_one_cover_all_their_time() {
    let mut one = One::of("last(q[1s])");
    one.packet(20, 1, "q:5|g").drop_between(25, 26, 1).packet(31, 1, "q:7|g|#other");
    for _ in 0..64 {
        one.store.packet(tenth(15), SocketAddr::from(([127, 0, 0, 1], 1)), b"q:5|g");
    }
    one.read_until(9);
    assert_eq!(one.bounds(4).2, Some(Lacks::Dropped(1)));
}

#[test]
fn a_value_before_a_loss_was_not_surely_in_force_in_a_later_interval() {
    let mut one = One::of("max(q[1s])");
    one.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
    one.drop_between(24, 25, 3);
    one.packet(37, 1, "q:4|g").packet(47, 1, "q:4|g").read_until(9);
    assert_eq!(one.bounds(4), (None, Some(4.0), Some(Lacks::Dropped(3))));
}

#[test]
fn a_value_before_a_loss_was_not_surely_in_force_in_the_interval_of_a_late_line() {
    let mut one = One::of("max(q[1s])");
    one.packet(2, 1, "q:5|g").packet(12, 1, "q:5|g");
    one.drop_between(24, 25, 3).packet(51, 1, "q:4|g");
    one.store.packet(tenth(35), SocketAddr::from(([127, 0, 0, 1], 1)), b"q:4|g");
    one.read_until(9);
    assert_eq!(one.bounds(4), (None, None, Some(Lacks::Late(1))));
}

#[test]
fn a_change_counts_from_a_value_that_is_known() {
    let mut one = One::of("last(q[1s])");
    one.packet(2, 1, "q:5|g")
        .drop_between(12, 13, 1)
        .packet(14, 1, "q:+2|g")
        .packet(24, 1, "q:3|g")
        .packet(26, 1, "q:+1|g")
        .read_until(9);
    assert_eq!(one.value(1), 5.0);
    assert_eq!(one.bounds(2), (None, None, Some(Lacks::Dropped(1))), "the base of +2 may have been dropped");
    assert_eq!(one.value(3), 4.0);
}

#[test]
fn a_counter_that_ever_fell_has_no_bound_in_any_interval() {
    let mut one = One::of("count(x[1s])");
    one.all(0..2, 7, "x:-1|c").all(2..3, 7, "x:9|c").drop_between(31, 32, 1).all(3..9, 7, "x:9|c");
    assert_eq!(
        one.bounds(4),
        (None, None, Some(Lacks::Dropped(1))),
        "what was dropped may have been negative"
    );
    let mut later = One::of("count(x[1s])");
    later.all(0..3, 7, "x:9|c").drop_between(31, 32, 1).all(3..5, 7, "x:9|c").all(5..9, 7, "x:-9|c");
    assert_eq!(later.bounds(4), (None, None, Some(Lacks::Dropped(1))));
}

#[test]
fn a_sampled_counter_that_ever_fell_has_no_range() {
    let mut one = One::of("count(x[1s])");
    one.all(0..1, 7, "x:-9|c|@0.1").all(1..9, 7, "x:9|c|@0.1");
    let sampled = one.point(4).and_then(|point| point.sampled);
    assert_eq!(sampled, Some((f64::NEG_INFINITY, f64::INFINITY)));
    let mut late = One::of("count(x[1s])");
    late.all(0..4, 7, "x:1|c").read_until(4);
    assert_eq!(late.value(4), 2.0);
    late.store.packet(tenth(35), SocketAddr::from(([127, 0, 0, 1], 7)), b"x:-70|c");
    late.all(5..9, 7, "x:1|c");
    assert_eq!(late.bounds(4), (None, None, Some(Lacks::Late(1))), "what else is late may be negative");
}

#[test]
fn a_sampled_total_has_no_range() {
    let mut one = One::of("total(x[1s])");
    one.all(0..9, 7, "x:1|c|@0.1");
    let sampled = one.point(4).and_then(|point| point.sampled);
    assert_eq!(sampled, Some((f64::NEG_INFINITY, f64::INFINITY)));
}

#[test]
fn drops_that_are_told_as_one_cover_all_their_time() {
    let mut one = One::of("count(x[1s])");
    one.all(0..1, 7, "x:1|c");
    // More times than are told apart; each is 10 ms long and begins where the one before it ends.
    for step in 0..1_500 {
        let from = tenth(10) + step * 10_000;
        one.store.dropped(from, from + 10_000, 1);
    }
    one.all(1..30, 7, "x:1|c");
    for second in 2..=16 {
        let lacks = one.at(second).expect("a point").2;
        assert!(matches!(lacks, Some(Lacks::Dropped(_))), "{second}: {lacks:?}");
    }
    assert_eq!(one.value(20), 2.0);
}

#[test]
fn the_last_line_of_a_packet_that_was_cut_may_be_of_any_name_that_begins_so() {
    let mut one = One::of("count(shop.errors[1s])");
    one.all(0..3, 7, "shop.errors:1|c").packet(31, 7, "shop.errors:1|c\nshop.err").all(
        4..5,
        7,
        "shop.errors:1|c",
    );
    one.packet(51, 7, "shop.errors:1|c\nshop.req").packet(61, 7, "shop.err\nshop.errors:1|c").all(
        7..12,
        7,
        "shop.errors:1|c",
    );
    assert_eq!(one.bounds(4), (None, Some(1.0), Some(Lacks::Unreadable(1))));
    assert_eq!((one.value(5), one.value(6)), (2.0, 1.0), "another name");
    assert_eq!(one.value(7), 1.0, "only the end of a packet is cut");
}

#[test]
fn a_packet_that_is_read_after_its_interval_was_told_counts_in_no_other() {
    let mut one = One::of("count(x[1s])");
    one.all(0..4, 7, "x:1|c").read_until(4);
    assert_eq!(one.value(3), 2.0);
    // It arrived at 3.5 s, and something kept it back in the kernel.
    one.store.read_until(tenth(41));
    assert_eq!(one.value(4), 2.0);
    one.store.packet(tenth(35), SocketAddr::from(([127, 0, 0, 1], 7)), b"x:70|c");
    one.all(5..12, 7, "x:1|c");
    assert_eq!(one.bounds(4), (None, Some(2.0), Some(Lacks::Late(1))));
    assert_eq!((one.value(5), one.value(6)), (0.0, 2.0), "it is not one of the next second");
    let mut gauge = One::of("last(q[1s])");
    gauge.packet(2, 1, "q:5|g").packet(31, 1, "other:1|c").read_until(3);
    assert_eq!(gauge.value(3), 5.0);
    gauge.store.packet(tenth(25), SocketAddr::from(([127, 0, 0, 1], 7)), b"q:9|g");
    gauge.packet(47, 1, "q:6|g").read_until(9);
    assert_eq!(gauge.bounds(3), (None, None, Some(Lacks::Late(1))));
    assert_eq!(gauge.value(5), 6.0, "it was sent again");
}

/// The bounds of the truth of a metric that is sent with a sample rate.
fn sampled(query: &str, text: &str) -> (f64, f64, f64) {
    let mut one = One::of(query);
    one.all(0..3, 7, text).all(3..4, 7, "alive:1|c").all(4..9, 7, text);
    let zero = one.point(4).and_then(|point| point.sampled).map_or(f64::NAN, |(_, most)| most);
    let point = one.point(3).expect("a point");
    assert_eq!(point.lacks, None, "{query} {text}");
    let (least, most) = point.sampled.unwrap_or((point.low, point.high));
    (least, most, zero)
}

#[test]
fn a_metric_with_a_sample_rate_is_an_estimate_between_bounds() {
    // Twice a second of each ten.
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
    let mut gauge = One::of("last(q[1s])");
    gauge.packet(2, 1, "q:5|g|@0.5").read_until(9);
    assert_eq!(gauge.bounds(2), (None, None, Some(Lacks::Sampled)), "a later value may not have been sent");
}

#[test]
fn of_a_dropped_estimate_only_what_was_surely_there_is_a_bound() {
    let mut one = One::of("count(x[1s])");
    one.all(0..3, 7, "x:1|c|@0.1").drop_between(31, 32, 1).all(3..9, 7, "x:1|c|@0.1");
    let (low, high, lacks) = one.bounds(4);
    assert!(low.is_none() && lacks == Some(Lacks::Dropped(1)));
    assert!(high.is_some_and(|high| (2.0..10.0).contains(&high)), "not the estimate of 20: {high:?}");
}
