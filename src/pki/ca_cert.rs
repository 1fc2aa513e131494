//! Reads the fields of an authority's certificate that are needed to sign in its name: its name, the identifier of its
//! key, and its key usage.
//!
//! Never decides whether the certificate is valid or trusted; the verifier of an issued certificate does that.

use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, Error, KeyIdMethod, KeyUsagePurpose,
    string::{BmpString, UniversalString},
};
use yasna::{
    ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, BERReaderSeq, Tag,
    models::TaggedDerValue,
    parse_der,
    tags::{
        TAG_BMPSTRING, TAG_IA5STRING, TAG_PRINTABLESTRING, TAG_TELETEXSTRING, TAG_UNIVERSALSTRING,
        TAG_UTF8STRING,
    },
};

/// `id-ce-subjectKeyIdentifier`, RFC 5280 section 4.2.1.2.
const SUBJECT_KEY_IDENTIFIER: [u64; 4] = [2, 5, 29, 14];
/// `id-ce-keyUsage`, RFC 5280 section 4.2.1.3.
const KEY_USAGE: [u64; 4] = [2, 5, 29, 15];

/// Returns the parameters of an issuer from its certificate in DER (RFC 5280 section 4.1).
///
/// # Errors
/// The bytes are no certificate, or its name has a form that cannot be repeated in issued certificates.
pub(super) fn params(certificate: &[u8]) -> Result<CertificateParams, Error> {
    let unreadable = |_: ASN1Error| Error::CouldNotParseCertificate;
    let fields = parse_der(certificate, |reader| {
        reader.read_sequence(|certificate| {
            let fields = certificate.next().read_sequence(to_be_signed)?;
            certificate.next().read_der()?; // the signature's algorithm
            certificate.next().read_der()?; // the signature
            Ok(fields)
        })
    })
    .map_err(unreadable)?;
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    for (kind, value) in &fields.subject {
        name.push(DnType::from_oid(kind), text(value)?);
    }
    params.distinguished_name = name;
    for (kind, value) in &fields.extensions {
        if *kind == SUBJECT_KEY_IDENTIFIER {
            let identifier = parse_der(value, |reader| reader.read_bytes()).map_err(unreadable)?;
            params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        } else if *kind == KEY_USAGE {
            let (bits, _) = parse_der(value, |reader| reader.read_bitvec_bytes()).map_err(unreadable)?;
            params.key_usages = usages(&bits);
        }
    }
    Ok(params)
}

/// The fields of a certificate that are used here; identifiers as lists of numbers, values in DER.
struct Fields {
    subject: Vec<(Vec<u64>, TaggedDerValue)>,
    extensions: Vec<(Vec<u64>, Vec<u8>)>,
}

/// Reads a `TBSCertificate`, RFC 5280 section 4.1.2.
fn to_be_signed(fields: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Fields> {
    fields.read_optional(|version| version.read_tagged(Tag::context(0), |number| number.read_der()))?;
    // Serial number, algorithm, issuer, validity.
    for _ in 0..4 {
        fields.next().read_der()?;
    }
    let subject = name(fields.next())?;
    fields.next().read_der()?; // the public key
    for unique_id in [1, 2] {
        fields.read_optional(|id| {
            id.read_tagged_implicit(Tag::context(unique_id), |id| id.read_bitvec_bytes().map(drop))
        })?;
    }
    let extensions = fields.read_optional(|tagged| {
        tagged.read_tagged(Tag::context(3), |list| {
            list.collect_sequence_of(|item| item.read_sequence(extension))
        })
    })?;
    Ok(Fields { subject, extensions: extensions.unwrap_or_default() })
}

/// Reads a `Name`, RFC 5280 section 4.1.2.4. A part with several attributes is an error.
fn name(reader: BERReader<'_, '_>) -> ASN1Result<Vec<(Vec<u64>, TaggedDerValue)>> {
    reader.collect_sequence_of(|part| {
        let mut attributes = part.collect_set_of(|attribute| {
            attribute.read_sequence(|attribute| {
                let kind = attribute.next().read_oid()?.into_components();
                Ok((kind, attribute.next().read_tagged_der()?))
            })
        })?;
        // Exactly one: there is a last attribute, and none is left without it.
        match (attributes.pop(), attributes.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(ASN1Error::new(ASN1ErrorKind::Invalid)),
        }
    })
}

/// Reads an `Extension`, RFC 5280 section 4.1.
fn extension(fields: &mut BERReaderSeq<'_, '_>) -> ASN1Result<(Vec<u64>, Vec<u8>)> {
    let kind = fields.next().read_oid()?.into_components();
    fields.read_optional(|critical| critical.read_bool())?;
    Ok((kind, fields.next().read_bytes()?))
}

/// Returns a text of a name. It keeps the string type of the certificate, because verifiers compare names byte by byte.
fn text(value: &TaggedDerValue) -> Result<DnValue, Error> {
    let bytes = value.value();
    let utf8 = || std::str::from_utf8(bytes).map_err(|_| Error::CouldNotParseCertificate);
    Ok(match value.tag() {
        TAG_UTF8STRING => DnValue::Utf8String(utf8()?.to_owned()),
        TAG_PRINTABLESTRING => DnValue::PrintableString(utf8()?.try_into()?),
        TAG_IA5STRING => DnValue::Ia5String(utf8()?.try_into()?),
        TAG_TELETEXSTRING => DnValue::TeletexString(utf8()?.try_into()?),
        TAG_BMPSTRING => DnValue::BmpString(BmpString::from_utf16be(bytes.to_vec())?),
        TAG_UNIVERSALSTRING => DnValue::UniversalString(UniversalString::from_utf32be(bytes.to_vec())?),
        _ => return Err(Error::CouldNotParseCertificate),
    })
}

/// Returns the usages that matter to an issuer; the first bit is the highest of the first byte.
fn usages(bits: &[u8]) -> Vec<KeyUsagePurpose> {
    let first = bits.first().copied().unwrap_or(0);
    let known = [(5, KeyUsagePurpose::KeyCertSign), (6, KeyUsagePurpose::CrlSign)];
    let mut found: Vec<_> =
        known.into_iter().filter(|(bit, _)| first & (0x80 >> bit) != 0).map(|(_, purpose)| purpose).collect();
    if found.is_empty() {
        // An empty list would mean that everything is allowed, so the list gets a usage that allows no signing of certificates and lists.
        found.push(KeyUsagePurpose::DigitalSignature);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, IsCa, Issuer, KeyPair};

    /// Makes an authority's certificate whose name has several string types, as authorities of companies have.
    fn company(key: &KeyPair, usages: &[KeyUsagePurpose]) -> (CertificateParams, Vec<u8>) {
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap()));
        name.push(DnType::OrganizationName, "Bäckerei Süß");
        name.push(DnType::CommonName, DnValue::BmpString("Root ☕".try_into().unwrap()));
        name.push(
            DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]),
            DnValue::Ia5String("org".try_into().unwrap()),
        );
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = usages.to_vec();
        params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
        let certificate = params.self_signed(key).unwrap();
        (params, certificate.der().to_vec())
    }

    #[test]
    fn the_parameters_of_a_certificate_are_read_back_unchanged() {
        let key = KeyPair::generate().unwrap();
        let both = [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let (made, der) = company(&key, &both);
        let read = params(&der).unwrap();
        assert_eq!(read.distinguished_name, made.distinguished_name);
        assert_eq!(read.key_usages, both);
        assert_eq!(read.key_identifier_method, made.key_identifier_method);
    }

    #[test]
    fn an_issued_certificate_is_verified_by_the_authoritys_certificate() {
        let key = KeyPair::generate().unwrap();
        let (_, der) = company(&key, &[KeyUsagePurpose::KeyCertSign]);
        let issuer = Issuer::new(params(&der).unwrap(), key);
        let leaf_key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(vec!["app1".to_owned()]).unwrap();
        leaf.use_authority_key_identifier_extension = true;
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        assert!(firedrill_certs::is_issued_by(leaf.der(), &[], [&der.into()]));
    }

    #[test]
    fn key_usages_are_kept_and_never_become_an_empty_list() {
        let key = KeyPair::generate().unwrap();
        let (_, der) = company(&key, &[KeyUsagePurpose::KeyCertSign]);
        assert_eq!(params(&der).unwrap().key_usages, [KeyUsagePurpose::KeyCertSign]);
        let (_, der) = company(&key, &[KeyUsagePurpose::KeyAgreement]);
        assert!(!params(&der).unwrap().key_usages.is_empty());
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_never_panics(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
            let key = KeyPair::generate().unwrap();
            let (_, mut der) = company(&key, &[]);
            let at = at % der.len();
            der[at] = byte;
            let _ = params(&der);
            der.truncate(cut);
            let _ = params(&der);
        }
    }
}
