//! Runs the program that prints the fleet. Never uses a shell; never waits longer than its time-out.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use firedrill_files::text::{self, Text};
use firedrill_wire::{hide, text::clean_lines};

/// Maximum duration of a fleet's command.
pub(super) const TIME_OUT: Duration = Duration::from_secs(30);
/// Maximum wait for the end of the standard error after the program has ended; a process that it started may keep it open.
const AFTER_END: Duration = Duration::from_millis(200);
/// Maximum length of standard error that is shown, in bytes.
const SAID_MOST: usize = 4096;

/// Maximum size of a fleet's file, and of what its command prints, in bytes; ten thousand hosts take some two megabytes.
pub(super) const MAX_BYTES: u64 = 64 << 20;

/// Returns the standard output of the program.
///
/// # Errors
/// The command without its secrets, and the reason of its failure with its standard error.
pub(super) fn output(command: &[String], time_out: Duration) -> Result<Text, String> {
    let shown = hide::argv(command).join(" ");
    let (program, arguments) = command.split_first().ok_or("no program is named")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{shown}` could not be started: {error}"))?;
    let out = reader(child.stdout.take());
    let err = reader(child.stderr.take());
    let deadline = Instant::now() + time_out;
    let left = || deadline.saturating_duration_since(Instant::now());
    let text = out.recv_timeout(left());
    let status = text.is_ok().then(|| wait(&mut child, deadline)).flatten();
    let Some(status) = status else {
        let killed = child.kill().and_then(|()| child.wait());
        let after =
            killed.map_or_else(|error| format!("; it could not be ended: {error}"), |_| String::new());
        return Err(format!("`{shown}` had not ended after {time_out:?}{after}"));
    };
    let text = text.unwrap_or_default();
    let said = err.recv_timeout(AFTER_END).unwrap_or_default();
    if !status.success() {
        let said = clean_lines(String::from_utf8_lossy(&said[..said.len().min(SAID_MOST)]).trim());
        let said = if said.is_empty() { "it said nothing".to_owned() } else { format!("it said: {said}") };
        return Err(format!("`{shown}` ended with {status}; {said}"));
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("`{shown}` printed more than {MAX_BYTES} bytes"));
    }
    text::decode(text).map_err(|error| format!("what `{shown}` printed cannot be read: {error}"))
}

/// Reads a pipe to its end in a thread. Both pipes are read at once, so that neither can block the program.
fn reader(pipe: Option<impl std::io::Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe
            && pipe.take(MAX_BYTES + 1).read_to_end(&mut bytes).is_ok()
        {
            // Fails after a time-out: the receiver is gone.
            let _ = send.send(bytes);
        }
    });
    receive
}

/// Waits for the program's end; `None` after the deadline, or if the program cannot be waited for.
fn wait(child: &mut std::process::Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

/// Splits a command line into its arguments: at white space, except within single or double quotes. There are no
/// variables, no patterns, and no shell.
///
/// # Errors
/// A quote is not closed, or there is no argument.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if let Some(open) = quote {
        return Err(format!("a quote ({open}) is not closed in `{line}`"));
    }
    words.extend(word);
    if words.is_empty() { Err("the command is empty".to_owned()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn command_lines_split_without_a_shell() {
        assert_eq!(
            split("inv --env 'a b' \"\" $HOME;x").expect("splits"),
            argv(&["inv", "--env", "a b", "", "$HOME;x"])
        );
        assert!(split("a 'b").is_err());
        assert!(split("  ").is_err());
    }

    #[test]
    fn the_output_is_returned_or_the_reason_of_a_failure() {
        assert_eq!(output(&argv(&["echo", "{}"]), TIME_OUT).expect("runs").text, "{}\n");
        let error = output(&argv(&["cat", "/does/not/exist"]), TIME_OUT).expect_err("fails");
        assert!(error.contains("/does/not/exist") && error.contains("exit status"), "{error}");
        assert!(output(&argv(&["/does/not/exist"]), TIME_OUT).is_err());
        let error = output(&argv(&["sleep", "60"]), Duration::from_millis(50)).expect_err("too long");
        assert!(error.contains("had not ended"), "{error}");
    }
}
