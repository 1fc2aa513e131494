use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};

use super::*;

/// An agent's files, and the authority that signs them.
struct House {
    dir: tempfile::TempDir,
    authority: CertificateParams,
    key: KeyPair,
}

impl House {
    fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let house = Self { dir: tempfile::tempdir().unwrap(), authority, key: KeyPair::generate().unwrap() };
        house.write("ca.pem", &house.ca());
        house.write_list(1);
        house.write_own("app1");
        house
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

    /// Issues the agent's certificate, with a key of its own.
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

/// Whether the connections were told to verify again.
fn told(changes: &mut watch::Receiver<u64>) -> bool {
    let told = changes.has_changed().unwrap();
    changes.mark_unchanged();
    told
}

#[test]
fn a_renewed_certificate_is_used_whatever_is_wrong_with_the_authority() {
    for (file, bad) in [("ca.pem", Some("half a certi")), (CRL_FILE, Some("half a li")), (CRL_FILE, None)] {
        let house = House::new();
        let tls = house.tls();
        let mut changes = tls.changes();
        let good = fs::read_to_string(house.file(file)).unwrap();
        match bad {
            Some(text) => house.write(file, text),
            None => fs::remove_file(house.file(file)).unwrap(),
        }
        house.write_own("app2");
        let error = tls.reload_if_changed().unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        assert_eq!(tls.host(), "app2", "{file}: {bad:?}");
        // Only what could not be read is tried each time.
        assert_eq!(tls.reload_if_changed().is_err(), bad.is_none(), "{file}: {bad:?}");
        house.write(file, &good);
        assert!(tls.reload_if_changed().unwrap());
        assert!(!told(&mut changes), "nobody else is trusted");
    }
}

#[test]
fn connections_verify_again_when_somebody_else_may_be_trusted() {
    let house = House::new();
    let tls = house.tls();
    let mut changes = tls.changes();
    house.write_own("app2");
    assert!(tls.reload_if_changed().unwrap());
    tls.reload().unwrap();
    assert!(!told(&mut changes), "the agent's own certificate changes nobody's trust");

    house.write("agent.key", "half a ke");
    house.write_list(2);
    let error = tls.reload_if_changed().unwrap_err().to_string();
    assert!(error.contains("agent.key") && told(&mut changes), "{error}");
    assert_eq!(tls.host(), "app2");

    house.write_own("app3");
    house.write("ca.pem", &format!("{}{}", house.ca(), House::new().ca()));
    assert!(tls.reload_if_changed().unwrap() && told(&mut changes));
    assert_eq!(tls.host(), "app3");
}

#[test]
fn the_first_error_is_returned_when_all_is_bad() {
    let house = House::new();
    let tls = house.tls();
    let mut changes = tls.changes();
    house.write("ca.pem", "");
    house.write("agent.key", "");
    let error = tls.reload().unwrap_err().to_string();
    assert!(error.contains("ca.pem"), "{error}");
    assert!(tls.host() == "app1" && !told(&mut changes));
}
