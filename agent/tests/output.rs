//! The command line with an output that cannot be written: a full disk, and a reader that is gone. It must end with an exit code, since a
//! panic in place of it would keep the host from being healed.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("/dev/full").into()
}

/// Returns a pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs the agent's program with a state of its own. The configuration names the state, and has one key that is unknown if it is `broken`.
fn code(arguments: &[&str], is_broken: bool, stdout: Stdio, stderr: Stdio) -> i32 {
    let home = tempfile::tempdir().expect("a folder");
    let config = home.path().join("agent.toml");
    let folder = home.path().display();
    let wrong = if is_broken { "nonsense = 1\n" } else { "" };
    let text = format!("{wrong}host = \"h\"\n[paths]\nstate = \"{folder}/state\"\nrun = \"{folder}/run\"\n");
    std::fs::write(&config, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill-agent"));
    if arguments == ["check-config"] {
        command.arg("check-config").arg(&config);
    } else {
        command.arg("--config").arg(&config).args(arguments);
    }
    let status = command.stdout(stdout).stderr(stderr).status().expect("started");
    status.code().unwrap_or_else(|| panic!("{arguments:?} was ended by signal {:?}", status.signal()))
}

#[test]
fn an_output_that_cannot_be_written_is_an_exit_code() {
    for verb in [&["check-config"][..], &["status"], &["status", "--json"], &["log"]] {
        assert_eq!(code(verb, false, full(), Stdio::null()), 2, "{verb:?} on a full disk");
        assert_eq!(code(verb, false, closed(), Stdio::null()), 0, "{verb:?}, and the reader is gone");
        assert_eq!(code(verb, false, Stdio::null(), full()), 0, "{verb:?}, standard error on a full disk");
    }
}

#[test]
fn what_is_wrong_with_the_configuration_need_not_reach_anybody() {
    for verb in [&["status"][..], &["log"]] {
        assert_eq!(code(verb, true, Stdio::null(), full()), 0, "{verb:?}");
        assert_eq!(code(verb, true, Stdio::null(), closed()), 0, "{verb:?}");
    }
}
