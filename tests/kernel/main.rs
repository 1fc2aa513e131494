//! The product on a stock kernel with systemd as PID 1, installed as its package installs it: real binaries, real units,
//! real certificates, and a peer behind a link of its own. `tests/kernel/run.sh` makes the machine and runs this in it.
//!
//! Elsewhere it does nothing: it stops services, isolates the machine and cuts its power.

mod boot;
mod drill;
mod faults;
mod machine;
mod scenarios;

/// Which boot of the machine this is; nothing anywhere else.
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
fn under_systemd() {
    match boot().as_deref() {
        Some("first") => {
            machine::install();
            let failed: Vec<&str> = [
                ("doctor", faults::doctor as fn()),
                ("kinds", faults::every_kind_lands_and_is_put_back),
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
            // One boot costs a minute: it is to show all that is wrong.
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
