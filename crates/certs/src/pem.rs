//! Reads certificates, keys and revocation lists from a text in PEM.

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

/// The reason why a text has no item of the wanted kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The text is not PEM, for this reason. The reason shows no part of the text.
    #[error("{0}")]
    NotPem(&'static str),
    /// The text has no item of the wanted kind.
    #[error("there is none")]
    Nothing,
}

/// Returns all items of a kind, at least one.
fn items<T: PemObject>(pem: &[u8]) -> Result<Vec<T>, PemError> {
    let items = T::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|error| refused(&error))?;
    if items.is_empty() { Err(PemError::Nothing) } else { Ok(items) }
}

/// Returns the error without the parser's message. That message repeats lines of the text, which may be a key.
const fn refused(error: &Error) -> PemError {
    match error {
        Error::NoItemsFound => PemError::Nothing,
        Error::MissingSectionEnd { .. } => PemError::NotPem("a section has no END line"),
        Error::IllegalSectionStart { .. } => PemError::NotPem("the BEGIN line of a section is malformed"),
        Error::Base64Decode(_) => PemError::NotPem("a section is not base64"),
        _ => PemError::NotPem("it is not PEM"),
    }
}

/// Returns all certificates, at least one, in the text's order.
///
/// # Errors
/// The text is not PEM, or has no certificate.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    items(pem)
}

/// Returns all revocation lists, at least one. A text without any is an error, because a file that was cut would revoke no certificate.
///
/// # Errors
/// The text is not PEM, or has no revocation list.
pub fn revocation_lists(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    items(pem)
}

/// Returns the first private key.
///
/// # Errors
/// The text is not PEM, or has no private key.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn each_kind_is_found_among_the_others() {
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["app1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let pem = [key.serialize_pem(), own.pem(), own.pem()].concat();
        assert_eq!(certificates(pem.as_bytes()).unwrap(), [own.der().clone(), own.der().clone()]);
        assert_eq!(private_key(pem.as_bytes()).unwrap().secret_der(), key.serialized_der());
        assert_eq!(revocation_lists(pem.as_bytes()), Err(PemError::Nothing));
    }

    #[test]
    fn no_error_shows_a_part_of_a_key() {
        let pem = KeyPair::generate().unwrap().serialize_pem();
        let (begin, rest) = pem.split_once('\n').unwrap();
        let secret = rest.lines().next().unwrap();
        for broken in [pem.replace('\n', ""), format!("{begin}{rest}"), pem.replace("-----END", "----END")] {
            let broken = broken.as_bytes();
            let errors = [
                private_key(broken).unwrap_err(),
                certificates(broken).unwrap_err(),
                revocation_lists(broken).unwrap_err(),
            ];
            // `Debug` of bytes shows numbers.
            let list = format!("{:?}", &secret.as_bytes()[..8]);
            let numbers = list.trim_matches(['[', ']']);
            for error in errors {
                let text = format!("{error} {error:?}");
                assert!(!text.contains(&secret[..8]) && !text.contains(numbers), "{text}");
            }
        }
    }

    #[test]
    fn an_empty_or_cut_text_is_an_error() {
        assert_eq!(certificates(b""), Err(PemError::Nothing));
        assert_eq!(private_key(b""), Err(PemError::Nothing));
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert_eq!(certificates(cut), Err(PemError::NotPem("a section has no END line")));
    }
}
