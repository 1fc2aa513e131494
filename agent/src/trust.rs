//! Findings for `doctor`: the host's certificate, its authorities, its revocation list and its policy, with their
//! dates.
//!
//! Reads the files as they are now. Never decides whether a peer is trusted: the server does.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use firedrill_certs::is_issued_by;
use firedrill_wire::{
    api::{Finding, Grade},
    x509::{CertificateFacts, ListFacts, certificate, distance, revocation_list},
};
use rustls_pki_types::CertificateDer;

use crate::{
    config::Config,
    serve::{CRL_FILE, Tls},
};

/// Certificates and lists that end within this time get a note.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Reports certificate, authority, revocation list and policy of a host.
#[must_use]
pub fn findings(config: &Config) -> Vec<Finding> {
    let now = SystemTime::now();
    let authorities = read(&config.ca, certificates);
    let mut findings = vec![own(config, authorities.as_deref().unwrap_or_default(), now)];
    findings.push(authority(&config.ca, &authorities, now));
    findings.push(list(config, now));
    // Each file is usable by itself. They may still not fit together.
    let usable = findings.iter().all(|finding| matches!(finding.grade, Grade::Good | Grade::Note));
    if usable && let Err(error) = Tls::load(&config.cert, &config.key, &config.ca, config.crl.as_deref()) {
        let why = error.chain();
        findings.push(finding(
            "link",
            Grade::Bad,
            why,
            "the agent serves nobody with these files".to_owned(),
        ));
    }
    findings.push(policy(config, now));
    findings
}

fn finding(what: &str, grade: Grade, detail: String, hint: String) -> Finding {
    Finding { what: what.to_owned(), grade, detail, hint }
}

/// The objects in a file, or the grade and the reason of a file that cannot be used.
type Read<T> = Result<Vec<T>, (Grade, String)>;

/// Reads all objects of a kind from a file. A file that does not exist is graded missing, any other unusable file bad.
fn read<T>(path: &Path, parse: fn(&[u8]) -> Option<Vec<T>>) -> Read<T> {
    let bytes = fs::read(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        (
            if missing { Grade::Missing } else { Grade::Bad },
            format!("cannot read {}: {error}", path.display()),
        )
    })?;
    match parse(&bytes) {
        Some(found) if !found.is_empty() => Ok(found),
        _ => Err((Grade::Bad, format!("{} cannot be read as PEM of the right kind", path.display()))),
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<(CertificateDer<'static>, CertificateFacts)>> {
    firedrill_certs::certificates(pem)
        .ok()?
        .into_iter()
        .map(|der| certificate(&der).map(|facts| (der, facts)))
        .collect()
}

fn lists(pem: &[u8]) -> Option<Vec<ListFacts>> {
    firedrill_certs::revocation_lists(pem).ok()?.iter().map(|der| revocation_list(der)).collect()
}

/// Grades a period of validity at the time `now` and describes it: `valid since … (3 days ago), good until … (in 87 days)`.
fn times(from: SystemTime, until: Option<SystemTime>, now: SystemTime) -> (Grade, String) {
    let made = format!("valid since {} ({})", humantime::format_rfc3339_seconds(from), distance(from, now));
    match until {
        _ if from > now => (Grade::Bad, format!("not valid yet, but {}", distance(from, now))),
        Some(until) => {
            let date = humantime::format_rfc3339_seconds(until);
            let grade = match until.duration_since(now) {
                Err(_) => return (Grade::Bad, format!("{made}, EXPIRED {} ({date})", distance(until, now))),
                Ok(left) if left < SOON => Grade::Note,
                Ok(_) => Grade::Good,
            };
            (grade, format!("{made}, good until {date} ({})", distance(until, now)))
        }
        None => (Grade::Good, format!("{made}, good without end")),
    }
}

/// Returns the advice if something has to be done, otherwise an empty text.
fn hint(grade: Grade, advice: &str) -> String {
    if grade == Grade::Good { String::new() } else { advice.to_owned() }
}

/// Returns the finding on the host's certificate.
fn own(
    config: &Config,
    authorities: &[(CertificateDer<'static>, CertificateFacts)],
    now: SystemTime,
) -> Finding {
    const RENEW: &str = "`firedrill pki issue host NAME --renew` makes a new one; copy it and its key here";
    let what = "certificate";
    let found = match read(&config.cert, certificates) {
        Ok(found) => found,
        Err((grade, why)) => {
            return finding(
                what,
                grade,
                format!("{why}; no coordinator can reach this host"),
                RENEW.to_owned(),
            );
        }
    };
    let Some((leaf, facts)) = found.first() else {
        return finding(what, Grade::Bad, "there is none".to_owned(), RENEW.to_owned());
    };
    let (mut grade, when) = times(facts.from, Some(facts.until), now);
    let mut detail =
        format!("{}: {}, serial {}, {when}", config.cert.display(), facts.common_name, facts.serial);
    let intermediates: Vec<_> = found.iter().skip(1).map(|(der, _)| der.clone()).collect();
    if grade != Grade::Bad
        && !authorities.is_empty()
        && !is_issued_by(leaf, &intermediates, authorities.iter().map(|(der, _)| der))
    {
        grade = Grade::Bad;
        detail = format!("{detail}; {} has not signed it, so nothing accepts it", config.ca.display());
    }
    finding(what, grade, detail, hint(grade, RENEW))
}

/// Returns the finding on the authorities.
fn authority(
    path: &Path,
    found: &Read<(CertificateDer<'static>, CertificateFacts)>,
    now: SystemTime,
) -> Finding {
    const ADVICE: &str = "copy the authority's ca.pem here; `firedrill pki init` makes one";
    let what = "authority";
    match found {
        Err((grade, why)) => {
            finding(what, *grade, format!("{why}; nobody can be trusted without it"), ADVICE.to_owned())
        }
        Ok(found) => {
            let each: Vec<_> = found
                .iter()
                .map(|(_, facts)| {
                    let (grade, when) = times(facts.from, Some(facts.until), now);
                    (grade, format!("{}, {when}", facts.common_name))
                })
                .collect();
            let grade = worst(each.iter().map(|(grade, _)| *grade));
            let texts: Vec<_> = each.into_iter().map(|(_, text)| text).collect();
            let detail = format!("{}: {}", path.display(), texts.join("; "));
            finding(what, grade, detail, hint(grade, ADVICE))
        }
    }
}

/// Returns the finding on the revocation lists.
fn list(config: &Config, now: SystemTime) -> Finding {
    const FRESH: &str = "`firedrill pki crl` writes a fresh one; copy crl.pem here";
    let what = "revocation list";
    let path: PathBuf = config.crl.clone().unwrap_or_else(|| config.ca.with_file_name(CRL_FILE));
    match read(&path, lists) {
        Err((Grade::Missing, _)) if config.crl.is_none() => {
            let detail = format!("{}: not there, so nobody is revoked", path.display());
            finding(what, Grade::Good, detail, String::new())
        }
        Err((_, why)) => {
            finding(what, Grade::Bad, format!("{why}; who was revoked cannot be told"), FRESH.to_owned())
        }
        Ok(found) => {
            let each: Vec<_> = found
                .iter()
                .map(|list| {
                    let (grade, when) = times(list.from, list.until, now);
                    (grade, format!("{} revoked, {when}", list.revoked))
                })
                .collect();
            let grade = worst(each.iter().map(|(grade, _)| *grade));
            let texts: Vec<_> = each.into_iter().map(|(_, text)| text).collect();
            let mut detail = format!("{}: {}", path.display(), texts.join("; "));
            if grade == Grade::Bad {
                detail = format!("{detail}; every fault is refused until there is a fresh one");
            }
            finding(what, grade, detail, hint(grade, FRESH))
        }
    }
}

/// Returns the finding on the policy.
fn policy(config: &Config, now: SystemTime) -> Finding {
    let policy = &config.policy;
    let age = fs::metadata(&config.file).and_then(|data| data.modified());
    let file = config.file.display();
    let from = match age {
        Ok(when) => format!("{file}, changed {}", distance(when, now)),
        Err(_) => "built in".to_owned(),
    };
    let approval = policy.approval.as_ref().map_or_else(String::new, |approval| {
        let kinds = match approval.kinds.as_slice() {
            [] => "every kind".to_owned(),
            kinds => kinds.join(", "),
        };
        let (people, by) = (approval.people, approval.means_in_words());
        format!(", {kinds} approved by {people} other than the one who runs it, by {by}")
    });
    let bounds = format!(
        "holds of at most {}, leases of at most {}, {} faults at a time{approval}",
        policy.max_hold, policy.max_lease, policy.max_faults
    );
    if policy.allow.is_empty() {
        let detail = format!(
            "{from}: every operator may run every kind that runs no program and changes no file; {bounds}"
        );
        return finding("policy", Grade::Note, detail, "policy.allow says who may do what".to_owned());
    }
    let rules = policy.allow.len();
    let plural = if rules == 1 { "" } else { "s" };
    finding("policy", Grade::Good, format!("{from}: {rules} rule{plural}; {bounds}"), String::new())
}

/// Returns the worst of the grades.
fn worst(grades: impl Iterator<Item = Grade>) -> Grade {
    grades.fold(Grade::Good, |worst, grade| match (worst, grade) {
        (Grade::Bad, _) | (_, Grade::Bad) => Grade::Bad,
        (Grade::Note, _) | (_, Grade::Note) => Grade::Note,
        _ => grade,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, ExtendedKeyUsagePurpose, IsCa,
        Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SanType, SerialNumber,
    };

    const DAY: Duration = Duration::from_secs(86_400);

    /// An authority that signs certificates and lists for tests.
    struct Authority {
        params: CertificateParams,
        key: KeyPair,
    }

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            Self { params, key: KeyPair::generate().unwrap() }
        }

        fn pem(&self) -> String {
            self.params.self_signed(&self.key).unwrap().pem()
        }

        fn issuer(&self) -> Issuer<'_, &KeyPair> {
            Issuer::from_params(&self.params, &self.key)
        }

        fn host(&self, days: i64, key: &KeyPair) -> String {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![SanType::URI("firedrill://host/app1".try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.not_before = (SystemTime::now() - 40 * DAY).into();
            params.not_after = in_days(days).into();
            params.signed_by(key, &self.issuer()).unwrap().pem()
        }

        fn list(&self, days: i64) -> String {
            let list = CertificateRevocationListParams {
                this_update: (SystemTime::now() - 40 * DAY).into(),
                next_update: in_days(days).into(),
                crl_number: SerialNumber::from(1_u64),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            list.signed_by(&self.issuer()).unwrap().pem().unwrap()
        }
    }

    fn in_days(days: i64) -> SystemTime {
        // Half a day more, so that the number of whole days does not change while the test runs.
        let distance = DAY * u32::try_from(days.abs()).unwrap();
        let half = SystemTime::now() + DAY / 2;
        if days < 0 { half - distance } else { half + distance }
    }

    /// Runs `doctor` on these files. Returns a function from the name of a finding to its grade and text.
    fn doctor_on(files: &[(&str, String)]) -> impl Fn(&str) -> (Grade, String) + use<> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let text = format!(
            "cert = \"{0}/agent.pem\"\nkey = \"{0}/agent.key\"\nca = \"{0}/ca.pem\"\n",
            dir.path().display()
        );
        let findings = findings(&Config::parse(&text, &dir.path().join("agent.toml")).unwrap());
        move |what| {
            let found = findings.iter().find(|finding| finding.what == what);
            found.map_or((Grade::Missing, "nothing".to_owned()), |finding| {
                (finding.grade, finding.detail.clone())
            })
        }
    }

    #[test]
    fn expired_and_expiring_files_are_reported_with_their_dates() {
        let (authority, key) = (Authority::new(), KeyPair::generate().unwrap());
        let with = |host: i64, list: i64| {
            doctor_on(&[
                ("ca.pem", authority.pem()),
                ("agent.pem", authority.host(host, &key)),
                ("agent.key", key.serialize_pem()),
                ("crl.pem", authority.list(list)),
            ])
        };
        let says = with(90, 60);
        for (what, wanted) in
            [("certificate", "(in 90 days)"), ("revocation list", "0 revoked"), ("authority", "ca.pem")]
        {
            let (grade, detail) = says(what);
            assert!(grade == Grade::Good && detail.contains(wanted), "{what}: {grade:?} {detail}");
        }
        assert_eq!((says("policy").0, says("link").1.as_str()), (Grade::Note, "nothing"));
        let says = with(7, 7);
        assert_eq!((says("certificate").0, says("revocation list").0), (Grade::Note, Grade::Note));
        let says = with(-3, -3);
        for what in ["certificate", "revocation list"] {
            let (grade, detail) = says(what);
            assert!(
                grade == Grade::Bad && detail.contains("EXPIRED 2 days ago"),
                "{what}: {grade:?} {detail}"
            );
        }
    }

    #[test]
    fn files_that_do_not_fit_together_are_reported() {
        let (right, other) = (Authority::new(), Authority::new());
        let (key, wrong) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let cert = right.host(90, &key);
        let files = |ca: String, key: &KeyPair, list: String| {
            doctor_on(&[
                ("ca.pem", ca),
                ("agent.pem", cert.clone()),
                ("agent.key", key.serialize_pem()),
                ("crl.pem", list),
            ])
        };
        let (grade, detail) = files(other.pem(), &key, other.list(60))("certificate");
        assert!(grade == Grade::Bad && detail.contains("has not signed it"), "{grade:?} {detail}");
        let (grade, detail) = files(right.pem(), &wrong, right.list(60))("link");
        assert!(grade == Grade::Bad && detail.contains("do not belong together"), "{grade:?} {detail}");
        let (grade, detail) = files(right.pem(), &key, "half a li".to_owned())("revocation list");
        assert!(grade == Grade::Bad && detail.contains("crl.pem"), "{grade:?} {detail}");
        let says = doctor_on(&[]);
        assert_eq!((says("certificate").0, says("authority").0), (Grade::Missing, Grade::Missing));
        assert_eq!(says("revocation list").0, Grade::Good);
    }
}
