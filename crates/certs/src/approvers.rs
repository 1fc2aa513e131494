//! Certificates over passkeys: with one, an authority certifies that a passkey is that of a person. These certificates are only for approvals, and TLS
//! refuses them.

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage,
    OwnedCertRevocationList, RevocationOptionsBuilder,
};

/// The extended key usage of certificates over passkeys, as the numbers of its object identifier.
pub const APPROVAL_KEY_USAGE: [u64; 3] = [2, 25, 104_182_657_395_417];
/// [`APPROVAL_KEY_USAGE`] in DER.
const APPROVAL_KEY_USAGE_DER: [u8; 8] = [0x69, 0x97, 0xd8, 0x8e, 0xd2, 0xa4, 0xd5, 0x59];

/// The authorities and revocations by which certificates over passkeys are verified.
#[derive(Debug)]
pub struct Approvers {
    anchors: Vec<TrustAnchor<'static>>,
    lists: Vec<CertRevocationList<'static>>,
}

/// The reason why a certificate over a passkey is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApprover {
    /// There is no certificate.
    #[error("it has no certificate")]
    Missing,
    /// The certificate was revoked.
    #[error("it was revoked")]
    Revoked,
    /// The certificate or an intermediate one has expired or is not valid yet.
    #[error("it is out of date")]
    OutOfDate,
    /// It is not known whether the certificate was revoked.
    #[error("the revocation list is out of date, or says nothing of it")]
    Unrevised,
    /// The certificate was issued for another purpose, such as TLS.
    #[error("it is not for approvals by passkey; `firedrill pki enrol` makes one that is")]
    OtherUse,
    /// No trusted authority has signed the certificate.
    #[error("no authority that is trusted here has signed it")]
    Unknown,
    /// Another problem of the certificate; the text says which.
    #[error("{0}")]
    Other(String),
}

impl Approvers {
    /// Makes the check from authorities and revocation lists. Without a list no certificate counts as revoked.
    ///
    /// # Errors
    /// A list cannot be read; the text says why.
    pub fn new(
        anchors: Vec<TrustAnchor<'static>>,
        lists: &[CertificateRevocationListDer<'_>],
    ) -> Result<Self, String> {
        let lists = lists
            .iter()
            .map(|list| OwnedCertRevocationList::from_der(list).map(CertRevocationList::from))
            .collect::<Result<_, _>>()
            .map_err(|error| format!("the revocation list cannot be read: {error}"))?;
        Ok(Self { anchors, lists })
    }

    /// Checks that a chain (the passkey's certificate first) comes from a trusted authority, is for approvals, in date, and not revoked.
    ///
    /// # Errors
    /// The chain is not trusted, for this reason.
    pub fn check(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), NotApprover> {
        let (leaf, intermediates) = chain.split_first().ok_or(NotApprover::Missing)?;
        let parsed = EndEntityCert::try_from(leaf).map_err(|error| reason(&error))?;
        let lists: Vec<_> = self.lists.iter().collect();
        // webpki accepts no empty list of lists. Without lists no revocation is checked.
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|options| options.with_expiration_policy(ExpirationPolicy::Enforce).build());
        let usage = KeyUsage::required(&APPROVAL_KEY_USAGE_DER);
        parsed
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &self.anchors,
                intermediates,
                now,
                usage,
                revocation,
                None,
            )
            .map(drop)
            .map_err(|error| reason(&error))
    }
}

/// Returns the reason for an error of webpki.
fn reason(error: &Error) -> NotApprover {
    match error {
        Error::CertRevoked => NotApprover::Revoked,
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => NotApprover::OutOfDate,
        Error::UnknownRevocationStatus | Error::CrlExpired { .. } => NotApprover::Unrevised,
        Error::RequiredEkuNotFoundContext(_) => NotApprover::OtherUse,
        Error::UnknownIssuer => NotApprover::Unknown,
        error => NotApprover::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
        ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
        SerialNumber,
    };
    use webpki::anchor_from_trusted_cert;

    use super::*;

    /// An authority with its certificate.
    struct Authority(Issuer<'static, KeyPair>, CertificateDer<'static>);

    impl Authority {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            // Each authority has another name, as otherwise only their signatures would differ.
            params.distinguished_name.push(DnType::CommonName, format!("{:?}", key.public_key_raw()));
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let own = params.self_signed(&key).unwrap().der().clone();
            Self(Issuer::new(params, key), own)
        }

        /// Returns a certificate with serial number 7 that is valid for a day.
        fn signs(&self, usages: Vec<ExtendedKeyUsagePurpose>) -> CertificateDer<'static> {
            let mut params = CertificateParams::default();
            params.extended_key_usages = usages;
            params.serial_number = Some(SerialNumber::from(7_u64));
            params.not_after = (SystemTime::now() + Duration::from_secs(86_400)).into();
            params.signed_by(&KeyPair::generate().unwrap(), &self.0).unwrap().der().clone()
        }

        /// Returns a revocation list that is valid until `until`. `revoked` is the serial number that it has.
        fn list(&self, revoked: Option<u64>, until: SystemTime) -> CertificateRevocationListDer<'static> {
            let revoked_certs = revoked.map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: SystemTime::UNIX_EPOCH.into(),
                reason_code: None,
                invalidity_date: None,
            });
            let params = CertificateRevocationListParams {
                this_update: SystemTime::UNIX_EPOCH.into(),
                next_update: until.into(),
                crl_number: SerialNumber::from(1_u64),
                issuing_distribution_point: None,
                revoked_certs: revoked_certs.into_iter().collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&self.0).unwrap().der().clone()
        }

        /// Checks a certificate at a time. Only this authority is trusted.
        fn says(
            &self,
            leaf: &CertificateDer<'static>,
            lists: &[CertificateRevocationListDer<'_>],
            now: UnixTime,
        ) -> Result<(), NotApprover> {
            let anchor = anchor_from_trusted_cert(&self.1).unwrap().to_owned();
            Approvers::new(vec![anchor], lists).unwrap().check(std::slice::from_ref(leaf), now)
        }
    }

    /// Returns the key usage of certificates over passkeys.
    fn approves() -> Vec<ExtendedKeyUsagePurpose> {
        vec![ExtendedKeyUsagePurpose::Other(APPROVAL_KEY_USAGE.to_vec())]
    }

    #[test]
    fn a_certificate_is_accepted_only_for_approvals_from_a_trusted_authority_and_not_revoked() {
        let (house, other) = (Authority::new(), Authority::new());
        let (now, day) = (UnixTime::now(), Duration::from_secs(86_400));
        let leaf = house.signs(approves());
        assert_eq!(house.says(&leaf, &[], now), Ok(()));
        assert_eq!(other.says(&leaf, &[], now), Err(NotApprover::Unknown));
        for usages in [Vec::new(), vec![ExtendedKeyUsagePurpose::ClientAuth]] {
            assert_eq!(house.says(&house.signs(usages), &[], now), Err(NotApprover::OtherUse));
        }
        let soon = SystemTime::now() + day;
        assert_eq!(house.says(&leaf, &[house.list(Some(8), soon)], now), Ok(()));
        assert_eq!(house.says(&leaf, &[house.list(Some(7), soon)], now), Err(NotApprover::Revoked));
        let over = SystemTime::now() - day;
        assert_eq!(house.says(&leaf, &[house.list(None, over)], now), Err(NotApprover::Unrevised));
        assert_eq!(house.says(&leaf, &[other.list(None, soon)], now), Err(NotApprover::Unrevised));
        let late = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + 2 * day);
        assert_eq!(house.says(&leaf, &[], late), Err(NotApprover::OutOfDate));
        assert_eq!(Approvers::new(Vec::new(), &[]).unwrap().check(&[], now), Err(NotApprover::Missing));
        assert!(Approvers::new(Vec::new(), &[vec![1, 2].into()]).is_err());
    }

    #[test]
    fn tls_refuses_a_certificate_over_a_passkey_for_clients_and_servers() {
        let house = Authority::new();
        let leaf = house.signs(approves());
        let parsed = EndEntityCert::try_from(&leaf).unwrap();
        let anchors = [anchor_from_trusted_cert(&house.1).unwrap()];
        for usage in [KeyUsage::client_auth(), KeyUsage::server_auth()] {
            let now = UnixTime::now();
            let verified =
                parsed.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, &[], now, usage, None, None);
            assert!(matches!(verified.err(), Some(Error::RequiredEkuNotFoundContext(_))));
        }
    }
}
