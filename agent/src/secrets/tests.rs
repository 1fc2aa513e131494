//! Tests of the files and variables that probes may read.

use std::{
    fs::{self, Permissions, hard_link},
    os::unix::fs::{PermissionsExt as _, symlink},
};

use super::*;

/// A listed directory `secrets` beside a directory `other` that is not listed.
struct Place {
    dir: tempfile::TempDir,
    secrets: Secrets,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["secrets", "secrets/sub", "other", "authorities"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o755)).unwrap();
        }
        let secrets = Secrets {
            directories: vec![dir.path().join("secrets")],
            authorities: vec![dir.path().join("authorities")],
            environment: vec!["PATH".to_owned()],
        };
        let place = Self { dir, secrets };
        for name in ["secrets/token", "secrets/sub/token", "other/shadow", "authorities/ca.pem"] {
            fs::write(place.at(name), name).unwrap();
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        self.secrets.file(self.at(name).to_str().unwrap(), Use::Secret)
    }

    #[track_caller]
    fn refuses(&self, name: &str, why: &str) {
        let error = self.read(name).expect_err(name);
        assert!(error.contains(why), "{name}: {error}");
    }
}

#[test]
fn only_files_of_listed_directories_are_read() {
    let place = Place::new();
    assert_eq!(place.read("secrets/token").unwrap(), b"secrets/token");
    assert_eq!(place.read("secrets/sub/token").unwrap(), b"secrets/sub/token");
    let listed = place.at("secrets").display().to_string();
    for elsewhere in
        ["other/shadow", "other/no-such-file", "secrets/../other/shadow", "secrets/./token", "secrets-2/x"]
    {
        place.refuses(elsewhere, &listed);
    }
    for text in ["secrets/token", "", "/etc/shadow"] {
        assert!(place.secrets.file(text, Use::Secret).is_err(), "{text}");
    }
    let nothing = Secrets { directories: vec![], ..Secrets::default() };
    assert!(nothing.file("/etc/shadow", Use::Secret).unwrap_err().contains("no file"));
}

#[test]
fn authorities_are_in_separate_directories_and_are_not_readable_as_secrets() {
    let place = Place::new();
    let ca = place.at("authorities/ca.pem");
    assert!(place.secrets.file(ca.to_str().unwrap(), Use::Authorities).is_ok());
    place.refuses("authorities/ca.pem", "lets probes read files in");
    // A link from a directory of secrets to an authority may be trusted, but not sent.
    symlink(place.at("authorities/ca.pem"), place.at("secrets/ca.pem")).unwrap();
    let linked = place.at("secrets/ca.pem");
    assert!(place.secrets.file(linked.to_str().unwrap(), Use::Authorities).is_ok());
    place.refuses("secrets/ca.pem", "leads out");
}

#[test]
fn links_that_stay_inside_are_followed_and_those_that_lead_out_are_not() {
    let place = Place::new();
    symlink("sub/token", place.at("secrets/inside")).unwrap();
    assert_eq!(place.read("secrets/inside").unwrap(), b"secrets/sub/token");
    symlink(place.at("other/shadow"), place.at("secrets/out")).unwrap();
    symlink("../other", place.at("secrets/out-dir")).unwrap();
    place.refuses("secrets/out", "leads out");
    place.refuses("secrets/out-dir/shadow", "leads out");
    hard_link(place.at("other/shadow"), place.at("secrets/hard")).unwrap();
    place.refuses("secrets/hard", "hard links");
}

#[test]
fn a_link_that_comes_after_the_comparison_is_not_followed() {
    let place = Place::new();
    // These links stand for links that are created after the path was compared.
    let dir = place.at("secrets");
    symlink(place.at("other/shadow"), dir.join("late")).unwrap();
    symlink(place.at("other"), dir.join("late-dir")).unwrap();
    for path in ["late", "late-dir/shadow"] {
        let real = dir.canonicalize().unwrap().join(path);
        let error = open_below(&dir, &real, Use::Secret).expect_err(path);
        assert!(error.contains("symbolic link"), "{error}");
    }
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let place = Place::new();
    nix::unistd::mkfifo(&place.at("secrets/fifo"), Mode::from_bits_truncate(0o600)).unwrap();
    place.refuses("secrets/fifo", "not a regular file");
    place.refuses("secrets/sub", "not a regular file");
    fs::write(place.at("secrets/large"), vec![b'x'; 16 * 1024 + 1]).unwrap();
    place.refuses("secrets/large", "at most 16384");
    place.refuses("secrets/none", "No such file");
}

#[test]
fn a_directory_that_others_can_write_to_is_refused_and_reported() {
    let place = Place::new();
    let file = Path::new("/etc/firedrill/agent.toml");
    assert!(place.secrets.findings(file).is_empty());
    for mode in [0o775, 0o757, 0o1777] {
        fs::set_permissions(place.at("secrets/sub"), Permissions::from_mode(mode)).unwrap();
        place.refuses("secrets/sub/token", "can be written to");
    }
    fs::set_permissions(place.at("secrets"), Permissions::from_mode(0o777)).unwrap();
    place.refuses("secrets/token", "can be written to");
    let found = place.secrets.findings(file);
    assert!(found.len() == 1 && found[0].grade == Grade::Bad, "{found:?}");
    if geteuid().is_root() {
        fs::set_permissions(place.at("secrets"), Permissions::from_mode(0o755)).unwrap();
        nix::unistd::chown(&place.at("secrets"), Some(1234.into()), None).unwrap();
        place.refuses("secrets/token", "belongs to user 1234");
    }
}

#[test]
fn only_listed_variables_are_read() {
    let place = Place::new();
    assert!(place.secrets.variable("PATH").is_ok());
    for name in ["HOME", "PAT", "path", ""] {
        assert!(place.secrets.variable(name).unwrap_err().contains("PATH"), "{name}");
    }
    assert!(Secrets::default().variable("PATH").unwrap_err().contains("none"));
}

#[test]
fn while_a_configuration_is_replaced_both_must_allow() {
    let place = Place::new();
    let path = place.at("secrets/token");
    let none = Secrets { directories: vec![], ..Secrets::default() };
    let read =
        |configurations: Vec<&Secrets>| AllOf(configurations).file(path.to_str().unwrap(), Use::Secret);
    assert!(read(vec![&place.secrets, &place.secrets]).is_ok());
    assert!(read(vec![&place.secrets, &none]).is_err());
    assert!(read(vec![&none, &place.secrets]).is_err());
    assert!(read(vec![]).is_err() && AllOf(vec![]).variable("PATH").is_err());
}

#[test]
fn lists_have_only_whole_paths_and_names() {
    let wrong = |directories: &[&str], environment: &[&str]| {
        let secrets = Secrets {
            directories: directories.iter().map(PathBuf::from).collect(),
            environment: environment.iter().map(ToString::to_string).collect(),
            ..Secrets::default()
        };
        secrets.validate().unwrap_err()
    };
    for path in ["secrets", "/etc/../root", "/", ""] {
        assert!(wrong(&[path], &[]).contains("secrets.directories"), "{path}");
    }
    for name in ["", "A=B", "DB_*"] {
        assert!(wrong(&[], &[name]).contains("secrets.environment"), "{name}");
    }
    assert_eq!(Secrets::default().validate(), Ok(()));
}
