//! Opens the approvals that come with a call of `prepare`: checks their signatures, and their certificates by the authorities and
//! revocation lists that this agent trusts at the moment. Never decides how many approvals are enough.

use std::time::SystemTime;

use firedrill_approval::{Opened, open};
use firedrill_certs::NotApprover;
use firedrill_wire::{
    RunId,
    api::{Means, Signed},
    identity::{Identity, Person},
    text::clean,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    app::App,
    verify::{Standing, Verifier, uris, why},
};

/// Maximum number of characters of the reason why an approval does not count.
const WHY_MOST: usize = 300;

/// Opens the approvals of a run. The error of one says why it does not count.
pub(super) fn opened(app: &App, run: &RunId, approvals: &[Signed]) -> Vec<Result<Opened, String>> {
    if approvals.is_empty() {
        return Vec::new();
    }
    // A new revocation list applies at once, not only when the watch has reported it.
    app.tls.look_again();
    let trust = &app.tls.loaded().trust;
    let now = SystemTime::now();
    let open = |signed| open(signed, run, now, |chain, means| trusted(&trust.verifier, chain, means));
    approvals.iter().map(|signed| open(signed).map_err(|why| clean(&why, WHY_MOST).into_owned())).collect()
}

const OUT_OF_DATE: &str = "an approver's certificate is out of date";
const UNREVISED: &str = "the host's revocation list is out of date, so no approval counts";

/// Returns the person to whom a chain belongs, if the chain is trusted for approvals by those means, in date, and known not to be revoked.
fn trusted(verifier: &Verifier, chain: &[CertificateDer<'_>], means: Means) -> Result<Person, String> {
    let distrusted = |why: String| Err(format!("an approver's certificate is not trusted: {why}"));
    let now = UnixTime::now();
    match means {
        Means::Certificate => match verifier.standing(chain, now) {
            Ok(Standing::Good) => {}
            Ok(Standing::OutOfDate) => return Err(OUT_OF_DATE.to_owned()),
            Ok(Standing::Unrevised) => return Err(UNREVISED.to_owned()),
            Err(error) => return distrusted(why(&error)),
        },
        Means::Passkey => match verifier.check_passkey(chain, now) {
            Ok(()) => {}
            Err(NotApprover::OutOfDate) => return Err(OUT_OF_DATE.to_owned()),
            Err(NotApprover::Unrevised) => return Err(UNREVISED.to_owned()),
            Err(error) => return distrusted(error.to_string()),
        },
    }
    let names = chain.first().map(uris).unwrap_or_default();
    match Identity::from_uris(names.iter().map(String::as_str)) {
        Ok(Identity::Person(person)) if person.flaws.is_empty() => Ok(person),
        Ok(Identity::Person(person)) => Err(person.flaws.join("; ")),
        Ok(Identity::Host(name)) => Err(format!("it is signed by host {name}")),
        Err(error) => Err(error.to_string()),
    }
}
