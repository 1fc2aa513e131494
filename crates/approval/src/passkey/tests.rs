//! Answers of a passkey that count, and many that do not.

use proptest::prelude::*;

use super::*;
use crate::testing::{Authenticator, ORIGIN, Signature, authenticator_data, client_data};

const CHALLENGE: [u8; 32] = [7; 32];
const HOST: &str = "drills.example";
/// The flags of an answer that counts.
const GOOD: u8 = PRESENT | VERIFIED;
/// The flag of an authenticator's data that has a new key.
const HAS_KEY: u8 = 1 << 6;

/// Verifies an answer to [`CHALLENGE`] by a key.
fn verified(key: &Authenticator, signed: &Signature) -> Result<String, PasskeyError> {
    verify(signed.answer(), &key.public_key(), &CHALLENGE)
}

#[test]
fn the_origin_of_the_page_is_returned_for_a_valid_answer() {
    let key = Authenticator::new();
    assert_eq!(verified(&key, &key.approve(&CHALLENGE)).as_deref(), Ok(ORIGIN));
    // Other flags and data of extensions make no difference. Here the key may be backed up and is, and the extensions are an empty map.
    let backed_up = GOOD | (1 << 3) | (1 << 4) | (1 << 7);
    let data = [authenticator_data(HOST, backed_up), vec![0xa0]].concat();
    let signed = key.sign(data, client_data("webauthn.get", &CHALLENGE, ORIGIN));
    assert_eq!(verified(&key, &signed).as_deref(), Ok(ORIGIN));
}

#[test]
fn each_wrong_part_is_refused_although_the_key_signed_it() {
    let key = Authenticator::new();
    let good = client_data("webauthn.get", &CHALLENGE, ORIGIN);
    let client = |client: &str| verified(&key, &key.sign(authenticator_data(HOST, GOOD), client));
    let data = |data: Vec<u8>| verified(&key, &key.sign(data, good.as_str()));
    assert_eq!(client(&client_data("webauthn.get", &[8; 32], ORIGIN)), Err(PasskeyError::Challenge));
    let (found, wanted) = ("webauthn.create".to_owned(), "webauthn.get");
    let created = client_data(&found, &CHALLENGE, ORIGIN);
    assert_eq!(client(&created), Err(PasskeyError::Kind { found, wanted }));
    let inside = good.replace("\"crossOrigin\":false", "\"crossOrigin\":true");
    assert_eq!(client(&inside), Err(PasskeyError::CrossOrigin));
    for odd in
        ["", "https://drills.example:8443/", "http://drills.example", "https://drills.example\\u001b[2J"]
    {
        let odd = client_data("webauthn.get", &CHALLENGE, odd);
        assert!(matches!(client(&odd), Err(PasskeyError::Origin(_))), "{odd}");
    }
    let elsewhere = client_data("webauthn.get", &CHALLENGE, "https://evil.example");
    assert_eq!(client(&elsewhere), Err(PasskeyError::RpId("evil.example".to_owned())));
    for bad in
        ["", "{}", "[", "null", &good.replace("false", "\"no\""), &good.replacen("{", "{\"type\":1,", 1)]
    {
        assert!(matches!(client(bad), Err(PasskeyError::ClientData(_))), "{bad}");
    }
    let spaces = format!("{good}{}", " ".repeat(CLIENT_DATA_MOST));
    assert_eq!(client(&spaces), Err(PasskeyError::Size("client data")));
    assert_eq!(data(authenticator_data("example", GOOD)), Err(PasskeyError::RpId(HOST.to_owned())));
    assert_eq!(data(authenticator_data(HOST, PRESENT)), Err(PasskeyError::Unverified));
    assert_eq!(data(authenticator_data(HOST, VERIFIED)), Err(PasskeyError::Absent));
    for size in [0, 32, 36, AUTHENTICATOR_DATA_MOST + 1] {
        let mut sized = authenticator_data(HOST, GOOD);
        sized.resize(size, 0);
        assert_eq!(data(sized), Err(PasskeyError::Size("authenticator data")), "{size}");
    }
}

#[test]
fn another_key_or_another_kind_of_key_is_refused() {
    let (key, other) = (Authenticator::new(), Authenticator::new());
    let signed = key.approve(&CHALLENGE);
    assert_eq!(verified(&other, &signed), Err(PasskeyError::Signature));
    let mut long = signed.clone();
    long.signature.resize(SIGNATURE_MOST + 1, 0);
    assert_eq!(verified(&key, &long), Err(PasskeyError::Size("signature")));
    let mut compressed = key.public_key();
    // The first byte of a compressed point.
    compressed[P256.len()] = 2;
    for bad in [&[][..], &P256, &key.public_key()[..90], &compressed, &[&key.public_key()[..], &[0]].concat()]
    {
        assert_eq!(verify(signed.answer(), bad, &CHALLENGE), Err(PasskeyError::Key));
    }
}

#[test]
fn a_registration_is_checked_without_a_signature() {
    let key = Authenticator::new().public_key();
    let client = client_data("webauthn.create", &CHALLENGE, ORIGIN);
    let registered =
        |client: &str, data: &[u8], key: &[u8]| registered(client.as_bytes(), data, key, &CHALLENGE);
    let data = authenticator_data(HOST, GOOD | HAS_KEY);
    assert_eq!(registered(&client, &data, &key).as_deref(), Ok(ORIGIN));
    assert_eq!(registered(&client, &data, &key[1..]), Err(PasskeyError::Key));
    assert_eq!(
        registered(&client, &authenticator_data(HOST, PRESENT | HAS_KEY), &key),
        Err(PasskeyError::Unverified)
    );
    let get = client_data("webauthn.get", &CHALLENGE, ORIGIN);
    assert!(matches!(registered(&get, &data, &key), Err(PasskeyError::Kind { .. })));
}

#[test]
fn a_fingerprint_is_short_and_of_the_key() {
    let fingerprint = Fingerprint(b"abc").to_string();
    assert_eq!(fingerprint, "ba78-16bf-8f01-cfea-4141-40de-5dae-2223");
    assert_ne!(fingerprint, Fingerprint(b"abd").to_string());
}

proptest! {
    #[test]
    fn an_answer_with_a_flipped_bit_or_a_cut_end_is_refused(part in 0_usize..3, at: prop::sample::Index, bit in 0_u32..8, cut: bool) {
        let key = Authenticator::new();
        let mut signed = key.approve(&CHALLENGE);
        let bytes = [&mut signed.authenticator_data, &mut signed.client_data, &mut signed.signature];
        let Some(bytes) = bytes.into_iter().nth(part) else { return Ok(()) };
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        prop_assert!(verified(&key, &signed).is_err());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(authenticator_data: Vec<u8>, client_data: Vec<u8>, signature: Vec<u8>, key: Vec<u8>, challenge: Vec<u8>) {
        let answer = Answer { authenticator_data: &authenticator_data, client_data: &client_data, signature: &signature };
        prop_assert!(verify(answer, &key, &challenge).is_err());
        prop_assert!(verify(answer, &Authenticator::new().public_key(), &challenge).is_err());
        prop_assert!(registered(&client_data, &authenticator_data, &key, &challenge).is_err());
    }
}
