//! systemd accepts the units of `packaging/`: it knows each key, and ignores no value.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

/// Returns the output of `systemd-analyze verify` about a unit; `None` if that program is not installed.
fn said(unit: &str, text: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    fs::write(&program, "").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // Each program of the unit is replaced by one that exists, because the package is not installed.
    let lines = text.lines().map(|line| match line.split_once("=/usr/bin/") {
        Some((key, command)) if key.starts_with("Exec") => {
            let words = command.split_once(' ').map_or("", |(_, words)| words);
            format!("{key}={} {words}\n", program.display())
        }
        _ => format!("{line}\n"),
    });
    let file = folder.path().join(unit);
    fs::write(&file, lines.collect::<String>()).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let done = verify.args(["verify", "--man=no", "--recursive-errors=no"]).arg(file).output().ok()?;
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    Some(if done.status.success() { told } else { format!("{}: {told}", done.status) })
}

#[test]
fn systemd_takes_all_of_each_unit() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let mut count = 0;
    for entry in fs::read_dir(packaging).unwrap() {
        let path = entry.unwrap().path();
        let unit = path.file_name().unwrap().to_str().unwrap();
        if !unit.ends_with(".service") {
            continue;
        }
        count += 1;
        let text = fs::read_to_string(&path).unwrap();
        let Some(told) = said(unit, &text) else {
            eprintln!("skipped: units are verified by systemd-analyze, which is not installed");
            return;
        };
        assert_eq!(told, "", "{unit}");
        let wrong = said(unit, &text.replacen("[Service]\n", "[Service]\nProtectHomes=yes\n", 1)).unwrap();
        assert!(wrong.contains("ProtectHomes"), "a key that does not exist is not told: {wrong}");
    }
    assert_eq!(count, 3, "packaging/ has another number of units");
}
