//! Helpers for all tests of labs. Has no tests.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use firedrill_lab::{
    HostSpec, HostState, Lab, LabError, LabSpec, Options, SELF_EXE,
    demo::{self, Shop},
    shop::Balancer,
};

/// Maximum time for an expected event, also on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Returns the path of the tests' small binary for labs.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_firedrill-lab").into()
}

/// Returns a name that no other test has.
pub(crate) fn name(test: &str) -> String {
    format!("test-{test}-{}", std::process::id())
}

/// Starts a lab. If the machine does not allow one, prints the reason and returns `None`.
pub(crate) fn up(spec: &LabSpec) -> Option<Lab> {
    match Lab::up(spec, &Options { program: Some(program()), ..Options::default() }) {
        Ok(lab) => Some(lab),
        Err(LabError::NotAllowed { what, advice }) => {
            eprintln!("skipped: no lab can start here: {what}; {advice}");
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// Returns the demonstration's lab, whose balancer checks the health of its backends.
pub(crate) fn demo_spec(test: &str) -> LabSpec {
    demo::spec(&name(test), &Shop { balancer: Balancer::BuiltIn, health_check: true })
}

/// Returns a host in a region, without services.
pub(crate) fn host(name: &str, region: &str, addresses: &[&str]) -> HostSpec {
    HostSpec {
        name: name.into(),
        region: region.into(),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        ..HostSpec::default()
    }
}

/// Runs the tests' binary in a host. Returns its output; the error is its error output.
pub(crate) fn run(lab: &Lab, host: &str, words: &[&str]) -> Result<String, String> {
    let words: Vec<OsString> = [SELF_EXE].iter().chain(words).map(OsString::from).collect();
    let output = lab.output(host, &words).map_err(|e| e.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(printed)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Makes an HTTP request from a host. Returns the status code and the body.
pub(crate) fn get(lab: &Lab, host: &str, address: &str, path: &str) -> Result<String, String> {
    run(lab, host, &["get", address, path])
}

/// Calls `look` until it returns a value, and returns that value. Panics after [`LONG`]; `event` says what was expected.
pub(crate) fn eventually<T>(event: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "never happened: {event}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a host is up after its boot number `boots`.
pub(crate) fn wait_boots(lab: &Lab, host: &str, boots: u32) {
    eventually(&format!("boot {boots} of {host}"), || {
        let status = status_of(lab, host);
        (status.boots == boots && status.state == HostState::Up).then_some(())
    });
}

/// Waits until a host is in a state.
pub(crate) fn wait_state(lab: &Lab, host: &str, state: HostState) {
    let is = |s: &firedrill_lab::LabStatus| s.hosts.iter().any(|h| h.name == host && h.state == state);
    let (reached, last) = lab.wait_until(LONG, is).unwrap();
    assert!(reached, "host {host} is not {state:?}: {last:?}");
}

/// Returns the path in this process's `/proc` of a host's file system.
pub(crate) fn root_of(lab: &Lab, host: &str) -> PathBuf {
    let first = lab.pids(host).unwrap().into_iter().min().unwrap();
    Path::new("/proc").join(first.to_string()).join("root")
}

/// Returns the status of a host.
pub(crate) fn status_of(lab: &Lab, host: &str) -> firedrill_lab::HostStatus {
    lab.status().unwrap().hosts.into_iter().find(|h| h.name == host).unwrap()
}
