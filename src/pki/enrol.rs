//! Certificates over passkeys: the authority states that a public key belongs to a person. The private key is never here.

use std::path::PathBuf;

use firedrill_approval::point;
use firedrill_certs::APPROVAL_KEY_USAGE;
use firedrill_files::text::hex;
use firedrill_wire::identity::{Identity, Person, check_name};
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SanType, SignatureAlgorithm,
};
use ring::rand::SystemRandom;

use super::{
    Kind, PasskeyAsk, Pki, PkiError,
    authority::{common_name, make, serial},
    files,
};

impl Pki {
    /// Issues a certificate over a passkey: for approvals only, neither for clients nor for servers. Returns the path of its file.
    ///
    /// # Errors
    /// The name or the key is invalid, or files cannot be written.
    pub fn enrol(&self, ask: &PasskeyAsk) -> Result<PathBuf, PkiError> {
        check_name(&ask.name)?;
        for name in &ask.environments {
            check_name(name)?;
        }
        let what = format!("a certificate for the passkey of {}", ask.name);
        let point =
            point(&ask.public_key).map_err(|_| make(&what)(rcgen::Error::UnsupportedSignatureAlgorithm))?;
        let dir = self.dir.join(Kind::Passkey.dir());
        files::directory(&dir)?;
        let issuer = self.issuer()?;
        let random = ring::rand::generate::<[u8; 32]>(&SystemRandom::new())
            .map_err(|_| make(&what)(rcgen::Error::RingUnspecified))?;
        let (serial, short) = serial(&random.expose());
        let identity = Identity::Person(Person {
            name: ask.name.clone(),
            environments: ask.environments.clone(),
            ..Person::default()
        });
        let (hex, uri) = (hex(serial.as_ref()), identity.to_string());
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&ask.name);
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().map_err(make("a URI name"))?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(APPROVAL_KEY_USAGE.to_vec())];
        params.use_authority_key_identifier_extension = true;
        params.not_before = ask.valid.from.into();
        params.not_after = ask.valid.until.into();
        params.serial_number = Some(serial);
        let certificate = params.signed_by(&PasskeyPoint(point), &issuer).map_err(make(&what))?;
        let cert = dir.join(format!("{}-{short}.pem", ask.name));
        self.record(Kind::Passkey, &ask.name, uri, hex, ask.valid)?;
        files::replace(&cert, &certificate.pem(), false)?;
        Ok(cert)
    }
}

/// The public key of a passkey, as a point on the curve P-256.
struct PasskeyPoint<'a>(&'a [u8]);

impl PublicKeyData for PasskeyPoint<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
