//! Approvals by passkey, as the coordinator verifies them.

use firedrill_approval::{
    challenge, seal_by_passkey,
    testing::{Authenticator, ORIGIN, authenticator_data, client_data},
};
use rustls_pki_types::CertificateDer;

use super::*;
use crate::pki::PasskeyAsk;

/// A plan of a fleet that names the authenticator's page.
fn with_page() -> Plan {
    Plan { origins: vec![ORIGIN.to_owned()], ..plan() }
}

/// Bob's passkey, and the certificate over it.
fn enrolled(house: &House, environments: &[&str]) -> (Authenticator, Vec<CertificateDer<'static>>) {
    let key = Authenticator::new();
    let ask = PasskeyAsk {
        name: "bob".to_owned(),
        environments: environments.iter().map(|one| (*one).to_owned()).collect(),
        public_key: key.public_key(),
        valid: Validity::days(9),
    };
    let pem = std::fs::read(house.pki.enrol(&ask).expect("enrolled")).expect("reads");
    (key, firedrill_certs::certificates(&pem).expect("certificates"))
}

/// Returns the approver and the means, or the reason why the approval does not count for that plan.
fn counts(house: &House, signed: &Signed, plan: &Plan) -> Result<(String, Means), String> {
    let path = house.file(&serde_json::to_string(signed).expect("prints"));
    let counted = of_plan(&path, &house.identity("alice"), plan);
    counted.map(|approval| (approval.by, approval.means)).map_err(|error| error.to_string())
}

fn text_of(plan: &Plan) -> String {
    let statement = statement(plan, Some(&run_id("friday-1")), Duration::from_secs(60));
    serde_json::to_string(&statement.expect("a statement")).expect("prints")
}

#[test]
fn an_approval_by_an_enrolled_passkey_counts_until_it_is_revoked() {
    let house = House::new();
    let (key, chain) = enrolled(&house, &[]);
    let by_key = |text: String| {
        let signature = key.approve(&challenge(&text));
        seal_by_passkey(text, &chain, signature.answer())
    };
    let signed = by_key(text_of(&with_page()));
    let bob = || ("bob".to_owned(), Means::Passkey);
    assert_eq!(counts(&house, &signed, &with_page()), Ok(bob()));
    let refused = |signed: &Signed, plan: &Plan, why: &str| {
        let told = counts(&house, signed, plan).expect_err(why);
        assert!(told.contains(why), "no `{why}` in {told}");
    };
    // Another plan, also under the old signature.
    refused(&signed, &Plan { seed: 8, ..with_page() }, "approved another plan");
    let other = text_of(&Plan { seed: 8, ..with_page() });
    refused(&Signed { statement: other, ..signed.clone() }, &with_page(), "signed something else");
    // Another page.
    refused(&by_key(text_of(&plan())), &plan(), "the fleet names none");
    let elsewhere = Plan { origins: vec!["https://other.example".to_owned()], ..plan() };
    refused(&by_key(text_of(&elsewhere)), &elsewhere, "the fleet names https://other.example");
    // The owner was not verified.
    let text = text_of(&with_page());
    let client = client_data("webauthn.get", &challenge(&text), ORIGIN);
    let unverified = key.sign(authenticator_data("drills.example", 1), client);
    refused(&seal_by_passkey(text, &chain, unverified.answer()), &with_page(), "did not verify its owner");
    house.pki.revoke(Kind::Passkey, "alice", 9).expect_err("alice has none");
    house.pki.revoke(Kind::Passkey, "bob", 9).expect("revoked");
    refused(&signed, &with_page(), "was revoked");
    assert_eq!(house.says(&house.signed(&house.identity("bob"), &plan(), None, 60)).as_deref(), Ok("bob"));
}

#[test]
fn a_certificate_is_valid_only_for_its_own_means() {
    let house = House::new();
    let (key, chain) = enrolled(&house, &[]);
    let text = text_of(&with_page());
    let signature = key.approve(&challenge(&text));
    // A signature by a passkey, with the certificate of bob's client key.
    let bob = house.identity("bob").signer.chain;
    let signed = seal_by_passkey(text.clone(), &bob, signature.answer());
    let told = counts(&house, &signed, &with_page()).expect_err("a client's certificate");
    assert!(told.contains("not for approvals by passkey"), "{told}");
    // The certificate over the passkey, declared as the plain scheme that `firedrill approve` uses.
    let signed = seal_by_passkey(text.clone(), &chain, signature.answer());
    let plain = Signed { scheme: "ecdsa-p256-sha256".to_owned(), assertion: None, ..signed };
    let told = counts(&house, &plain, &with_page()).expect_err("a passkey's certificate");
    assert!(told.contains("is not trusted"), "{told}");
    // A passkey that another authority enrolled.
    let other = House::new();
    let (key, chain) = enrolled(&other, &[]);
    let signature = key.approve(&challenge(&text));
    let signed = seal_by_passkey(text, &chain, signature.answer());
    let told = counts(&house, &signed, &with_page()).expect_err("another authority's");
    assert!(told.contains("no authority that is trusted here"), "{told}");
}

#[test]
fn a_passkey_is_limited_to_its_environments_and_is_revoked_with_its_owner() {
    let house = House::new();
    let (key, chain) = enrolled(&house, &["elsewhere"]);
    let text = text_of(&with_page());
    let signed = seal_by_passkey(text.clone(), &chain, key.approve(&challenge(&text)).answer());
    let told = counts(&house, &signed, &with_page()).expect_err("another environment");
    assert!(told.contains("bob cannot approve this plan"), "{told}");
    // A second passkey does not replace the first, and both are revoked with their owner.
    enrolled(&house, &[]);
    let passkeys = || {
        let issued = house.pki.list().expect("listed").into_iter();
        issued.filter(|entry| entry.kind == Kind::Passkey).collect::<Vec<_>>()
    };
    assert!(passkeys().len() == 2 && passkeys().iter().all(|key| !key.replaced && key.revoked.is_none()));
    assert_eq!(house.pki.revoke(Kind::Person, "bob", 9).expect("revoked"), 3);
    assert!(passkeys().iter().all(|key| key.revoked.is_some()));
}
