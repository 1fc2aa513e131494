//! Tests of the fleet's authority.

use super::*;
use firedrill_wire::identity::Role;

#[test]
fn nothing_is_overwritten_unless_asked() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::init(dir.path()).unwrap();
    assert!(matches!(Pki::init(dir.path()), Err(PkiError::Exists { .. })));
    let mut ask = PersonAsk::new("alice", Role::Operator, 30);
    let first = pki.issue_person(&ask).unwrap();
    let key = std::fs::read(&first.key).unwrap();
    assert!(matches!(pki.issue_person(&ask), Err(PkiError::Exists { .. })));
    assert_eq!(std::fs::read(&first.key).unwrap(), key);
    ask.renew = true;
    pki.issue_person(&ask).unwrap();
    assert_ne!(std::fs::read(&first.key).unwrap(), key);
    let list = pki.list().unwrap();
    assert_eq!(list.iter().map(|entry| entry.replaced).collect::<Vec<_>>(), [true, false]);
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::init(dir.path()).unwrap();
    let issued = pki.issue_host(&HostAsk::new("app-1", 30)).unwrap();
    for key in [dir.path().join("ca.key"), issued.key] {
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{}", key.display());
    }
}

#[test]
fn names_that_would_leave_the_directory_or_change_the_identity_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::init(dir.path()).unwrap();
    for name in ["", "../ca", "a/b", "a?role=operator", ".hidden", "a b"] {
        assert!(pki.issue_person(&PersonAsk::new(name, Role::Viewer, 1)).is_err(), "{name}");
        assert!(pki.issue_host(&HostAsk::new(name, 1)).is_err(), "{name}");
    }
    let mut ask = PersonAsk::new("alice", Role::Viewer, 1);
    ask.environments = vec!["ci&role=operator".to_owned()];
    assert!(pki.issue_person(&ask).is_err());
    assert!(pki.list().unwrap().is_empty());
}

#[test]
fn all_certificates_of_a_name_are_revoked_and_the_index_keeps_that() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::init(dir.path()).unwrap();
    let mut ask = PersonAsk::new("mallory", Role::Operator, 30);
    pki.issue_person(&ask).unwrap();
    ask.renew = true;
    pki.issue_person(&ask).unwrap();
    pki.issue_person(&PersonAsk::new("alice", Role::Operator, 30)).unwrap();
    assert_eq!(pki.revoke(Kind::Person, "mallory", 30).unwrap(), 2);
    assert!(matches!(pki.revoke(Kind::Person, "mallory", 30), Err(PkiError::Unknown { .. })));
    let revoked: Vec<_> = Pki::open(dir.path()).unwrap().list().unwrap();
    assert_eq!(revoked.iter().map(|entry| entry.revoked.is_some()).collect::<Vec<_>>(), [true, true, false]);
    assert!(crl_file(dir.path()).is_file());
}
