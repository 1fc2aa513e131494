//! A check for `doctor`: can anybody but root replace a directory whose logs the policy allows to read? Reads only.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use firedrill_wire::api::{Finding, Grade};

use crate::policy::listed::{is_of_units, split};

/// A directory above a listed one that somebody else than root can write to.
struct Unsafe<'a> {
    /// The users who can write to it, for people.
    writers: String,
    /// The entries of `policy.logs` whose directories are below it.
    entries: Vec<&'a str>,
}

/// Returns a finding for each directory above a listed one in which somebody else than root can put another directory in the place of the
/// listed one. `entries` is the list `policy.logs` of the configuration `file`.
pub(super) fn findings(entries: &[String], file: &Path) -> Vec<Finding> {
    let mut found: BTreeMap<PathBuf, Unsafe<'_>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !is_of_units(entry)) {
        // The directories on the path as it is written, and on the path to which its symbolic links lead.
        let written = Path::new(split(entry).0);
        let real = written.canonicalize().ok();
        for dir in [Some(written.to_path_buf()), real].into_iter().flatten() {
            for above in dir.ancestors().skip(1) {
                if let Some(writers) = writers(above) {
                    let above = found
                        .entry(above.to_path_buf())
                        .or_insert_with(|| Unsafe { writers, entries: Vec::new() });
                    if !above.entries.contains(&entry.as_str()) {
                        above.entries.push(entry);
                    }
                }
            }
        }
    }
    let finding = |(dir, Unsafe { writers, entries }): (PathBuf, Unsafe<'_>)| Finding {
        what: "policy.logs".to_owned(),
        grade: Grade::Note,
        detail: format!(
            "{} can be written to by {writers}, who can put another directory in the place of one that {} lists ({})",
            dir.display(),
            file.display(),
            entries.join(", ")
        ),
        hint: format!("chown root {0} && chmod go-w {0}, or list a directory elsewhere", dir.display()),
    };
    found.into_iter().map(finding).collect()
}

/// Returns the users, other than root, who can rename root's entries of a directory; `None` if nobody else can. In a directory with the
/// sticky bit, only its owner can.
fn writers(dir: &Path) -> Option<String> {
    let about = fs::metadata(dir).ok()?;
    let sticky = about.mode() & 0o1000 != 0;
    if about.uid() != 0 {
        Some(format!("user {}", about.uid()))
    } else if about.mode() & 0o002 != 0 && !sticky {
        Some("everybody".to_owned())
    } else if about.mode() & 0o020 != 0 && about.gid() != 0 && !sticky {
        Some(format!("group {}", about.gid()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_above_that_others_can_write_to_is_found() {
        let place = tempfile::tempdir().unwrap();
        let above = place.path().join("above");
        fs::create_dir_all(above.join("app")).unwrap();
        let entries = [format!("{}/app/*", above.display()), format!("{}/app/error.log", above.display())];
        let found = || {
            let mut findings = findings(&entries, Path::new("agent.toml"));
            findings.retain(|finding| finding.detail.starts_with(&*above.to_string_lossy()));
            findings
        };
        fs::set_permissions(&above, fs::Permissions::from_mode(0o757)).unwrap();
        let open_to_all = found();
        assert!(
            open_to_all.len() == 1 && open_to_all[0].detail.contains(&entries.join(", ")),
            "{open_to_all:?}"
        );
        // If the test does not run as root, the directory's owner is another user, who is found with any mode.
        let by_owner = usize::from(fs::metadata(&above).unwrap().uid() != 0);
        for mode in [0o1757, 0o755] {
            fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(found().len(), by_owner, "{mode:o}");
        }
        fs::set_permissions(above.join("app"), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(found().len(), by_owner, "the mode of the listed directory itself does not count");
    }

    #[test]
    fn the_directories_to_which_a_link_leads_are_checked_too() {
        let place = tempfile::tempdir().unwrap();
        let (open, link) = (place.path().join("open"), place.path().join("link"));
        fs::create_dir_all(open.join("app")).unwrap();
        std::os::unix::fs::symlink(open.join("app"), &link).unwrap();
        let real = open.canonicalize().unwrap();
        // The finding on the directory `open`, of which the entry names only the link.
        let found = || {
            let findings = findings(&[format!("{}/*", link.display())], Path::new("agent.toml"));
            let begins = format!("{} can be", real.display());
            findings.into_iter().map(|finding| finding.detail).find(|detail| detail.starts_with(&begins))
        };
        fs::set_permissions(&open, fs::Permissions::from_mode(0o757)).unwrap();
        assert!(found().is_some(), "everybody can write to it");
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can give directories away");
            return;
        }
        fs::set_permissions(&open, fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(found(), None, "root's own group");
        std::os::unix::fs::chown(&open, None, Some(12345)).unwrap();
        assert!(found().is_some_and(|detail| detail.contains("by group 12345")));
        std::os::unix::fs::chown(&open, Some(12345), Some(0)).unwrap();
        assert!(found().is_some_and(|detail| detail.contains("by user 12345")));
    }
}
