//! Checks of a chain: its authority and its dates, and the names in its first certificate.

use std::time::Duration;

use rustls::{CertificateError, Error};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Number of times at which a chain is checked. Each certificate may need another time, and webpki accepts at most 6 certificates.
const CHECKS: usize = 8;

/// Returns true if a chain is in date now, false if it is trusted only at another time. `check` decides whether the chain is trusted at a time.
/// A chain out of date is no error, because a host must be healed even if a certificate has expired.
///
/// # Errors
/// No time was found at which `check` trusts the chain. The error is that of `check`, or that the chain has expired.
pub fn in_date(now: UnixTime, mut check: impl FnMut(UnixTime) -> Result<(), Error>) -> Result<bool, Error> {
    let mut at = now;
    for _ in 0..CHECKS {
        match check(at) {
            Ok(()) => return Ok(at == now),
            Err(error) => at = valid_time(&error).filter(|better| *better != at).ok_or(error)?,
        }
    }
    Err(CertificateError::Expired.into())
}

/// Returns the nearest time at which the certificate of the error is valid; `None` if the error is not about dates.
fn valid_time(error: &Error) -> Option<UnixTime> {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => Some(*not_after),
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            Some(*not_before)
        }
        _ => None,
    }
}

/// Returns true if one of the authorities signed a host's certificate, directly or through intermediate ones, and all certificates are in date.
#[must_use]
pub fn is_issued_by<'c>(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: impl IntoIterator<Item = &'c CertificateDer<'c>>,
) -> bool {
    let anchors: Vec<_> =
        authorities.into_iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    let Ok(end) = EndEntityCert::try_from(leaf) else { return false };
    let usage = KeyUsage::server_auth();
    end.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, intermediates, UnixTime::now(), usage, None, None)
        .is_ok()
}

/// Returns the end of a certificate's validity.
///
/// # Errors
/// The certificate cannot be read, or its validity ends before it begins; the text says why.
pub fn expires(certificate: &CertificateDer<'_>) -> Result<UnixTime, String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    // At the end of time every certificate has expired, which webpki finds before it looks for an issuer.
    let end_of_time = UnixTime::since_unix_epoch(Duration::MAX);
    let usage = KeyUsage::server_auth();
    match parsed.verify_for_usage(ALL_VERIFICATION_ALGS, &[], &[], end_of_time, usage, None, None) {
        Err(webpki::Error::CertExpired { not_after, .. }) => Ok(not_after),
        Err(error) => Err(error.to_string()),
        Ok(_) => Err("it has no end".to_owned()),
    }
}

/// Returns the URI names of a certificate.
///
/// # Errors
/// The certificate cannot be read; the text says why.
pub fn uris(certificate: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    Ok(parsed.valid_uri_names().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a time, from seconds since 1970.
    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    /// Returns the error for a certificate that ended at `not_after`.
    fn expired(not_after: u64, now: UnixTime) -> Error {
        CertificateError::ExpiredContext { time: now, not_after: at(not_after) }.into()
    }

    #[test]
    fn a_chain_whose_certificates_ended_one_after_another_is_trusted_and_out_of_date() {
        // The leaf ended at 50, an intermediate at 30.
        let check = |now: UnixTime| {
            let first = [50, 30].into_iter().find(|end| at(*end) < now);
            first.map_or(Ok(()), |end| Err(expired(end, now)))
        };
        assert_eq!(in_date(at(90), check), Ok(false));
        assert_eq!(in_date(at(20), check), Ok(true));
    }

    #[test]
    fn a_chain_that_fails_for_another_reason_or_at_every_time_is_not_trusted() {
        let revoked = || Error::from(CertificateError::Revoked);
        assert_eq!(in_date(at(90), |_| Err(revoked())), Err(revoked()));
        // Each of the two ends leads to the other one, and the chain is valid at none.
        let never = |now: UnixTime| {
            let end = if now == at(30) { 40 } else { 30 };
            Err(expired(end, now))
        };
        assert_eq!(in_date(at(90), never), Err(CertificateError::Expired.into()));
    }

    #[test]
    fn the_end_of_a_certificate_is_found() {
        let mut params = rcgen::CertificateParams::new(["edge".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        // 2031-02-03T00:00:00Z.
        assert_eq!(expires(certificate.der()), Ok(at(1_927_843_200)));
    }

    #[test]
    fn bytes_that_are_no_certificate_have_no_names_and_no_authority() {
        let garbage = CertificateDer::from(vec![1, 2, 3]);
        assert!(uris(&garbage).is_err() && expires(&garbage).is_err());
        assert!(!is_issued_by(&garbage, &[], [&garbage]));
    }
}
