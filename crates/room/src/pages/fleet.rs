//! `/fleets/ID`: the hosts of a fleet, and their last answers. `POST /fleets/ID/ask` asks the hosts; the page itself contacts no host.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    response::Response,
};
use firedrill_history::{address, minute};
use firedrill_wire::text::clean;
use http::StatusCode;
use minijinja::context;
use serde::{Deserialize, Serialize};

use super::paging::Paging;
use crate::{
    app::App,
    clock::now_s,
    inventory::{HostRow, Known},
    role::Role,
    template::value,
    web::{
        answer::{Answer, page, see},
        who::{Who, blocking, slow},
    },
};

/// Number of hosts on a page.
const ROWS: usize = 100;
/// Maximum number of hosts without an answer that the top of the page names.
const NAMED: usize = 20;

/// The part of the address behind `?`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
    /// The word `ask` if the page is shown after hosts were asked.
    #[serde(default)]
    done: String,
}

/// A host, as the page shows it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    host: &'a HostRow,
    /// The host's state in a word.
    word: &'static str,
    /// The CSS class of the word's colours.
    colours: &'static str,
    /// The time since the last answer, in words; empty if the host has never answered.
    seen: String,
    /// The time since the host was last asked, in words; empty if it was never asked.
    asked: String,
}

/// Returns the state of a host in a word, and the class of its colours. A host that did not answer is never more
/// than `unknown`, whatever it answered before.
fn word(known: Option<&Known>) -> (&'static str, &'static str) {
    match known {
        None => ("not asked", "notrun"),
        Some(Known { unknown: Some(_), .. }) => ("unknown", "unknown"),
        Some(known) if known.stuck => ("stuck", "violated"),
        Some(known) if !known.in_force.is_empty() => ("in force", "running"),
        Some(known) if known.halted_by.is_some() => ("halted", "unknown"),
        Some(_) => ("nothing in force", "held"),
    }
}

/// Returns an age in seconds in words, such as `3 min ago`. A negative age (the clock was set back) is `just now`.
pub(super) fn ago(seconds: i64) -> String {
    match seconds {
        ..5 => "just now".to_owned(),
        5..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Returns a host as the page shows it. `now` is in seconds since 1970.
fn row(host: &HostRow, now: i64) -> Row<'_> {
    let known = host.known.as_ref();
    let (word, colours) = word(known);
    let since = |at: Option<i64>| at.map_or_else(String::new, |at| ago(now - at));
    let (seen, asked) = (since(known.and_then(|known| known.seen_s)), since(known.map(|known| known.at_s)));
    Row { host, word, colours, seen, asked }
}

/// Returns the answer for a fleet that does not exist.
fn no_fleet(id: &str) -> Answer {
    Answer::new(
        StatusCode::NOT_FOUND,
        format!("There is no fleet {} here.", clean(id, 80)),
        "The page Fleets has those that game days name.",
    )
}

/// `GET /fleets/{id}`
pub(crate) async fn fleet(
    State(app): State<Arc<App>>,
    Who(session): Who,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Answer> {
    let Asked { page: number, done } = asked.map(|Query(asked)| asked).unwrap_or_default();
    slow(&app, move |app| {
        let found = app.outside.inventory().fleet(&id).ok_or_else(|| no_fleet(&id))?;
        let now = now_s();
        let paging = Paging::of(&number, ROWS, found.hosts.len());
        let rows: Vec<Row<'_>> = paging.part(&found.hosts).iter().map(|host| row(host, now)).collect();
        let is_silent = |host: &&HostRow| host.known.as_ref().is_some_and(|known| known.unknown.is_some());
        let silent: Vec<&str> = found.hosts.iter().filter(is_silent).map(|host| host.name.as_str()).collect();
        let at_s = found.row.asked.as_ref().map(|asked| asked.at_s);
        let values = context! {
            fleet => value(&found.row),
            address => address(&found.row.id),
            hosts => value(&rows),
            paging => value(&paging),
            silent => silent.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "),
            silent_more => silent.len().saturating_sub(NAMED),
            ago => at_s.map(|at_s| ago(now - at_s)),
            at => at_s.map(minute),
            unasked => &found.unasked,
            may_ask => found.unasked.is_none() && session.role >= Role::Operator,
            done => done == "ask",
        };
        page("fleet", (&found.row.file, "fleets"), Some(&session), values)
    })
    .await
}

/// `POST /fleets/{id}/ask`
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Answer> {
    who.may(&app, Role::Operator, "ask", &id).await?;
    let wanted = id.clone();
    let file = blocking(&app, move |app| {
        let found = app.outside.inventory().fleet(&wanted).ok_or_else(|| no_fleet(&wanted))?;
        Ok(found.row.file)
    })
    .await?;
    let (shared, session, named) = (Arc::clone(&app), who.0, id.clone());
    // A separate task: if the client closes the connection, the audit log still gets the line.
    let task = tokio::spawn(async move {
        let asked = shared.outside.inventory().ask(&named, &session.name).await;
        let outcome = asked.clone().unwrap_or_else(|why| format!("refused: {why}"));
        let deed = App::deed(&session, "ask", &file, &outcome);
        let written = blocking(&shared, move |app| Ok(app.record(&deed)?)).await;
        asked
            .map_err(|why| {
                let help = "The page of the fleet says what is known of its hosts.";
                Answer::new(StatusCode::CONFLICT, format!("Nobody was asked: {why}."), help)
            })
            .and(written)
    });
    task.await.map_err(|error| Answer::failed(&error))??;
    Ok(see(&format!("/fleets/{}?done=ask", address(&id))))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Mutex};

    use axum::body::to_bytes;

    use super::*;
    use crate::{
        inventory::{
            Check, Finding, FleetFacts, FleetRow, Fleets, Inventory, ScenarioFacts, ScenarioRow, Scenarios,
        },
        outside::{Later, Outside},
        pages::{fleets::fleets, scenarios::scenarios},
        testing::{app, as_willing, session},
    };

    /// An `Outside` with many scenarios and one fleet of many hosts. It remembers which fleets were asked and by whom, such as `fleet-1 by alice`.
    struct Many(Arc<Mutex<Vec<String>>>);

    /// Returns a host whose texts are long and have markup. Each tenth host has not answered.
    fn host(number: usize) -> HostRow {
        let wrong = |what: &str| Finding { grade: "bad", text: format!("{what}: {}", "wrong ".repeat(20)) };
        let known = Known {
            seen_s: Some(now_s() - 200),
            version: "1.0".to_owned(),
            unknown: number.is_multiple_of(10).then(|| "cannot reach it: no route".to_owned()),
            certificate: Some(Finding { grade: "note", text: "good until 2026-12-04".to_owned() }),
            findings: [wrong("disk"), wrong("clock")].to_vec(),
            good: 12,
            ..Known::default()
        };
        HostRow {
            name: format!("app{number}<b>"),
            addresses: vec![format!("10.0.0.{number}"), "fd77::1".to_owned()],
            labels: ["provider=aws", "region=us-west-1", "zone=us-west-1a", "env=prod"]
                .map(str::to_owned)
                .to_vec(),
            roles: vec!["app".to_owned()],
            known: Some(known),
        }
    }

    fn row() -> FleetRow {
        FleetRow {
            id: "fleet-1".to_owned(),
            file: "fleet.toml".to_owned(),
            hosts: 500,
            ..FleetRow::default()
        }
    }

    impl Inventory for Many {
        fn scenarios(&self) -> Scenarios {
            let told = "error: nothing fits here\n  --> line 7\n".repeat(2_000);
            let check = Check { errors: 1, told, ..Check::default() };
            let scenario = |n: usize| ScenarioRow {
                id: format!("s-{n}"),
                name: format!("scenario {n} <b>"),
                check: check.clone(),
                ..ScenarioRow::default()
            };
            Scenarios { all: (1..=200).map(scenario).collect(), problems: String::new() }
        }

        fn scenario(&self, _: &str, _: Option<&str>) -> Option<Arc<ScenarioFacts>> {
            None
        }

        fn fleets(&self) -> Fleets {
            Fleets { all: vec![row(); 300], problems: String::new() }
        }

        fn fleet(&self, id: &str) -> Option<FleetFacts> {
            (id == "fleet-1").then(|| FleetFacts {
                row: row(),
                hosts: (1..=500).map(host).collect(),
                unasked: None,
            })
        }

        fn ask<'a>(&'a self, id: &'a str, by: &'a str) -> Later<'a, Result<String, String>> {
            self.0.lock().unwrap().push(format!("{id} by {by}"));
            Box::pin(async { Ok("450 of 500 hosts answered, 50 did not".to_owned()) })
        }
    }

    impl Outside for Many {
        as_willing!(halt);

        as_willing!(wishes);

        as_willing!(calendar);

        as_willing!(posts);

        fn inventory(&self) -> &dyn Inventory {
            self
        }

        as_willing!(decisions);
    }

    /// Returns the text of a page. Checks that it is small enough for a phone, and that values are escaped.
    async fn small(page: Result<Response, Answer>) -> String {
        let bytes = to_bytes(page.unwrap().into_body(), usize::MAX).await.unwrap();
        assert!(bytes.len() < 200 << 10, "{} bytes", bytes.len());
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!text.contains("<b>error") && !text.contains("1<b>"), "values are escaped");
        text
    }

    #[tokio::test]
    async fn pages_of_many_hosts_and_scenarios_are_small_and_lead_to_the_rest() {
        let home = tempfile::tempdir().unwrap();
        let app = app(home.path(), Arc::new(Many(Arc::default()))).await;
        let state = || State(Arc::clone(&app));
        let who = || Who(session(Role::Viewer));
        let hosts = |page: &str| {
            let asked = Asked { page: page.to_owned(), ..Asked::default() };
            fleet(state(), who(), Path("fleet-1".to_owned()), Ok(Query(asked)))
        };
        let first = small(hosts("").await).await;
        for part in [
            "1 to 100 of 500",
            "?page=2",
            "app100&lt;b&gt;",
            "ends soon",
            "3 min ago",
            "Unknown: app10&lt;b&gt;",
        ] {
            assert!(first.contains(part), "no `{part}` in {first}");
        }
        assert!(!first.contains("Ask the hosts") && first.contains("An operator can ask"), "{first}");
        // A host that did not answer does not show the findings of an earlier answer.
        let from_it = first.split_once("<td class=\"w lead\" data-label=\"host\"><span>app10&lt;").unwrap().1;
        let silent = from_it.split_once("</tr>").unwrap().0;
        assert!(
            silent.contains(">unknown<") && !silent.contains("fine") && silent.contains("3 min ago"),
            "{silent}"
        );
        assert!(small(hosts("5").await).await.contains("app500&lt;b&gt;"));
        let many = small(scenarios(state(), who(), Ok(Query(Default::default()))).await).await;
        assert!(
            many.contains("1 to 50 of 200") && many.contains("There is more, which its page shows"),
            "{many}"
        );
        assert!(small(fleets(state(), who()).await).await.contains("and 200 more"));
    }

    #[tokio::test]
    async fn only_an_operator_may_ask_and_the_audit_log_has_it() {
        let home = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let app = app(home.path(), Arc::new(Many(Arc::clone(&heard)))).await;
        let ask = |role, id: &str| ask(State(Arc::clone(&app)), Who(session(role)), Path(id.to_owned()));
        assert_eq!(ask(Role::Viewer, "fleet-1").await.unwrap_err().status, StatusCode::FORBIDDEN);
        assert_eq!(ask(Role::Operator, "../etc/passwd").await.unwrap_err().status, StatusCode::NOT_FOUND);
        assert!(heard.lock().unwrap().is_empty());
        let answer = ask(Role::Operator, "fleet-1").await.unwrap();
        assert_eq!(answer.headers()["location"], "/fleets/fleet-1?done=ask");
        assert_eq!(*heard.lock().unwrap(), ["fleet-1 by alice"]);
        let audit = fs::read_to_string(app.audit.path()).unwrap();
        for part in
            ["\"on\":\"fleet.toml\"", "450 of 500 hosts answered", "refused: it takes the role operator"]
        {
            assert!(audit.contains(part), "no `{part}` in {audit}");
        }
    }

    #[test]
    fn a_host_that_did_not_answer_is_unknown_whatever_it_said_before() {
        let known = |change: fn(&mut Known)| {
            let mut known = Known { seen_s: Some(1), ..Known::default() };
            change(&mut known);
            word(Some(&known)).0
        };
        assert_eq!(word(None).0, "not asked");
        assert_eq!(known(|_| ()), "nothing in force");
        assert_eq!(known(|known| known.in_force.push("net-block".to_owned())), "in force");
        assert_eq!(
            known(|known| (known.stuck, known.in_force) = (true, vec!["STUCK net-block".to_owned()])),
            "stuck"
        );
        assert_eq!(known(|known| known.unknown = Some("refused".to_owned())), "unknown");
    }

    #[test]
    fn ages_are_told_in_one_unit() {
        let told = [-3, 4, 59, 179, 3_600, 172_799, 172_800].map(ago);
        assert_eq!(
            told,
            ["just now", "just now", "59 s ago", "2 min ago", "1 h ago", "47 h ago", "2 days ago"]
        );
    }
}
