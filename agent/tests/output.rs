//! Tests of commands whose output cannot be written, to a full disk or without a reader. They must end with an exit code: a panic could
//! prevent that the host is healed.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

/// Returns a device that is always full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("/dev/full").into()
}

/// Returns a pipe whose reader is closed.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs the agent's program with a new, empty state, and returns its exit code. With `is_broken` the configuration has an unknown key.
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
fn commands_work_although_a_warning_cannot_be_written() {
    for verb in [&["status"][..], &["log"]] {
        assert_eq!(code(verb, true, Stdio::null(), full()), 0, "{verb:?}");
        assert_eq!(code(verb, true, Stdio::null(), closed()), 0, "{verb:?}");
    }
}
