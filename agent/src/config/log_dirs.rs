//! The directories above those whose logs the policy lists.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use firedrill_wire::api::{Finding, Grade};

use crate::policy::listed::{is_of_units, split};

/// Returns the directories above listed ones into which somebody else than root can put another directory, for `doctor`.
pub(super) fn findings(entries: &[String], file: &Path) -> Vec<Finding> {
    let mut all: BTreeMap<PathBuf, (String, Vec<&str>)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !is_of_units(entry)) {
        let written = Path::new(split(entry).0);
        // Where it leads to, and the way there as it is written.
        let real = written.canonicalize().ok();
        for dir in [Some(written.to_path_buf()), real].into_iter().flatten() {
            for above in dir.ancestors().skip(1) {
                if let Some(who) = writers(above) {
                    let (_, named) = all.entry(above.to_path_buf()).or_insert_with(|| (who, Vec::new()));
                    if !named.contains(&entry.as_str()) {
                        named.push(entry);
                    }
                }
            }
        }
    }
    let finding = |(dir, (who, entries)): (PathBuf, (String, Vec<&str>))| Finding {
        what: "policy.logs".to_owned(),
        grade: Grade::Note,
        detail: format!(
            "{} can be written to by {who}, who can put another directory in the place of one that {} lists ({})",
            dir.display(),
            file.display(),
            entries.join(", ")
        ),
        hint: format!("chown root {0} && chmod go-w {0}, or list a directory elsewhere", dir.display()),
    };
    all.into_iter().map(finding).collect()
}

/// Returns those who can rename what root has in a directory, if anybody but root can. In a directory with the sticky bit only its
/// owner can.
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
    fn a_directory_below_one_of_somebody_else_is_told() {
        let place = tempfile::tempdir().unwrap();
        let above = place.path().join("above");
        fs::create_dir_all(above.join("app")).unwrap();
        let entries = [format!("{}/app/*", above.display()), format!("{}/app/error.log", above.display())];
        let told = || {
            let mut all = findings(&entries, Path::new("agent.toml"));
            all.retain(|one| one.detail.starts_with(&*above.to_string_lossy()));
            all
        };
        fs::set_permissions(&above, fs::Permissions::from_mode(0o757)).unwrap();
        let found = told();
        assert!(found.len() == 1 && found[0].detail.contains(&entries.join(", ")), "{found:?}");
        for (mode, count) in [(0o1757, 0), (0o755, 0)] {
            fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
            let own = usize::from(fs::metadata(&above).unwrap().uid() != 0);
            assert_eq!(told().len(), count + own, "{mode:o}");
        }
        fs::set_permissions(above.join("app"), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(
            told().is_empty() || fs::metadata(&above).unwrap().uid() != 0,
            "the listed one is its owner's own"
        );
    }

    #[test]
    fn the_directory_to_which_a_link_leads_is_looked_at_too() {
        let place = tempfile::tempdir().unwrap();
        let (open, link) = (place.path().join("open"), place.path().join("link"));
        fs::create_dir_all(open.join("app")).unwrap();
        std::os::unix::fs::symlink(open.join("app"), &link).unwrap();
        let real = open.canonicalize().unwrap();
        let told = || {
            let all = findings(&[format!("{}/*", link.display())], Path::new("agent.toml"));
            let of_open =
                all.into_iter().find(|one| one.detail.starts_with(&format!("{} can be", real.display())));
            of_open.map(|one| one.detail)
        };
        fs::set_permissions(&open, fs::Permissions::from_mode(0o757)).unwrap();
        assert!(told().is_some(), "it can be written to by everybody");
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can give directories away");
            return;
        }
        fs::set_permissions(&open, fs::Permissions::from_mode(0o775)).unwrap();
        assert_eq!(told(), None, "root's own group");
        std::os::unix::fs::chown(&open, None, Some(12345)).unwrap();
        assert!(told().is_some_and(|detail| detail.contains("by group 12345")));
        std::os::unix::fs::chown(&open, Some(12345), Some(0)).unwrap();
        assert!(told().is_some_and(|detail| detail.contains("by user 12345")));
    }
}
