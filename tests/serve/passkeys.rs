//! Passkeys over HTTP, with an authenticator in this program: they are added, used for logins, and removed.

use std::fs;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use firedrill_approval::{
    Enrolment,
    testing::{Authenticator, Signature, authenticator_data, client_data},
};

use crate::{
    FIREDRILL, firedrill,
    output::said,
    person,
    room::{Answer, Room},
    start,
};

/// The flag of an authenticator: a person was present.
const PRESENT: u8 = 1;
/// The flag of an authenticator: it has verified its owner.
const VERIFIED: u8 = 4;
/// The flag of an authenticator: its data has a new key.
const NEW_KEY: u8 = 0x40;
/// The flags of a valid login.
const LOGIN: u8 = PRESENT | VERIFIED;

/// A passkey on the pages of a room.
struct Device {
    key: Authenticator,
    origin: String,
}

impl Device {
    /// Makes a passkey for the pages of a room.
    fn of(room: &Room) -> Self {
        let port = room.address.rsplit_once(':').unwrap().1;
        Self { key: Authenticator::new(), origin: format!("http://localhost:{port}") }
    }

    /// Returns bytes as they stand in forms: in base64url.
    fn text(bytes: &[u8]) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Adds the passkey in a session.
    fn add(&self, room: &Room, cookie: &str, credential: &str) -> Answer {
        let challenge = room.post("/passkeys/challenge", cookie, "").text();
        let client =
            client_data("webauthn.create", &BASE64_URL_SAFE_NO_PAD.decode(&challenge).unwrap(), &self.origin);
        let (data, key) = (authenticator_data("localhost", LOGIN | NEW_KEY), self.key.public_key());
        let form = format!(
            "name=laptop&credential={credential}&challenge={challenge}&client_data={}&authenticator_data={}&public_key={}",
            Self::text(client.as_bytes()),
            Self::text(&data),
            Self::text(&key)
        );
        room.post("/passkeys", cookie, &form)
    }

    /// Signs a challenge with flags, on a page of an origin.
    fn sign(&self, challenge: &str, flags: u8, origin: &str) -> Signature {
        let challenge = BASE64_URL_SAFE_NO_PAD.decode(challenge).unwrap();
        let client = client_data("webauthn.get", &challenge, origin);
        self.key.sign(authenticator_data("localhost", flags), client)
    }

    /// Sends an answer as the script of the page does.
    fn send(room: &Room, credential: &str, challenge: &str, signed: &Signature) -> Answer {
        let form = format!(
            "credential={credential}&challenge={challenge}&client_data={}&authenticator_data={}&signature={}",
            Self::text(&signed.client_data),
            Self::text(&signed.authenticator_data),
            Self::text(&signed.signature)
        );
        room.post("/login/passkey", "", &form)
    }
}

/// Returns a new challenge for a login.
fn challenge(room: &Room) -> String {
    room.post("/login/challenge", "", "").text()
}

#[test]
fn a_passkey_logs_in_its_owner_until_it_is_removed() {
    let (folder, room) = start();
    let admin = room.login(&room.link);
    let bob = person(folder.path(), &room, "bob", "operator");
    let device = Device::of(&room);
    let added = device.add(&room, &bob, "Ym9i");
    assert_eq!(
        (added.status, added.header("location")),
        (303, Some("/passkeys?done=added")),
        "{}",
        added.text()
    );
    assert!(device.add(&room, &bob, "Ym9i").text().contains("it is there already"));
    let first = challenge(&room);
    let signed = device.sign(&first, LOGIN, &device.origin);
    let answer = Device::send(&room, "Ym9i", &first, &signed);
    assert_eq!(answer.status, 303, "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap();
    assert!(room.get("/", cookie).text().contains("bob (operator)"));
    // All refusals are the same, so that they do not reveal which passkeys exist.
    let refuses = |credential: &str, challenge: &str, signed: &Signature| {
        let answer = Device::send(&room, credential, challenge, signed);
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.header("set-cookie").is_none());
        answer.text()
    };
    let again = refuses("Ym9i", &first, &signed);
    let next = challenge(&room);
    for (credential, challenge, signed) in [
        ("bm9ib2R5", next.as_str(), device.sign(&next, LOGIN, &device.origin)),
        ("Ym9i", &next, device.sign(&next, PRESENT, &device.origin)),
        ("Ym9i", &next, device.sign(&first, LOGIN, &device.origin)),
        ("Ym9i", &next, device.sign(&next, LOGIN, "http://localhost:1")),
        ("Ym9i", &next, Device::of(&room).sign(&next, LOGIN, &device.origin)),
        // The room has not made this challenge.
        ("Ym9i", "AAAA", device.sign("AAAA", LOGIN, &device.origin)),
    ] {
        assert_eq!(refuses(credential, challenge, &signed), again, "{credential}");
    }
    // None of these tries has used the challenge up.
    assert_eq!(Device::send(&room, "Ym9i", &next, &device.sign(&next, LOGIN, &device.origin)).status, 303);
    assert_eq!(
        room.post("/login/passkey", "", "credential=Ym9i").status,
        400,
        "no script has filled the form"
    );
    // Only its owner or an administrator may remove it.
    let vera = person(folder.path(), &room, "vera", "viewer");
    assert!(!room.get("/passkeys", &vera).text().contains("laptop"));
    assert_eq!(room.post("/passkeys/1/remove", &vera, "").status, 404);
    assert!(room.get("/passkeys", &admin).text().contains("laptop"));
    assert_eq!(room.post("/passkeys/1/remove", &admin, "").status, 303);
    let next = challenge(&room);
    assert_eq!(refuses("Ym9i", &next, &device.sign(&next, LOGIN, &device.origin)), again);
    let audit = fs::read_to_string(folder.path().join("room/audit.jsonl")).unwrap();
    for line in [
        "\"what\":\"passkey\",\"on\":\"laptop\",\"outcome\":\"added as number 1, key ",
        "\"what\":\"login\",\"on\":\"\",\"outcome\":\"logged in as operator\"",
        "refused: there is no such passkey",
        "refused: the passkey did not verify its owner",
        "refused: its challenge was used",
        "\"what\":\"remove-passkey\",\"on\":\"laptop of bob\",\"outcome\":\"removed\"",
    ] {
        assert!(audit.contains(line), "no `{line}` in {audit}");
    }
}

#[test]
fn a_passkey_accepts_only_the_certificate_over_its_key() {
    let (folder, room) = start();
    let bob = person(folder.path(), &room, "bob", "operator");
    let (first, other) = (Device::of(&room), Device::of(&room));
    assert_eq!(first.add(&room, &bob, "b25l").status, 303);
    assert_eq!(other.add(&room, &bob, "b3RoZXI").status, 303);
    let file = room.get("/passkeys/1/passkey.json", &bob).text();
    let (read, key) = Enrolment::read(&file).unwrap();
    assert_eq!(
        (read.rp_id.as_str(), &read.origin, key),
        ("localhost", &first.origin, first.key.public_key())
    );
    let vera = person(folder.path(), &room, "vera", "viewer");
    assert_eq!(room.get("/passkeys/1/passkey.json", &vera).status, 404);
    fs::write(folder.path().join("passkey.json"), &file).unwrap();
    let pki = |words: &[&str]| {
        let done = firedrill(folder.path(), &[&["pki", "--dir", "pki"], words].concat());
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    pki(&["init"]);
    let told = pki(&["enrol", "bob", "passkey.json"]);
    let path = told.lines().next().unwrap().trim_start_matches("certificate").trim();
    let pem = fs::read_to_string(folder.path().join(path)).unwrap();
    let form = |pem: &str| format!("certificate={}", pem.replace('+', "%2B").replace('\n', "%0A"));
    let certify =
        |number: u32, pem: &str| room.post(&format!("/passkeys/{number}/certificate"), &bob, &form(pem));
    let wrong = certify(2, &pem);
    assert!(wrong.status == 400 && wrong.text().contains("it is over the key"), "{}", wrong.text());
    assert_eq!(certify(1, "no certificate").status, 400);
    assert_eq!(certify(1, &pem).status, 303);
    assert!(room.get("/passkeys", &bob).text().contains("bob, until "));
    assert!(pki(&["list"]).contains("passkey"));
    fs::write(folder.path().join("other.json"), "{}").unwrap();
    let bad = firedrill(folder.path(), &["pki", "--dir", "pki", "enrol", "bob", "other.json"]);
    assert!(
        said(&bad).contains("other.json cannot be enrolled: it is not the file of a passkey"),
        "{}",
        said(&bad)
    );
}

#[test]
fn pages_at_an_address_without_a_name_offer_no_passkeys() {
    let folder = tempfile::tempdir().unwrap();
    let room = Room::start(FIREDRILL, folder.path(), &["--behind-tls", "https://192.0.2.7"]);
    assert!(!room.get("/login", "").text().contains("Log in by passkey"));
    let body = room.link.split_once('?').unwrap().1;
    let answer = room.post("/login", "", body);
    let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(room.get("/passkeys", &cookie).text().contains("browsers have no passkeys for addresses"));
}
