//! Finds and runs `iptables-restore` and `iptables-save`, with a fixed environment, and waits for them. Never runs a shell.

use std::{
    env, fmt,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::table::Table;
use crate::nft::expr::Family;

/// Directories that are searched for the programs, after those of `PATH`.
const PLACES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];
/// Maximum time to wait for the lock of all iptables programs, in seconds.
const LOCK_WAIT: &str = "5";

/// An error of iptables.
#[derive(Clone, Debug, thiserror::Error)]
#[error("could not {what}: {why}")]
pub struct IptablesError {
    what: String,
    why: String,
}

impl IptablesError {
    pub(super) const fn of(what: String, why: String) -> Self {
        Self { what, why }
    }
}

/// A build of iptables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `legacy`: the old kernel interface.
    Legacy,
    /// `nft`: based on nf_tables.
    Nft,
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Nft => "nf_tables",
        })
    }
}

/// The programs of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: String,
}

impl Program {
    /// Returns the programs, by the prefix of the IPv4 program's name.
    #[must_use]
    pub fn new(of_v4: &str, family: Family) -> Self {
        let name = match (family, of_v4.strip_prefix("iptables")) {
            (Family::V6, Some(rest)) => format!("ip6tables{rest}"),
            _ => of_v4.to_owned(),
        };
        Self { name }
    }

    /// Returns the common beginning of the programs' names, such as `iptables` or `ip6tables-legacy`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the programs are installed.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.find("restore").is_some() && self.find("save").is_some()
    }

    /// Returns the path of the program `restore` or `save`; `None` if it is not installed.
    fn find(&self, program: &str) -> Option<PathBuf> {
        let file = format!("{}-{program}", self.name);
        let path = env::var_os("PATH").unwrap_or_default();
        let places = env::split_paths(&path).filter(|place| place.is_absolute());
        places.chain(PLACES.map(PathBuf::from)).map(|place| place.join(&file)).find(|file| runs(file))
    }

    /// Makes an error of this program. `what` completes "could not …".
    pub(super) fn says(&self, what: &str, why: &str) -> IptablesError {
        IptablesError::of(format!("{what} ({})", self.name), why.to_owned())
    }

    /// Returns the build of the programs.
    ///
    /// # Errors
    /// The program is not installed, or cannot be run.
    pub fn flavour(&self) -> Result<Flavour, IptablesError> {
        let output = self.run("restore", &["--version"], "", "ask for the version")?;
        let text = String::from_utf8_lossy(&output.stdout);
        // Old versions, which had only the legacy build, print no build.
        Ok(if text.contains("nf_tables") { Flavour::Nft } else { Flavour::Legacy })
    }

    /// Applies a text as a whole or not at all. Rules that it does not name stay.
    ///
    /// # Errors
    /// The program failed; the error has its output.
    pub fn restore(&self, text: &str) -> Result<(), IptablesError> {
        self.run("restore", &["-w", LOCK_WAIT, "--noflush"], text, "change rules").map(drop)
    }

    /// Checks a text without applying it.
    ///
    /// # Errors
    /// The program failed; the error has its output.
    pub(super) fn test(&self, text: &str) -> Result<(), IptablesError> {
        self.run("restore", &["-w", LOCK_WAIT, "--noflush", "--test"], text, "check rules").map(drop)
    }

    /// Returns a table in the format of `iptables-save -c`.
    ///
    /// # Errors
    /// The program failed or cannot show the table; the error has its output.
    pub fn save(&self, table: Table) -> Result<String, IptablesError> {
        let what = format!("list table {table}");
        let output = self.run("save", &["-c", "-t", table.word()], "", &what)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match hidden(&text) {
            Some(why) => Err(self.says(&what, why)),
            None => Ok(text),
        }
    }

    /// Returns all existing tables in the format of `iptables-save`.
    ///
    /// # Errors
    /// The program failed; the error has its output.
    pub fn save_all(&self) -> Result<String, IptablesError> {
        let output = self.run("save", &[], "", "list all tables")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn run(
        &self,
        program: &str,
        arguments: &[&str],
        text: &str,
        what: &str,
    ) -> Result<Output, IptablesError> {
        let path = self.find(program).ok_or_else(|| {
            self.says(what, &format!("there is no {}-{program}; install the package iptables", self.name))
        })?;
        let says = |why: &str| self.says(what, why);
        let mut child = Command::new(&path)
            .args(arguments)
            .env_clear()
            .env("PATH", PLACES.join(":"))
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| says(&format!("{} could not be started: {error}", path.display())))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A failure is ignored: it means that the program has ended, and its output has the reason.
            let _ = stdin.write_all(text.as_bytes());
        }
        let output = child
            .wait_with_output()
            .map_err(|error| says(&format!("{} could not be waited for: {error}", path.display())))?;
        if output.status.success() {
            return Ok(output);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        let reasons: Vec<_> = stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("Try `"))
            .collect();
        Err(says(&format!("{} ended with {}: {}", path.display(), output.status, reasons.join("; "))))
    }
}

/// Returns the line that says that a table is not shown although the program succeeded, because `nft` has added rules to it that iptables
/// cannot express. `None` if the table is shown.
fn hidden(saved: &str) -> Option<&str> {
    saved.lines().find(|line| line.starts_with('#') && line.contains("incompatible"))
}

/// Whether a file can be executed.
fn runs(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_for_ipv6_is_of_the_same_build() {
        assert_eq!(Program::new("iptables-legacy", Family::V6).name(), "ip6tables-legacy");
        assert_eq!(Program::new("iptables", Family::V4).name(), "iptables");
    }

    #[test]
    fn a_table_that_is_not_shown_is_not_taken_for_an_empty_one() {
        assert!(hidden("# Table `filter' is incompatible, use 'nft' tool.\n").is_some());
        assert!(hidden("*filter\n-A INPUT -m comment --comment incompatible -j DROP\n").is_none());
    }

    #[test]
    fn the_error_of_a_missing_program_names_the_package_to_install() {
        let program = Program::new("iptables-no-such", Family::V4);
        assert!(!program.is_there());
        let error = program.restore("").expect_err("there is none").to_string();
        assert!(error.contains("iptables-no-such-restore") && error.contains("install"), "{error}");
    }
}
