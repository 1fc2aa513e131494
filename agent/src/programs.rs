//! The programs that probes of this host may run, and as whom: what the policy has allowed, with users looked up. Runs nothing.

use std::{ffi::CString, fs, path::Path};

use firedrill_probe::{Account, Reads, Use};
use firedrill_wire::{
    RefusalCode,
    api::{Finding, Grade, Problem},
};
use nix::unistd::{User, getgrouplist};

use crate::{injection::refuse, policy::Rule, secrets::AllOf};

/// The name that says that a program runs as root. No other user with root's number is taken for one.
const ROOT: &str = "root";

/// Programs, each with the user as whom it runs.
#[derive(Debug, Default)]
pub(crate) struct Programs(Vec<(Vec<String>, Account)>);

impl Programs {
    /// Adds a program that the policy lets run as a user.
    ///
    /// # Errors
    /// There is no such user here, or the program runs as another one already: policies that differ are both in force.
    pub(crate) fn allow(&mut self, command: &[String], user: &str) -> Result<(), Problem> {
        let program = command.first().map_or("", String::as_str);
        let no = |why: String| {
            let hint = "correct run_as in the rule of [[policy.allow]] in agent.toml that names the program";
            refuse(RefusalCode::NotAllowed, format!("{program} is not run: {why}"), hint)
        };
        let account = account(user).map_err(no)?;
        match self.of(command) {
            Some(before) if *before == account => {}
            Some(before) => {
                return Err(no(format!("one rule has it run as {}, another one as {user}", before.name)));
            }
            None => self.0.push((command.to_vec(), account)),
        }
        Ok(())
    }

    fn of(&self, command: &[String]) -> Option<&Account> {
        self.0.iter().find_map(|(known, account)| (known == command).then_some(account))
    }
}

/// All that probes may read and run here.
pub(crate) struct Granted<'a> {
    /// Files and variables.
    pub(crate) secrets: AllOf<'a>,
    /// Programs.
    pub(crate) programs: Programs,
}

impl Reads for Granted<'_> {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        self.secrets.file(path, what_for)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        self.secrets.variable(name)
    }

    fn program(&self, command: &[String]) -> Result<Option<Account>, String> {
        let account = self.programs.of(command).cloned();
        account.map(Some).ok_or_else(|| "no rule of this host's policy names it".to_owned())
    }
}

/// Returns a user of this host.
fn account(name: &str) -> Result<Account, String> {
    let user = User::from_name(name)
        .map_err(|why| format!("user {name} cannot be looked up: {why}"))?
        .ok_or_else(|| format!("this host has no user {name}"))?;
    if user.uid.is_root() && name != ROOT {
        return Err(format!("user {name} is root; write run_as = \"{ROOT}\" if that is meant"));
    }
    if !is_mapped(user.uid.as_raw()) {
        return Err(format!("user {name} cannot be had here: this user namespace does not have it"));
    }
    let text = CString::new(name).map_err(|why| why.to_string())?;
    let groups = getgrouplist(&text, user.gid)
        .map_err(|why| format!("the groups of user {name} cannot be looked up: {why}"))?;
    Ok(Account {
        name: user.name,
        home: user.dir.to_string_lossy().into_owned(),
        user: user.uid.as_raw(),
        group: user.gid.as_raw(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
    })
}

/// Whether this user namespace has a user. The first one of a machine has all; that of a lab's host has root alone.
fn is_mapped(user: u32) -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return true };
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let (Some(Ok(first)), _, Some(Ok(count))) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        user >= first && user - first < count
    })
}

/// Returns what rules let probes run, for `doctor`: as whom, and whether that can be.
pub(crate) fn findings(rules: &[Rule], file: &Path) -> Vec<Finding> {
    let with_user = rules.iter().filter_map(|rule| Some((rule, rule.run_as.as_deref()?)));
    let finding = |(rule, user): (&Rule, &str)| {
        let (grade, detail, hint) = match account(user) {
            Err(why) => (Grade::Bad, format!("{why}; its programs are not run"), "correct run_as"),
            Ok(_) if user == ROOT => {
                let programs = programs(rule);
                let detail = format!("probes run {programs} as root");
                (Grade::Note, detail, "an unprivileged user is enough for most checks")
            }
            Ok(_) => (Grade::Good, format!("probes run {} as {user}", programs(rule)), ""),
        };
        let what = format!("policy.allow \"{}\" in {}", rule.name, file.display());
        Finding { what, grade, detail, hint: hint.to_owned() }
    };
    with_user.map(finding).collect()
}

/// Returns the programs that a rule names, in a few words.
fn programs(rule: &Rule) -> String {
    let all: Vec<&str> = rule.commands.iter().filter_map(|words| Some(words.first()?.as_str())).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_looked_up_and_root_has_one_name() {
        let root = account("root").unwrap();
        assert_eq!((root.user, root.name.as_str()), (0, "root"));
        let why = account("firedrill-no-such-user").unwrap_err();
        assert!(why.contains("no user firedrill-no-such-user"), "{why}");
    }

    #[test]
    fn a_program_has_one_user() {
        let command = ["/bin/true".to_owned()];
        let mut programs = Programs::default();
        assert_eq!(programs.allow(&command, "root"), Ok(()));
        assert_eq!(programs.allow(&command, "root"), Ok(()));
        let problem = programs.allow(&command, "daemon").unwrap_err();
        assert!(problem.title.contains("run as root, another one as daemon"), "{problem:?}");
        assert!(programs.of(&["/bin/true".to_owned(), "x".to_owned()]).is_none());
    }

    #[test]
    fn doctor_tells_who_runs_what() {
        let rule = |user: &str| Rule {
            name: "checks".to_owned(),
            commands: vec![vec!["/bin/true".to_owned()]],
            run_as: Some(user.to_owned()),
            ..Rule::default()
        };
        let rules = [rule("daemon"), rule("root"), rule("firedrill-no-such-user"), Rule::default()];
        let found = findings(&rules, Path::new("agent.toml"));
        let grades: Vec<Grade> = found.iter().map(|one| one.grade).collect();
        assert_eq!(grades, [Grade::Good, Grade::Note, Grade::Bad]);
        assert_eq!(found[0].detail, "probes run /bin/true as daemon");
    }
}
