//! Tests of reading certificates, authorities and revocation lists again.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

use super::*;

/// An agent's files, and the authority that signs them.
struct Fixture {
    dir: tempfile::TempDir,
    authority: CertificateParams,
    key: KeyPair,
}

impl Fixture {
    fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let fixture =
            Self { dir: tempfile::tempdir().unwrap(), authority, key: KeyPair::generate().unwrap() };
        fixture.write("ca.pem", &fixture.ca());
        fixture.write_list(1);
        fixture.write_own("app1");
        fixture
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn ca(&self) -> String {
        self.authority.self_signed(&self.key).unwrap().pem()
    }

    fn write_list(&self, number: u64) {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&Issuer::from_params(&self.authority, &self.key)).unwrap();
        self.write(CRL_FILE, &list.pem().unwrap());
    }

    /// Issues the agent's certificate, with a new key.
    fn write_own(&self, host: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let uri = format!("firedrill://host/{host}");
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::from_params(&self.authority, &self.key);
        self.write("agent.pem", &params.signed_by(&key, &issuer).unwrap().pem());
        self.write("agent.key", &key.serialize_pem());
    }

    fn tls(&self) -> Tls {
        Tls::load(&self.file("agent.pem"), &self.file("agent.key"), &self.file("ca.pem"), None).unwrap()
    }
}

/// Whether connections were notified to verify their peers again, since the last call.
fn notified(changes: &mut watch::Receiver<u64>) -> bool {
    let notified = changes.has_changed().unwrap();
    changes.mark_unchanged();
    notified
}

#[test]
fn a_renewed_certificate_is_used_even_if_the_authority_is_unusable() {
    for (file, bad) in [("ca.pem", Some("half a certi")), (CRL_FILE, Some("half a li")), (CRL_FILE, None)] {
        let fixture = Fixture::new();
        let tls = fixture.tls();
        let mut changes = tls.changes();
        let good = fs::read_to_string(fixture.file(file)).unwrap();
        match bad {
            Some(text) => fixture.write(file, text),
            None => fs::remove_file(fixture.file(file)).unwrap(),
        }
        fixture.write_own("app2");
        let error = tls.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        assert_eq!(tls.host(), "app2", "{file}: {bad:?}");
        // Only a file that could not be read is tried each time.
        assert_eq!(tls.reload_if_changed().is_err(), bad.is_none(), "{file}: {bad:?}");
        fixture.write(file, &good);
        assert!(tls.reload_if_changed().unwrap());
        assert!(!notified(&mut changes), "the same peers are trusted");
    }
}

#[test]
fn connections_verify_again_when_authorities_or_lists_have_changed() {
    let fixture = Fixture::new();
    let tls = fixture.tls();
    let mut changes = tls.changes();
    fixture.write_own("app2");
    assert!(tls.reload_if_changed().unwrap());
    tls.reload().unwrap();
    assert!(!notified(&mut changes), "the agent's own certificate does not change who is trusted");

    fixture.write("agent.key", "half a ke");
    fixture.write_list(2);
    let error = tls.reload_if_changed().unwrap_err().to_string();
    assert!(error.contains("agent.key") && notified(&mut changes), "{error}");
    assert_eq!(tls.host(), "app2");

    fixture.write_own("app3");
    fixture.write("ca.pem", &format!("{}{}", fixture.ca(), Fixture::new().ca()));
    assert!(tls.reload_if_changed().unwrap() && notified(&mut changes));
    assert_eq!(tls.host(), "app3");
}

#[test]
fn the_first_error_is_returned_if_both_parts_are_unusable() {
    let fixture = Fixture::new();
    let tls = fixture.tls();
    let mut changes = tls.changes();
    fixture.write("ca.pem", "");
    fixture.write("agent.key", "");
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("ca.pem"), "{error}");
    assert!(tls.host() == "app1" && !notified(&mut changes));
}
