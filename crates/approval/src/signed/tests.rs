//! Approvals by certificate and by passkey.

use rcgen::{CertificateParams, PublicKeyData, SignatureAlgorithm};

use super::*;
use crate::testing::{Authenticator, ORIGIN, Signature, authenticator_data, client_data};

/// A public key without its private one, for certificates over it.
struct Key(Vec<u8>);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        passkey::point(&self.0).unwrap()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// Returns a certificate over a public key, by an authority that is made for it.
fn certificate(key: Vec<u8>) -> CertificateDer<'static> {
    let authority = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::new(CertificateParams::default(), authority);
    CertificateParams::default().signed_by(&Key(key), &issuer).unwrap().der().clone()
}

/// Returns a statement about a plan that is valid for a minute.
fn statement(plan: &str) -> Statement {
    let time = |time| humantime::format_rfc3339_seconds(time).to_string();
    Statement {
        plan: plan.to_owned(),
        name: "friday".to_owned(),
        run: Some("friday-1".parse().unwrap()),
        given: time(SystemTime::now()),
        until: time(SystemTime::now() + Duration::from_secs(60)),
        requests: None,
        faults: Some("f".to_owned()),
        standing: None,
    }
}

/// Returns [`statement`] in JSON.
fn text(plan: &str) -> String {
    serde_json::to_string(&statement(plan)).unwrap()
}

/// Opens an approval. Each chain is trusted, but only for these means.
fn opens(signed: &Signed, for_means: Means) -> Result<Opened, String> {
    open(signed, &"friday-1".parse().unwrap(), SystemTime::now(), |_, means| {
        let person = Person { name: "bob".to_owned(), ..Person::default() };
        if means == for_means { Ok(person) } else { Err(format!("not for a {means}")) }
    })
}

/// Returns the approval of a plan with this answer of a passkey, and with a certificate over `key`.
fn sealed(key: &Authenticator, plan: &str, signature: &Signature) -> Signed {
    seal_by_passkey(text(plan), &[certificate(key.public_key())], signature.answer())
}

/// Returns an approval with a plain signature of a key, as that of a certificate's key.
fn sealed_by_key(key: &Authenticator, statement: &Statement) -> Signed {
    let by_key = |message: &[u8]| {
        let signature = key.0.sign(&ring::rand::SystemRandom::new(), message).unwrap();
        Ok(("ecdsa-p256-sha256", signature.as_ref().to_vec()))
    };
    seal(statement, &[certificate(key.public_key())], by_key).unwrap()
}

#[test]
fn an_approval_by_passkey_is_opened_like_one_by_certificate() {
    let key = Authenticator::new();
    let signed = sealed(&key, "p", &key.approve(&challenge(&text("p"))));
    let opened = opens(&signed, Means::Passkey).unwrap();
    assert_eq!((opened.means, opened.origin.as_deref()), (Means::Passkey, Some(ORIGIN)));
    assert_eq!((opened.statement.plan.as_str(), opened.by.name.as_str()), ("p", "bob"));
    // An approval is unchanged after it was written to a file and read.
    let file = serde_json::to_string(&signed).unwrap();
    assert_eq!(serde_json::from_str::<Signed>(&file).unwrap(), signed);
}

/// An approval as Chromium 156 and its virtual authenticator made it on a page of the control room, in a run of tests/pages/passkeys.mjs.
const CHROMIUM: &str = include_str!("chromium.json");

#[test]
fn an_approval_of_a_browser_and_its_authenticator_is_verified() {
    let signed: Signed = serde_json::from_str(CHROMIUM).unwrap();
    let run = "20261128-0112-passkeys-33c5".parse().unwrap();
    let at = |time| humantime::parse_rfc3339(time).unwrap();
    let opens = |signed: &Signed, now| {
        open(signed, &run, at(now), |_, _| Ok(Person { name: "ann".to_owned(), ..Person::default() }))
    };
    let opened = opens(&signed, "2026-11-28T02:00:00Z").unwrap();
    assert_eq!((opened.by.name.as_str(), opened.means), ("ann", Means::Passkey));
    assert_eq!(opened.origin.as_deref(), Some("http://localhost:44887"));
    assert_eq!(opened.serial, "73f09441c1f98efcc4c7cc0c33e3eeb5");
    assert!(opens(&signed, "2026-11-29T02:00:00Z").unwrap_err().contains("ann must approve again"));
    let statement = signed.statement.replace("ffc7c52e", "ffc7c52f");
    let changed = opens(&Signed { statement, ..signed }, "2026-11-28T02:00:00Z");
    assert!(changed.unwrap_err().contains("signed something else"));
}

#[test]
fn a_signature_of_a_passkey_counts_for_no_other_text_and_no_other_key() {
    let (key, other) = (Authenticator::new(), Authenticator::new());
    let signature = key.approve(&challenge(&text("p")));
    let refused = |signed: &Signed, why: &str| {
        let error = opens(signed, Means::Passkey).expect_err(why);
        assert!(error.contains("bob did not sign this text") && error.contains(why), "{error}");
    };
    refused(&sealed(&key, "q", &signature), "signed something else");
    refused(&sealed(&other, "p", &signature), "not the passkey's");
    let unverified = client_data("webauthn.get", &challenge(&text("p")), ORIGIN);
    refused(
        &sealed(&key, "p", &key.sign(authenticator_data("drills.example", passkey::PRESENT), unverified)),
        "did not verify its owner",
    );
    let good = sealed(&key, "p", &signature);
    refused(&Signed { signature: "!".to_owned(), ..good.clone() }, "its signature cannot be read");
    // There is nothing to add to "did not sign".
    refused(&Signed { assertion: None, ..good.clone() }, "");
    let odd = Assertion { client_data: "!".to_owned(), ..good.assertion.clone().unwrap() };
    refused(&Signed { assertion: Some(odd), ..good }, "its client data cannot be read");
}

#[test]
fn an_approval_by_one_means_does_not_count_for_the_other() {
    let key = Authenticator::new();
    let signed = sealed(&key, "p", &key.approve(&challenge(&text("p"))));
    assert_eq!(opens(&signed, Means::Certificate).unwrap_err(), "not for a passkey");
    // With the name of another scheme, the same signature is treated as that of a certificate's key.
    let renamed = Signed { scheme: "ecdsa-p256-sha256".to_owned(), ..signed };
    assert_eq!(opens(&renamed, Means::Passkey).unwrap_err(), "not for a certificate");
    assert!(opens(&renamed, Means::Certificate).unwrap_err().contains("did not sign"));
    // A signature of the passkey's key without a browser's data is not one by passkey.
    let plain = sealed_by_key(&key, &statement("p"));
    assert_eq!(opens(&plain, Means::Certificate).unwrap().means, Means::Certificate);
    let renamed = Signed { scheme: BY_PASSKEY.to_owned(), ..plain };
    assert!(opens(&renamed, Means::Passkey).unwrap_err().contains("did not sign"));
}

#[test]
fn an_approval_by_passkey_is_for_one_run_and_at_most_a_day() {
    let key = Authenticator::new();
    let opens = |statement: &Statement| {
        let text = serde_json::to_string(statement).unwrap();
        let signature = key.approve(&challenge(&text));
        let signed = seal_by_passkey(text, &[certificate(key.public_key())], signature.answer());
        opens(&signed, Means::Passkey)
    };
    let asked = statement("p");
    assert!(opens(&asked).is_ok());
    let later =
        humantime::format_rfc3339_seconds(SystemTime::now() + BY_PASSKEY_MOST + Duration::from_secs(60));
    for more in [
        Statement { run: None, ..asked.clone() },
        Statement { until: later.to_string(), ..asked.clone() },
        Statement { standing: Some(standing()), ..asked },
    ] {
        assert!(opens(&more).unwrap_err().contains("which no page of a control room asks for"), "{more:?}");
    }
}

/// Returns bounds that cover all hosts and kinds.
fn standing() -> Standing {
    Standing {
        gameday: "friday".to_owned(),
        digest: "d".to_owned(),
        environments: Vec::new(),
        hosts: vec!["*".to_owned()],
        kinds: vec!["*".to_owned()],
        longest: firedrill_wire::Span::secs(60),
    }
}

#[test]
fn a_standing_approval_ends_within_30_days_and_has_few_patterns() {
    let key = Authenticator::new();
    let opens = |days: u64, standing: Standing| {
        let until = SystemTime::now() + Duration::from_secs(days * 86_400);
        let statement = Statement {
            run: None,
            until: humantime::format_rfc3339_seconds(until).to_string(),
            standing: Some(standing),
            ..statement("")
        };
        let signed = sealed_by_key(&key, &statement);
        opens(&signed, Means::Certificate)
    };
    assert!(opens(29, standing()).is_ok());
    assert!(opens(31, standing()).unwrap_err().contains("30 days at most"));
    let many = Standing { kinds: vec!["*".to_owned(); 65], ..standing() };
    assert!(opens(1, many).unwrap_err().contains("at most 64 patterns"));
}
