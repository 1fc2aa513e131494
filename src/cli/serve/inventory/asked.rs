//! Asks the hosts of fleets for their status and for `doctor`, and keeps their last answers. Changes nothing on a host.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use firedrill_room::{Asked, Finding, Known};
use firedrill_wire::{
    api::{AgentStatus, Doctor, Finding as Found, Grade},
    journal::State,
    text::{TEXT_MOST, clean, cleaned},
};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::{
    sync::Mutex as Turn,
    time::{Instant, timeout_at},
};

use crate::{
    cli::status::{drill, injection},
    link::{Agent, Identity, LinkError, hosts_at_once},
    plan::model::{Host, Reach},
};

/// Time after which hosts that have not answered count as unknown. A call to one host ends earlier by itself. Behind a bastion, though, many
/// hosts wait for their turn.
const LONGEST: Duration = Duration::from_secs(120);
/// Held while the hosts of a fleet are asked, so that one fleet is asked at a time: all share this process's limit of open files.
static TURN: Turn<()> = Turn::const_new(());
/// Maximum length of a finding, in characters.
const FINDING_MOST: usize = 300;
/// The name of the finding of `doctor` about the agent's own certificate.
const CERTIFICATE: &str = "certificate";

/// The answers of a host: its status, and its `doctor`, which is asked only after the status.
type Answer = Result<(AgentStatus, Result<Doctor, LinkError>), LinkError>;

/// A host as the key of its answers: its name, and how its agent is reached. At another address another machine may answer.
type HostKey = (String, Reach);

/// The last answers of the hosts of a fleet.
#[derive(Debug, Default)]
struct Answers {
    last: Option<Asked>,
    hosts: HashMap<HostKey, Known>,
}

/// The last answers of hosts, by the file of their fleet.
#[derive(Clone, Debug, Default)]
pub(super) struct AllAsked(Arc<Mutex<HashMap<PathBuf, Answers>>>);

/// Returns the key of a host's answers.
fn key(host: &Host) -> HostKey {
    (host.name.clone(), host.agent.clone())
}

/// Returns the current time, in seconds since 1970.
fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl AllAsked {
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Answers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a summary of the last time that the hosts of a fleet were asked; `None` if they never were.
    pub(super) fn last(&self, fleet: &Path) -> Option<Asked> {
        self.lock().get(fleet)?.last.clone()
    }

    /// Returns the last answer of each of these hosts, in their order; `None` for a host that was never asked.
    pub(super) fn known(&self, fleet: &Path, hosts: &[Host]) -> Vec<Option<Known>> {
        let fleets = self.lock();
        let answers = fleets.get(fleet);
        hosts.iter().map(|host| answers?.hosts.get(&key(host)).cloned()).collect()
    }

    /// Notes that the hosts of a fleet are being asked, for the person `by`, and forgets hosts that the fleet no longer has. Returns `false`,
    /// and changes nothing, if they are being asked already.
    fn begin(&self, fleet: &Path, hosts: &[Host], by: &str) -> bool {
        let mut fleets = self.lock();
        let answers = fleets.entry(fleet.to_owned()).or_default();
        if answers.last.as_ref().is_some_and(|last| last.goes_on) {
            return false;
        }
        let (at_s, of) = (now_s(), hosts.len());
        answers.last = Some(Asked { at_s, by: by.to_owned(), goes_on: true, of, ..Asked::default() });
        let hosts: HashSet<HostKey> = hosts.iter().map(key).collect();
        answers.hosts.retain(|host, _| hosts.contains(host));
        true
    }

    /// Keeps the answer of a host, or the reason why it gave none, and counts it.
    fn keep(&self, fleet: &Path, host: HostKey, answer: Result<Known, String>) {
        let mut fleets = self.lock();
        let Some(answers) = fleets.get_mut(fleet) else { return };
        let Some(last) = &mut answers.last else { return };
        let seen_s = answers.hosts.get(&host).and_then(|known| known.seen_s);
        let at_s = now_s();
        let known = match answer {
            Ok(known) => {
                last.answered += 1;
                last.in_force += usize::from(!known.in_force.is_empty());
                let is_wrong = |finding: &Finding| finding.grade == "bad";
                let wrong = known.findings.iter().chain(&known.certificate).any(is_wrong);
                last.wrong += usize::from(wrong || known.stuck);
                Known { at_s, seen_s: Some(at_s), ..known }
            }
            Err(why) => {
                last.unknown += 1;
                Known { at_s, seen_s, unknown: Some(cleaned(why, TEXT_MOST)), ..Known::default() }
            }
        };
        answers.hosts.insert(host, known);
    }

    /// Notes that the hosts of a fleet are no longer being asked.
    fn end(&self, fleet: &Path) {
        if let Some(last) = self.lock().get_mut(fleet).and_then(|answers| answers.last.as_mut()) {
            last.goes_on = false;
        }
    }

    /// Starts to ask the hosts of a fleet: one fleet at a time, and as many of its hosts at once as the limit of open files allows. Does not
    /// wait. Returns the task, which ends when all hosts have answered or are given up; `None` if they are being asked already.
    pub(super) fn ask(
        &self,
        fleet: &Path,
        hosts: Vec<Host>,
        identity: Arc<Identity>,
        by: &str,
    ) -> Option<tokio::task::JoinHandle<()>> {
        if !self.begin(fleet, &hosts, by) {
            return None;
        }
        let asking = Asking(self.clone(), fleet.to_owned());
        let at_once = hosts_at_once(&hosts, 1);
        Some(tokio::spawn(async move {
            let _turn = TURN.lock().await;
            let end = Instant::now() + LONGEST;
            let calls = hosts.into_iter().map(|host| {
                let agent = Agent::new(&host, Arc::clone(&identity));
                async move { (key(&host), in_time(&agent, end).await) }
            });
            let mut answers = std::pin::pin!(stream::iter(calls).buffer_unordered(at_once));
            while let Some((host, answer)) = answers.next().await {
                asking.0.keep(&asking.1, host, answer);
            }
        }))
    }
}

/// The asking of a fleet that [`AllAsked::begin`] has noted. Notes the end when it is dropped, however the task ends.
struct Asking(AllAsked, PathBuf);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.end(&self.1);
    }
}

/// Returns the answers of a host, or the reason why there are none.
async fn in_time(agent: &Agent, end: Instant) -> Result<Known, String> {
    match timeout_at(end, answer(agent)).await {
        Ok(answer) => answer.map(known).map_err(|error| error.to_string()),
        Err(_late) => Err(format!("it has not answered within {} s", LONGEST.as_secs())),
    }
}

/// Asks a host for its status, and then for its `doctor`.
async fn answer(agent: &Agent) -> Answer {
    let status = agent.status().await?;
    Ok((status, agent.doctor().await))
}

/// Turns the answers of a host into texts for a page. Texts from the host are shortened and cleaned, because hosts are not trusted.
fn known((status, doctor): (AgentStatus, Result<Doctor, LinkError>)) -> Known {
    let short = |text: &str| clean(text, FINDING_MOST).into_owned();
    let in_force = status.open.iter().map(|open| {
        let (fault, left) = injection(open, &status.clock);
        short(&format!("{fault}, until {}: {}", moment(left), drill(open)))
    });
    let (findings, undiagnosed) = match doctor {
        Ok(doctor) => (doctor.findings, None),
        Err(error) => (Vec::new(), Some(short(&error.to_string()))),
    };
    let (certificate, others): (Vec<Found>, Vec<Found>) =
        findings.into_iter().partition(|finding| finding.what == CERTIFICATE);
    let is_good = |finding: &Found| matches!(finding.grade, Grade::Good | Grade::Note);
    let good = others.iter().filter(|finding| is_good(finding)).count();
    let mut wrong: Vec<&Found> = others.iter().filter(|finding| !is_good(finding)).collect();
    // Bad ones first: `false` sorts before `true`.
    wrong.sort_by_key(|finding| finding.grade != Grade::Bad);
    let shown = |finding: &&Found| Finding {
        grade: word(finding.grade),
        text: short(&format!("{}: {}{}", finding.what, finding.detail, hint(&finding.hint))),
    };
    Known {
        version: short(&status.version),
        in_force: in_force.collect(),
        stuck: status.open.iter().any(|open| open.state == State::Stuck),
        halted_by: status.halted_by.as_deref().map(short),
        certificate: certificate.first().map(|finding| Finding {
            grade: word(finding.grade),
            text: short(&format!("{}{}", finding.detail, hint(&finding.hint))),
        }),
        findings: wrong.iter().take(Known::MOST).map(shown).collect(),
        more: wrong.len().saturating_sub(Known::MOST),
        good,
        undiagnosed,
        ..Known::default()
    }
}

/// Formats the time that is `left_s` seconds from now. A page shows a time and not the seconds left, because it may be read much later.
fn moment(left_s: u64) -> String {
    let at = i64::try_from(left_s).ok().and_then(|left_s| now_s().checked_add(left_s));
    let at = at.and_then(|at| Timestamp::from_second(at).ok());
    at.map_or_else(|| "an unknown time".to_owned(), |at| at.strftime("%F %T UTC").to_string())
}

/// Formats a hint to follow a finding; empty if there is none.
fn hint(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" → {hint}") }
}

/// Returns a grade as pages and the API write it.
const fn word(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "good",
        Grade::Note => "note",
        Grade::Missing => "missing",
        Grade::Bad => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(agent: &str) -> Host {
        Host {
            name: "app-1".to_owned(),
            addresses: Vec::new(),
            labels: std::collections::BTreeMap::new(),
            roles: Vec::new(),
            tags: Vec::new(),
            agent: Reach::Tcp(agent.to_owned()),
            via: None,
        }
    }

    #[test]
    fn a_host_at_another_address_does_not_get_the_answer_of_the_former_address() {
        let (all, fleet) = (AllAsked::default(), Path::new("fleet.toml"));
        let (old, new) = ([host("10.9.0.1:7790")], [host("10.9.0.2:7790")]);
        assert!(all.begin(fleet, &old, "alice"));
        all.keep(fleet, key(&old[0]), Ok(Known::default()));
        all.end(fleet);
        assert!(matches!(all.known(fleet, &old)[..], [Some(_)]));
        assert_eq!(all.known(fleet, &new), [None]);
        // When the fleet is asked again, the host at the former address is forgotten.
        assert!(all.begin(fleet, &new, "alice"));
        all.keep(fleet, key(&new[0]), Err("it is silent".to_owned()));
        let known = all.known(fleet, &new).remove(0).unwrap();
        assert!(known.unknown.is_some() && known.seen_s.is_none(), "{known:?}");
        assert_eq!(all.known(fleet, &old), [None]);
    }
}
