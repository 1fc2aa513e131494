//! Tests the product on a stock kernel with systemd as PID 1. It is installed as by its package, with real programs, units and certificates.
//! `tests/kernel/run.sh` makes the machine and runs this program in it.
//!
//! On other machines the program does nothing, because it stops services, isolates the machine and cuts its power.

mod boot;
mod drill;
mod faults;
mod logs;
mod machine;
mod names;
#[path = "../common/runs.rs"]
mod runs;
mod scenarios;

/// Returns the name of this boot of the test machine; `None` on any other machine.
fn boot() -> Option<String> {
    let boot = std::env::var("FIREDRILL_VM").ok();
    if boot.is_none() {
        eprintln!(
            "skipped: the product under systemd, because FIREDRILL_VM does not say that this machine may be harmed; \
             run tests/kernel/run.sh"
        );
    }
    boot
}

#[test]
fn every_kind_is_drilled_or_has_a_reason() {
    faults::every_kind_is_drilled_or_has_a_reason();
}

#[test]
fn under_systemd() {
    match boot().as_deref() {
        Some("first") => {
            machine::install();
            let failed: Vec<&str> = [
                ("doctor", faults::doctor as fn()),
                ("kinds", faults::every_kind_lands_and_is_put_back),
                ("logs", logs::units_are_read),
                ("killed", faults::killed_by_systemctl),
                ("iptables", faults::killed_with_iptables),
                ("stopped", faults::stopped_and_upgraded),
                ("guardian", faults::guardian_stopped),
                ("watchdog", faults::watchdog),
                ("administrators", faults::administrators),
                ("bus", faults::bus_down),
                ("people", faults::people_are_told),
                ("removed", boot::package_removed),
            ]
            .into_iter()
            // A boot takes a minute, so one boot runs all tests and shows all failures.
            .filter(|(_, test)| std::panic::catch_unwind(test).inspect_err(|_| machine::reset()).is_err())
            .map(|(name, _)| name)
            .collect();
            assert!(failed.is_empty(), "failed: {}", failed.join(", "));
            boot::power_lost();
        }
        Some("second") => {
            boot::swept();
        }
        Some("lab") => scenarios::in_the_lab(),
        Some(other) => panic!("FIREDRILL_VM={other}: there are `first`, `second` and `lab`"),
        None => {}
    }
}
