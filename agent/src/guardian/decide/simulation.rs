//! Runs guardian, worker and helper together in virtual time, with the decisions that the real processes take. An adversary
//! stops, continues and kills them at any moment, asks the whole agent to stop, and suspends the host.

mod host;

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use self::host::{Act, Host, LIMITS, Who};

/// Maximum time from the adversary's last act to the last undo, if one process runs: twice `stale_after`, two checks, an undo,
/// and a pause that does not count as silence.
const HEALED_WITHIN: Duration = Duration::from_secs(6);

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::Guardian), Just(Who::Worker), Just(Who::Helper)]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => who().prop_map(Act::Stop),
        3 => who().prop_map(Act::Continue),
        3 => who().prop_map(Act::Kill),
        1 => Just(Act::Ask),
        1 => (1_u64..100_000).prop_map(|seconds| Act::Suspend(Duration::from_secs(seconds))),
        1 => Just(Act::LoseCoordinator),
    ]
}

/// Acts, each with the time before it.
fn acts() -> impl Strategy<Value = Vec<(Duration, Act)>> {
    vec(((0_u64..6_000).prop_map(Duration::from_millis), act()), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_running_process_is_enough_to_put_everything_back(acts in acts()) {
        let mut host = Host::new();
        for (before, act) in &acts {
            host.pass(*before);
            host.act(*act);
        }
        let one_runs = host.anybody_runs();
        host.pass(HEALED_WITHIN);
        if one_runs {
            prop_assert!(!host.in_force() || host.is_whole(), "still in force: {host:#?}");
        }
    }

    #[test]
    fn a_process_that_is_continued_much_later_puts_back_or_does_nothing(acts in acts(), first in who()) {
        let mut host = Host::new();
        for (before, act) in &acts {
            host.pass(*before);
            host.act(*act);
        }
        host.pass(Duration::from_secs(60));
        for who in [first, Who::Guardian, Who::Worker, Who::Helper] {
            host.act(Act::Continue(who));
        }
        let one_runs = host.anybody_runs();
        host.pass(HEALED_WITHIN + LIMITS.stale_after);
        if one_runs {
            prop_assert!(!host.in_force() || host.is_whole(), "still in force: {host:#?}");
        }
    }
}

#[test]
fn nothing_is_put_back_while_all_is_well() {
    let mut host = Host::new();
    host.pass(Duration::from_secs(600));
    assert!(host.in_force() && host.is_whole());
}

#[test]
fn a_suspend_alone_ends_no_process() {
    for seconds in [1, 3, 60, 86_400] {
        let mut host = Host::new();
        host.pass(Duration::from_millis(1234));
        host.act(Act::Suspend(Duration::from_secs(seconds)));
        host.pass(Duration::from_secs(30));
        assert!(host.all_run(), "{seconds} s: {host:#?}");
        // The lease counts through a suspend, so a long one has ended the fault.
        assert_eq!(host.in_force(), seconds < 5, "{seconds} s");
    }
}

#[test]
fn processes_that_are_stopped_and_continued_all_together_go_on_serving() {
    let mut host = Host::new();
    host.pass(Duration::from_secs(5));
    for who in Who::ALL {
        host.act(Act::Stop(who));
    }
    host.pass(Duration::from_secs(3600));
    for who in Who::ALL {
        host.act(Act::Continue(who));
    }
    host.pass(Duration::from_secs(30));
    assert!(host.all_run() && !host.in_force(), "{host:#?}");
}

#[test]
fn a_helper_that_was_stopped_is_continued_and_the_drill_goes_on() {
    let mut host = Host::new();
    host.pass(Duration::from_secs(5));
    host.act(Act::Stop(Who::Helper));
    host.pass(Duration::from_secs(30));
    assert!(host.in_force() && host.is_whole(), "{host:#?}");
}

/// A guardian that was left stopped would keep the next agent from starting.
#[test]
fn a_guardian_that_is_stopped_after_its_helper_died_is_not_left_behind() {
    for millis in (0..2000).step_by(5) {
        let mut host = Host::new();
        host.pass(Duration::from_secs(5));
        host.act(Act::Kill(Who::Helper));
        host.pass(Duration::from_millis(millis));
        host.act(Act::Stop(Who::Guardian));
        host.pass(HEALED_WITHIN);
        assert!(!host.in_force() && host.nobody_is_left(), "stopped after {millis} ms: {host:#?}");
    }
}

#[test]
fn an_agent_that_is_asked_to_stop_leaves_nobody_behind() {
    let mut host = Host::new();
    host.pass(Duration::from_secs(5));
    host.act(Act::Ask);
    host.pass(Duration::from_secs(2));
    assert!(!host.in_force() && host.nobody_is_left(), "{host:#?}");
}
