//! The identity of a connection's peer, and its rights. Never decides what the host's policy allows.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use axum::{extract::FromRequestParts, http::request::Parts};
use firedrill_wire::{
    RefusalCode,
    identity::{Identity, IdentityError, Person, Role},
    x509,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    app::App,
    problem::Refusal,
    verify::{Standing, Verifier, uris},
};
use crate::control::{Caller, Certificate};

/// The peer of a connection; its chain was verified at the handshake.
#[derive(Debug)]
pub(super) struct Peer {
    identity: Result<Identity, IdentityError>,
    certificate: Arc<Certificate>,
    /// The address of the peer.
    from: String,
    /// Whether it is no longer trusted: every further call is refused until its connection is closed.
    distrusted: AtomicBool,
}

impl Peer {
    pub(super) fn new(chain: &[CertificateDer<'_>], from: SocketAddr) -> Self {
        let names = chain.first().map(uris).unwrap_or_default();
        Self {
            identity: Identity::from_uris(names.iter().map(String::as_str)),
            certificate: Arc::new(Certificate {
                serial: chain
                    .first()
                    .and_then(|leaf| x509::certificate(leaf))
                    .map(|facts| facts.serial)
                    .unwrap_or_default(),
                chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            }),
            // An IPv6 socket reports IPv4-mapped addresses, which are converted to IPv4.
            from: SocketAddr::new(from.ip().to_canonical(), from.port()).to_string(),
            distrusted: AtomicBool::new(false),
        }
    }

    /// Returns whether the certificate is in date and not revoked, by the authorities and revocation lists that are trusted now.
    pub(super) fn standing(&self, verifier: &Verifier) -> Result<Standing, rustls::Error> {
        verifier.standing(&self.certificate.chain, UnixTime::now())
    }

    /// Refuses every further call from now on.
    pub(super) fn distrust(&self) {
        self.distrusted.store(true, SeqCst);
    }

    /// Returns the address of the peer.
    pub(super) fn from(&self) -> &str {
        &self.from
    }

    /// Returns the serial number of its certificate; empty if it has none.
    pub(super) fn serial(&self) -> &str {
        &self.certificate.serial
    }

    /// Returns the peer's name for logs, `nobody` if its certificate names none.
    pub(super) fn name(&self) -> &str {
        match &self.identity {
            Ok(Identity::Host(name)) => name,
            Ok(Identity::Person(person)) => &person.name,
            Err(_) => "nobody",
        }
    }

    fn caller(&self, person: &Person, may_harm: bool) -> Caller {
        Caller {
            name: person.name.clone(),
            team: person.team.clone(),
            environments: person.environments.clone(),
            may_harm,
            certificate: Some(Arc::clone(&self.certificate)),
        }
    }

    /// Returns the person whose certificate it is, and refuses a host or a peer that is not trusted any more.
    fn person(&self) -> Result<&Person, Refusal> {
        if self.distrusted.load(SeqCst) {
            let title = format!("the certificate of {} is not trusted any more", self.name());
            return Err(forbidden(title, "use another certificate"));
        }
        match &self.identity {
            Ok(Identity::Person(person)) => Ok(person),
            Ok(Identity::Host(name)) => Err(forbidden(
                format!("the certificate is that of host {name}, which may not act as a person"),
                "use a person's certificate",
            )),
            Err(error) => Err(forbidden(error.to_string(), "use a person's certificate")),
        }
    }
}

fn forbidden(title: String, hint: &str) -> Refusal {
    Refusal::new(RefusalCode::NotAllowed, title, hint)
}

/// The caller may look: any person with a certificate of the authority. This check is cheap, because measurements of clocks need it.
pub(super) struct Look;

/// The caller may undo: any person with a certificate of the authority. The journal records the caller.
pub(super) struct Heal(pub(super) Caller);

/// The caller may harm: an operator whose certificate is in date, fully understood, and known not to be revoked.
pub(super) struct Harm(pub(super) Caller);

impl FromRequestParts<Arc<App>> for Look {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Refusal> {
        peer(parts)?.person().map(|_| Self)
    }
}

impl FromRequestParts<Arc<App>> for Heal {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let peer = peer(parts)?;
        let person = peer.person()?;
        Ok(Self(peer.caller(person, hindrance(peer, person, app).is_none())))
    }
}

impl FromRequestParts<Arc<App>> for Harm {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let peer = peer(parts)?;
        let person = peer.person()?;
        match hindrance(peer, person, app) {
            None => Ok(Self(peer.caller(person, true))),
            Some((why, hint)) => {
                let title = format!("{} {}: {} may not, {why}", parts.method, parts.uri.path(), person.name);
                Err(forbidden(title, hint))
            }
        }
    }
}

/// Returns the peer of a request, which the connection has set.
fn peer(parts: &Parts) -> Result<&Arc<Peer>, Refusal> {
    parts.extensions.get::<Arc<Peer>>().ok_or_else(|| forbidden("nobody is known to ask".to_owned(), ""))
}

/// Returns the reason why this person may not harm now, and the remedy.
fn hindrance(peer: &Peer, person: &Person, app: &App) -> Option<(String, &'static str)> {
    const RENEW: &str = "issue a new certificate; status and undo work with the old one";
    if person.role != Role::Operator {
        let why = "a viewer may look and heal, not harm".to_owned();
        return Some((why, "ask for a certificate with the role operator"));
    }
    if !person.flaws.is_empty() {
        let why = format!("the certificate has names that are not understood ({})", person.flaws.join("; "));
        return Some((why, RENEW));
    }
    // A new revocation list applies at once, not only when the watch has reported it.
    app.tls.look_again();
    match peer.standing(&app.tls.loaded().trust.verifier) {
        Ok(Standing::Good) => None,
        Ok(Standing::OutOfDate) => Some((
            "the certificate has expired or is not valid yet".to_owned(),
            "issue a new certificate, or set the host's clock; status and undo work meanwhile",
        )),
        Ok(Standing::Unrevised) => Some((
            "the revocation list is out of date or does not cover the certificate".to_owned(),
            "put a fresh list on the host (`firedrill pki crl`); status and undo work meanwhile",
        )),
        Err(error) => Some((format!("the certificate is no longer trusted ({error})"), RENEW)),
    }
}
