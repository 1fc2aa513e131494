//! Vantages that lost requests, were disconnected, measured different systems, or wrote impossible values.

use super::*;

#[test]
fn a_cut_vantage_is_unknown_and_the_others_are_still_judged() {
    let mut drill = Drill::one();
    drill.bins = Box::new(|vantage, second, bin| (vantage != "canary" || second < 50).then_some(bin));
    let card = unknown(&drill, "nothing was measured there for");
    let users = &card.attacks[0].objectives[0];
    assert_eq!(
        users.vantages.iter().map(|one| one.verdict).collect::<Vec<_>>(),
        [Verdict::Unknown, Verdict::Held]
    );
    // One second is enough.
    drill.bins = Box::new(|vantage, second, bin| (vantage != "canary" || second != 50).then_some(bin));
    unknown(&drill, "nothing was measured there for 1 s of the fault");
    drill.bins = Box::new(|_, second, bin| (second < 50).then_some(bin));
    unknown(&drill, "nothing was measured there for");
    drill.bins = Box::new(|_, _, _| None);
    unknown(&drill, "before the fault nothing was measured");
}

#[test]
fn a_starved_prober_is_unknown() {
    let mut drill = Drill::one();
    drill.bins = Box::new(|vantage, second, bin| {
        let starved = vantage == "canary" && (30..60).contains(&second);
        Some(if starved { crate::testing::bin_with("buy", second, [85, 0, 15]) } else { bin })
    });
    unknown(&drill, "could not keep its own schedule");
    // The plan's rate reveals the loss of a prober that does not know how many requests were due.
    drill.bins = Box::new(|vantage, second, bin| {
        if vantage == "canary" {
            Some(crate::testing::bin("buy", second, bin.good / 2, 0))
        } else {
            Some(bin)
        }
    });
    unknown(&drill, "the plan wants");
}

#[test]
fn vantages_on_targeted_hosts_are_shown_and_do_not_count() {
    let mut drill = Drill::one();
    drill.vantages = vec!["coordinator", "app1"];
    drill.bins = Box::new(|vantage, second, bin| {
        Some(if vantage == "app1" && second > 30 { crate::testing::bin("buy", second, 0, 100) } else { bin })
    });
    let card = judged(&drill);
    assert_eq!(card.verdict, Verdict::Held);
    let shown = &card.attacks[0].objectives[0].vantages[0];
    assert_eq!((shown.vantage.as_str(), shown.counts, shown.verdict), ("app1", false, Verdict::Violated));
    drill.vantages = vec!["app1"];
    unknown(&drill, "every vantage of buy is on a host that this attack targets");
}

#[test]
fn vantages_that_saw_different_systems_are_reported() {
    let mut drill = Drill::one();
    assert!(judged(&drill).attacks[0].disagreements.is_empty());
    drill.bins = Box::new(|vantage, second, bin| {
        let turns = vantage == "canary" && (30..60).contains(&second);
        Some(if turns { crate::testing::bin("buy", second, 90, 10) } else { bin })
    });
    let attack = &judged(&drill).attacks[0];
    let [only] = attack.disagreements.as_slice() else { panic!("{:?}", attack.disagreements) };
    assert_eq!(
        (only.phase, only.one.vantage.as_str(), only.other.vantage.as_str()),
        (Phase::Fault, "coordinator", "canary")
    );
    assert!(
        only.sentence().contains("buy from canary (312 of 6000 bad) differ by more than chance"),
        "{}",
        only.sentence()
    );
}

#[test]
fn of_many_vantages_only_the_best_and_the_worst_are_compared() {
    let names: Vec<&'static str> =
        (0..40).map(|number| -> &'static str { format!("canary{number}").leak() }).collect();
    let mut drill = Drill::one();
    let clock = |host: &&str| Event::Clock {
        host: (*host).to_owned(),
        boot_at_zero_us: 0,
        uncertainty_us: 400,
        boot_id: "boot".to_owned(),
    };
    drill.extra = names.iter().map(|name| (0, clock(name))).collect();
    drill.vantages = names;
    drill.acts[0].bad.clear();
    drill.bins = Box::new(|vantage, second, bin| {
        let cut_off = vantage.ends_with('7') && (30..60).contains(&second);
        Some(if cut_off { crate::testing::bin("buy", second, 90, 10) } else { bin })
    });
    let attack = &judged(&drill).attacks[0];
    let [only] = attack.disagreements.as_slice() else { panic!("{:?}", attack.disagreements) };
    assert!(only.other.vantage.ends_with('7') && only.one.bad == 0, "{only:?}");
}

#[test]
fn latencies_that_cannot_be_read_violate_nothing() {
    let mut drill = Drill::one();
    // If the unmeasured half of the fault was good, the whole fault was good enough.
    drill.acts[0].bad = vec![(0..HOLD, 8)];
    drill.goals =
        vec![("fast", Goal::Latency { quantile: 0.95, below: Span::millis(300) }, vec![Phase::Fault])];
    assert_eq!(judged(&drill).verdict, Verdict::Violated);
    drill.bins = Box::new(|_, second, mut bin| {
        if second > Drill::start(0) + 25 {
            bin.latency = "AAAA".to_owned();
        }
        Some(bin)
    });
    unknown(&drill, "the latencies of");
}

#[test]
fn a_log_that_claims_more_requests_than_can_be_sent_is_unknown() {
    let mut drill = Drill::one();
    drill.bins = Box::new(|_, _, mut bin| {
        (bin.due, bin.good, bin.slipped, bin.requests) = (u64::MAX, u64::MAX, u64::MAX, None);
        Some(bin)
    });
    unknown(&drill, "");
    drill.goals.retain(|(name, ..)| *name == "failover");
    unknown(&drill, "more requests than the probe can have sent");
}
