//! Creates the authority, certificates and the revocation list.
//!
//! Keys are on the curve P-256, which all TLS implementations support.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use firedrill_files::text::hex;
use firedrill_wire::{
    identity::{Identity, Person, check_name},
    x509,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData as _,
    RevokedCertParams, SanType, SerialNumber,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::{CertificateDer, DnsName};

use super::{
    Entry, HostAsk, Issued, Kind, PersonAsk, PkiError, Validity, ca_cert, ca_file, crl_file, files,
    index::{self, What},
};

/// An authority in a directory.
#[derive(Clone, Debug)]
pub struct Pki {
    pub(super) dir: PathBuf,
}

/// The certificate that signs.
struct Signer {
    name: String,
    /// Its place in `ca.pem`, from 1; `None` if it is the only one.
    place: Option<usize>,
}

/// Returns a function that converts an error of making `what`.
pub(super) fn make(what: &str) -> impl FnOnce(rcgen::Error) -> PkiError {
    let what = what.to_owned();
    move |source| PkiError::Make { what, source }
}

impl Pki {
    /// Creates an authority that is valid for ten years.
    ///
    /// # Errors
    /// There is one already, or the files cannot be written.
    pub fn init(dir: &Path) -> Result<Self, PkiError> {
        files::directory(dir)?;
        files::directory(&dir.join(Kind::Host.dir()))?;
        files::directory(&dir.join(Kind::Person.dir()))?;
        let key = KeyPair::generate().map_err(make("a key"))?;
        let (serial, short) = serial(key.der_bytes());
        let mut params = CertificateParams::default();
        // Each authority has a different name. With equal names, the error for a certificate of another authority would be "badly signed"
        // instead of "unknown".
        params.distinguished_name = common_name(&format!("Firedrill CA {short}"));
        params.serial_number = Some(serial);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let valid = Validity::days(3652);
        params.not_before = valid.from.into();
        params.not_after = valid.until.into();
        let certificate = params.self_signed(&key).map_err(make("the authority's certificate"))?;
        let hint = "an authority is never overwritten: use another directory, or move it away";
        files::create_private(&dir.join("ca.key"), &key.serialize_pem(), hint)?;
        files::replace(&ca_file(dir), &certificate.pem(), false)?;
        files::append(&dir.join("index.jsonl"), "")?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Opens an existing authority. Its key must be that of a certificate in `ca.pem`, which may contain several.
    ///
    /// # Errors
    /// There is none, or its signatures would be rejected.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        for missing in [ca_file(dir), dir.join("ca.key")] {
            if !missing.is_file() {
                return Err(PkiError::NoAuthority { dir: dir.into(), missing });
            }
        }
        let pki = Self { dir: dir.to_owned() };
        pki.pair()?;
        Ok(pki)
    }

    /// Returns the name of the signing certificate in `ca.pem`, and its place there, from 1, if there are several.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn signs_as(&self) -> Result<(String, Option<usize>), PkiError> {
        let (_, _, signer) = self.pair()?;
        Ok((signer.name, signer.place))
    }

    /// Returns its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Issues a certificate for a host's agent: for servers only, not for clients.
    ///
    /// # Errors
    /// The name is invalid or exists already, or files cannot be written.
    pub fn issue_host(&self, ask: &HostAsk) -> Result<Issued, PkiError> {
        let mut names = vec![ask.name.clone()];
        names.extend(ask.dns.iter().filter(|name| **name != ask.name).cloned());
        let mut alternative = Vec::new();
        for name in names {
            DnsName::try_from(name.as_str()).map_err(|_| PkiError::NotDns(name.clone()))?;
            alternative.push(SanType::DnsName(name.try_into().map_err(make("a DNS name"))?));
        }
        alternative.extend(ask.addresses.iter().copied().map(SanType::IpAddress));
        let identity = Identity::Host(ask.name.clone());
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.issue(Kind::Host, &ask.name, &identity, alternative, usage, ask.valid, ask.renew)
    }

    /// Issues a certificate for a person: for clients only, not for servers.
    ///
    /// # Errors
    /// The name is invalid or exists already, or files cannot be written.
    pub fn issue_person(&self, ask: &PersonAsk) -> Result<Issued, PkiError> {
        for name in ask.team.iter().chain(&ask.environments) {
            check_name(name)?;
        }
        let identity = Identity::Person(Person {
            name: ask.name.clone(),
            role: ask.role,
            team: ask.team.clone(),
            environments: ask.environments.clone(),
            flaws: Vec::new(),
        });
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.issue(Kind::Person, &ask.name, &identity, Vec::new(), usage, ask.valid, ask.renew)
    }

    /// Writes a certificate into the index. The index is written before the certificate's file, because a certificate that is missing in the
    /// index could never be revoked.
    pub(super) fn record(
        &self,
        kind: Kind,
        name: &str,
        uri: String,
        serial: String,
        valid: Validity,
    ) -> Result<(), PkiError> {
        let entry = Entry {
            kind,
            name: name.to_owned(),
            uri,
            serial,
            from: index::text(valid.from),
            until: index::text(valid.until),
            revoked: None,
            replaced: false,
        };
        index::append(&self.index(), What::Issued(entry))
    }

    /// Issues a certificate with a new key, and writes both files. `alternative` are further names beside `identity`.
    #[expect(clippy::too_many_arguments, reason = "private; its two callers take one request each")]
    fn issue(
        &self,
        kind: Kind,
        name: &str,
        identity: &Identity,
        mut alternative: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        valid: Validity,
        renew: bool,
    ) -> Result<Issued, PkiError> {
        check_name(name)?;
        let dir = self.dir.join(kind.dir());
        files::directory(&dir)?;
        let (cert, key_file) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        for path in [&cert, &key_file] {
            if !renew && path.exists() {
                let hint = "`--renew` replaces it with a new key";
                return Err(PkiError::Exists { path: path.clone(), hint });
            }
        }
        let issuer = self.issuer()?;
        let key = KeyPair::generate().map_err(make("a key"))?;
        let (serial, _) = serial(key.der_bytes());
        let uri = identity.to_string();
        alternative.push(SanType::URI(uri.as_str().try_into().map_err(make("a URI name"))?));
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(name);
        params.subject_alt_names = alternative;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params.not_before = valid.from.into();
        params.not_after = valid.until.into();
        let hex = hex(serial.as_ref());
        params.serial_number = Some(serial);
        let what = format!("a certificate for {kind} {name}");
        let certificate = params.signed_by(&key, &issuer).map_err(make(&what))?;

        self.record(kind, name, uri, hex, valid)?;
        files::replace(&key_file, &key.serialize_pem(), true)?;
        files::replace(&cert, &certificate.pem(), false)?;
        Ok(Issued { cert, key: key_file, until: valid.until })
    }

    /// Returns all certificates that were ever issued, oldest first.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn list(&self) -> Result<Vec<Entry>, PkiError> {
        index::read(&self.index())
    }

    /// Revokes every certificate of that name, including replaced ones, and writes a new revocation list that is valid for `list_days` days.
    /// With a person's certificates, those over the person's passkeys are revoked, too. Returns the number of revoked certificates.
    ///
    /// # Errors
    /// There is no certificate to revoke, or files cannot be read or written.
    pub fn revoke(&self, kind: Kind, name: &str, list_days: u32) -> Result<usize, PkiError> {
        let entries = self.list()?;
        let has_kind =
            |entry: &Entry| entry.kind == kind || (kind == Kind::Person && entry.kind == Kind::Passkey);
        let wanted = |entry: &&Entry| has_kind(entry) && entry.name == name && entry.revoked.is_none();
        let found: Vec<_> = entries.iter().filter(wanted).collect();
        if found.is_empty() {
            return Err(PkiError::Unknown { kind, name: name.to_owned() });
        }
        let at = index::text(SystemTime::now());
        for entry in &found {
            let what = What::Revoked { serial: entry.serial.clone(), at: at.clone() };
            index::append(&self.index(), what)?;
        }
        self.write_crl(list_days)?;
        Ok(found.len())
    }

    /// Writes a fresh revocation list, valid for `days` days, and returns its path. Expired certificates stay on it:
    /// an expired certificate may still be used to look and heal, a revoked one may not.
    ///
    /// # Errors
    /// Files cannot be read or written.
    pub fn write_crl(&self, days: u32) -> Result<PathBuf, PkiError> {
        let mut revoked_certs = Vec::new();
        for entry in self.list()? {
            let Some(at) = &entry.revoked else { continue };
            let bad = |why: String| PkiError::Index { path: self.index(), line: 0, why };
            let time = humantime::parse_rfc3339(at).map_err(|error| bad(format!("`{at}`: {error}")))?;
            let serial = unhex(&entry.serial).ok_or_else(|| bad(format!("serial `{}`", entry.serial)))?;
            revoked_certs.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&serial),
                revocation_time: time.into(),
                reason_code: None,
                invalidity_date: None,
            });
        }
        let valid = Validity::days(days);
        let number = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let list = CertificateRevocationListParams {
            this_update: valid.from.into(),
            next_update: valid.until.into(),
            crl_number: SerialNumber::from(number.as_secs()),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer()?).map_err(make("the revocation list"))?;
        let path = crl_file(&self.dir);
        files::replace(&path, &list.pem().map_err(make("the revocation list"))?, false)?;
        Ok(path)
    }

    /// Returns the authority as an issuer of certificates.
    ///
    /// # Errors
    /// `ca.pem` or `ca.key` cannot be read, or is invalid.
    pub fn issuer(&self) -> Result<Issuer<'static, KeyPair>, PkiError> {
        let (key, certificate, _) = self.pair()?;
        let params = ca_cert::params(&certificate).map_err(make("anything with ca.pem"))?;
        Ok(Issuer::new(params, key))
    }

    /// Returns the key, its certificate in `ca.pem`, and the name of that certificate.
    fn pair(&self) -> Result<(KeyPair, CertificateDer<'static>, Signer), PkiError> {
        let (ca, key_file) = (ca_file(&self.dir), self.dir.join("ca.key"));
        let key = KeyPair::from_pem(&files::read(&key_file)?).map_err(make("anything with ca.key"))?;
        let unreadable = || make("anything with ca.pem")(rcgen::Error::CouldNotParseCertificate);
        let read = firedrill_certs::certificates(files::read(&ca)?.as_bytes()).map_err(|_| unreadable())?;
        let certificates = read
            .into_iter()
            .map(|certificate| x509::certificate(&certificate).map(|facts| (certificate, facts)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(unreadable)?;
        let several = certificates.len() > 1;
        let public = key.subject_public_key_info();
        match certificates.iter().position(|(_, facts)| facts.public_key == public) {
            Some(at) => {
                let (certificate, facts) = certificates.into_iter().nth(at).ok_or_else(unreadable)?;
                Ok((key, certificate, Signer { name: facts.common_name, place: several.then_some(at + 1) }))
            }
            None => {
                let authorities = certificates.into_iter().map(|(_, facts)| facts.common_name).collect();
                Err(PkiError::Pair { ca, key: key_file, authorities })
            }
        }
    }

    /// Returns the path of the index.
    fn index(&self) -> PathBuf {
        self.dir.join("index.jsonl")
    }
}

/// Returns a subject with only a common name.
pub(super) fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// Returns a serial number that is derived from random bytes, such as a new key; and the beginning of it in hexadecimal, for names.
pub(super) fn serial(random: &[u8]) -> (SerialNumber, String) {
    let mut bytes: Vec<u8> = digest(&SHA256, random).as_ref()[..16].to_vec();
    // The highest bit is 0, so that the number is positive; the next bit is 1, so that all numbers have the same length.
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    let short = hex(bytes.get(..4).unwrap_or_default());
    (SerialNumber::from_slice(&bytes), short)
}

/// Parses hexadecimal digits; `None` if there are other characters.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
