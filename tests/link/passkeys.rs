//! Approvals by passkey, as agents verify them.

use firedrill::pki::{Kind, Validity, crl_file};
use firedrill_approval::testing::{Authenticator, ORIGIN};
use firedrill_wire::{
    api::{Prepare, Signed},
    identity::Role,
};

use super::house::{House, Recorder, Served, past, prepare, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_by_passkey_counts_only_while_the_passkey_is_enrolled() {
    let (house, other) = (House::new(), House::new());
    let olga = house.person("olga", Role::Operator);
    house.person("bob", Role::Viewer);
    let key = Authenticator::new();
    let bobs = house.enrol("bob", &key, Validity::days(9));
    let eves = house.enrol("eve", &key, past());
    let mallorys = house.enrol("mallory", &key, Validity::days(9));
    let carols = other.enrol("carol", &key, Validity::days(9));
    house.pki.revoke(Kind::Passkey, "mallory", 10).unwrap();
    let tls = house.tls(Some(&crl_file(house.dir.path())));
    let served = Served::new(tls, Recorder::new()).await;
    let olga = served.agent(&olga);
    let mut approvals: Vec<_> =
        [&bobs, &eves, &mallorys].map(|file| house.approval_by_passkey(&key, file)).into();
    approvals.push(other.approval_by_passkey(&key, &carols));
    // A key that is not enrolled, with bob's certificate as a person; and a passkey's certificate with another scheme.
    approvals.push(house.approval_by_passkey(&key, "people/bob.pem"));
    let first = approvals[0].clone();
    approvals.push(Signed { scheme: "ecdsa-p256-sha256".to_owned(), ..first.clone() });
    approvals.push(Signed { certificates: Vec::new(), ..first.clone() });
    approvals.push(Signed { statement: first.statement.replace("friday", "monday"), ..first });
    let results = || async {
        olga.prepare(&run(), &Prepare { approvals: approvals.clone(), ..prepare() }).await.unwrap();
        let calls = served.control.taken();
        let results = calls.iter().filter_map(|call| call.strip_prefix("approval: ").map(str::to_owned));
        results.collect::<Vec<_>>()
    };
    let distrusted = "an approver's certificate is not trusted:";
    let found = results().await;
    let expected = [
        format!("bob by passkey on {ORIGIN}"),
        "an approver's certificate is out of date".to_owned(),
        format!("{distrusted} it was revoked"),
        format!("{distrusted} no authority that is trusted here has signed it"),
        format!("{distrusted} it is not for approvals by passkey; `firedrill pki enrol` makes one that is"),
    ];
    assert_eq!(found[..5], expected);
    // A certificate over a passkey is refused as that of a client, also in an approval with a client's scheme.
    let client = "does not allow extended key usage for client authentication";
    assert!(found[5].starts_with(distrusted) && found[5].contains(client), "{}", found[5]);
    assert!(found[6].contains("it has no certificate"), "{}", found[6]);
    assert_eq!(found[7], "bob did not sign this text: the passkey signed something else");
    house.pki.revoke(Kind::Person, "bob", 10).unwrap();
    assert_eq!(results().await[0], format!("{distrusted} it was revoked"));
}
