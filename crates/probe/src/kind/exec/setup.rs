//! The setup of a program: its arguments, its user, its few variables. Starts nothing.

use std::{ffi::OsString, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use tokio::process::Command;

use crate::reads::Account;

/// The folders of `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The start of a program.
pub(super) struct Setup {
    argv: Vec<String>,
    /// The user as whom it runs; `None` for that of this process.
    pub(super) account: Option<Account>,
    /// Whether the output of the program is read.
    reads: bool,
    home: OsString,
    user: OsString,
}

impl Setup {
    pub(super) fn new(argv: Vec<String>, account: Option<Account>, reads: bool) -> Self {
        let own = |name: &str| std::env::var_os(name).unwrap_or_default();
        let (home, user) = match &account {
            Some(account) => ((&account.home).into(), (&account.name).into()),
            None => (own("HOME"), own("USER")),
        };
        Self { argv, account, reads, home, user }
    }

    /// Returns the command that starts the program, with few variables, in `/`, without input. Output that nobody reads is thrown away.
    pub(super) fn command(&self) -> Command {
        let mut words = self.argv.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command
            .args(words)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .env("HOME", &self.home)
            .env("USER", &self.user)
            .env("LOGNAME", &self.user)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(if self.reads { Stdio::piped() } else { Stdio::null() })
            .stderr(Stdio::null());
        command
    }
}

/// Refuses a path that is no program.
pub(super) fn runnable(program: &str) -> Result<(), String> {
    let about = Path::new(program).metadata().map_err(|why| why.to_string())?;
    if !about.is_file() {
        return Err("it is not a file".to_owned());
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Err("nobody may execute it".to_owned());
    }
    Ok(())
}
