//! The verbs of `firedrill pki`.

#![expect(clippy::unwrap_used, reason = "a test may fail by it")]

use std::{path::Path, process::Command};

use clap::Parser;
use firedrill::{
    cli::pki,
    link::{Identity, IdentityError},
    pki::{Entry, Pki},
};

/// The command line of `firedrill pki` as a program of its own.
#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    args: pki::Args,
}

/// Runs a verb as a person types it.
fn typed(dir: &Path, line: &str) -> Result<(), String> {
    let words = ["pki", "--dir", dir.to_str().unwrap()].into_iter().chain(line.split_whitespace());
    let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
    pki::run(&typed.args).map(drop).map_err(|report| report.to_string())
}

#[test]
fn an_authority_issues_and_revokes_certificates() {
    let temp = tempfile::tempdir().unwrap();
    let dir = &temp.path().join("pki");
    assert!(typed(dir, "list").unwrap_err().contains("firedrill pki init"));
    typed(dir, "init").unwrap();
    assert!(typed(dir, "init").unwrap_err().contains("never overwritten"));
    assert!(matches!(Identity::load(dir), Err(IdentityError::Nobody { .. })));
    typed(dir, "issue host app-1 --address 10.1.0.4 --address fd00::4 --dns app-1.example.org").unwrap();
    typed(dir, "issue person alice --role operator --team payments --env ci --env staging --days 7").unwrap();
    assert_eq!(Identity::load(dir).unwrap().name(), "alice");
    typed(dir, "issue person bob").unwrap();
    assert!(
        matches!(Identity::load(dir), Err(IdentityError::Several { names, .. }) if names == ["alice", "bob"])
    );
    assert!(typed(dir, "issue person bob").unwrap_err().contains("--renew"));
    typed(dir, "issue person bob --renew").unwrap();
    assert!(typed(dir, "issue person eve --role root").unwrap_err().contains("viewer"));
    assert!(typed(dir, "issue host app_@").unwrap_err().contains("DNS"));
    typed(dir, "revoke person bob").unwrap();
    assert!(typed(dir, "revoke host bob").unwrap_err().contains("no certificate of host bob"));
    typed(dir, "crl --days 5").unwrap();
    typed(dir, "list").unwrap();
    typed(dir, "list --json").unwrap();

    let entries: Vec<Entry> = Pki::open(dir).unwrap().list().unwrap();
    // Each with whether it was revoked.
    let uris: Vec<_> = entries.iter().map(|entry| (entry.uri.as_str(), entry.revoked.is_some())).collect();
    assert_eq!(
        uris,
        [
            ("firedrill://host/app-1", false),
            ("firedrill://person/alice?role=operator&team=payments&env=ci&env=staging", false),
            ("firedrill://person/bob?role=viewer", true),
            ("firedrill://person/bob?role=viewer", true),
        ]
    );
    others_accept_them(dir);
}

#[test]
fn a_key_of_another_authority_signs_nothing() {
    let dirs = tempfile::tempdir().unwrap();
    let (one, two) = (dirs.path().join("one"), dirs.path().join("two"));
    for dir in [&one, &two] {
        typed(dir, "init").unwrap();
    }
    let (own, other) =
        (std::fs::read(one.join("ca.pem")).unwrap(), std::fs::read(two.join("ca.pem")).unwrap());
    // Now the directory has the certificate of the other authority, and the key of its own.
    std::fs::write(one.join("ca.pem"), &other).unwrap();
    for line in ["issue host app-1", "issue person alice", "crl", "list", "revoke person alice"] {
        let error = typed(&one, line).unwrap_err();
        assert!(
            error.contains("do not belong together") && error.contains("Firedrill CA"),
            "{line}: {error}"
        );
    }
    assert!(!one.join("hosts/app-1.pem").exists() && !one.join("crl.pem").exists());
    // With both certificates, as while one authority replaces another, the certificate that fits the key signs.
    std::fs::write(one.join("ca.pem"), [other, own].concat()).unwrap();
    let (name, place) = Pki::open(&one).unwrap().signs_as().unwrap();
    assert!(name.starts_with("Firedrill CA") && place == Some(2), "{name} {place:?}");
    typed(&one, "issue host app-1").unwrap();
    typed(&one, "issue person alice").unwrap();
    assert_eq!(Identity::load(&one).unwrap().name(), "alice");
    let read = |file: &str| firedrill_certs::certificates(&std::fs::read(one.join(file)).unwrap()).unwrap();
    let (certificate, authorities) = (read("hosts/app-1.pem").remove(0), read("ca.pem"));
    let verified = |authority| firedrill_certs::is_issued_by(&certificate, &[], [authority]);
    assert_eq!(authorities.iter().map(verified).collect::<Vec<_>>(), [false, true]);
}

/// Checks that other programs can read the files.
fn others_accept_them(dir: &Path) {
    let openssl = |line: &str| {
        Command::new("openssl").args(line.split_whitespace()).current_dir(dir).output().map(|output| {
            let text = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&text).into_owned())
        })
    };
    if let Err(error) = openssl("version") {
        return eprintln!("skipped in part: openssl is not installed ({error})");
    }
    for (line, succeeds, message) in [
        ("verify -x509_strict -CAfile ca.pem -purpose sslserver hosts/app-1.pem", true, "OK"),
        ("verify -x509_strict -CAfile ca.pem -purpose sslclient people/alice.pem", true, "OK"),
        ("verify -CAfile ca.pem -purpose sslclient hosts/app-1.pem", false, "purpose"),
        ("verify -CAfile ca.pem -CRLfile crl.pem -crl_check people/alice.pem", true, "OK"),
        ("verify -CAfile ca.pem -CRLfile crl.pem -crl_check people/bob.pem", false, "revoked"),
        ("x509 -in hosts/app-1.pem -noout -text", true, "DNS:app-1, DNS:app-1.example.org"),
    ] {
        let (succeeded, text) = openssl(line).unwrap();
        assert!(succeeded == succeeds && text.contains(message), "openssl {line}: {text}");
    }
}
