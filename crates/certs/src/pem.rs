//! Reads what stands in a text in PEM.

use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

/// A text does not have what was looked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// It is not PEM. The reason shows nothing of the text.
    #[error("{0}")]
    NotPem(&'static str),
    /// It is PEM, and has nothing of the kind that was looked for.
    #[error("there is none")]
    Nothing,
}

fn all<T: PemObject>(pem: &[u8]) -> Result<Vec<T>, PemError> {
    let all = T::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match all.map_err(|why| refused(&why))? {
        all if all.is_empty() => Err(PemError::Nothing),
        all => Ok(all),
    }
}

/// Returns the error without the parser's own words, which repeat lines of the text: it may be a key.
const fn refused(why: &Error) -> PemError {
    match why {
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
    all(pem)
}

/// Returns all revocation lists, at least one: a text that was cut, or is being written, would revoke nobody.
///
/// # Errors
/// The text is not PEM, or has no revocation list.
pub fn revocation_lists(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    all(pem)
}

/// Returns the first private key.
///
/// # Errors
/// The text is not PEM, or has no private key.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|why| refused(&why))
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
            let bytes = format!("{:?}", &secret.as_bytes()[..8]);
            let bytes = bytes.trim_matches(['[', ']']);
            for error in errors {
                let said = format!("{error} {error:?}");
                assert!(!said.contains(&secret[..8]) && !said.contains(bytes), "{said}");
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
