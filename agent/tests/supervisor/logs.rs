//! Tests of logs of the host: who may read them, and when reading ends.

use std::{fs, io::Write as _};

use firedrill_agent::control::{Caller, Control};
use firedrill_wire::{
    RefusalCode,
    api::{Undo, UndoScope},
    logs::{LogSpec, StartLogs},
};
use futures_util::StreamExt as _;

use super::{Agent, HOLD, fakes::alice, fakes::run_id};

/// A log is refused without a policy that lists it. A listed log is read and fetched, and a halt stops it.
#[tokio::test]
async fn logs_are_read_as_the_policy_lists_them() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("app.log");
    fs::write(&log, "ERROR before\n").unwrap();
    let start = |file: &std::path::Path| StartLogs {
        logs: vec![LogSpec {
            name: "app".into(),
            file: file.to_str().unwrap().to_owned(),
            matches: "ERROR".into(),
            lines: 5,
        }],
        at_most: HOLD,
        environment: None,
    };
    let refused = Agent::new().supervisor.start_logs(&alice(), &run_id(), &start(&log)).unwrap_err();
    assert!(refused.title.contains("lets nobody read a log"), "{refused:?}");
    let agent = Agent::with(&format!("[policy]\nlogs = [\"{}/*\"]\n", dir.path().display()));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    let refused = agent.supervisor.start_logs(&alice(), &run_id(), &start(&link)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::BadLog);
    let mut many = start(&log);
    many.logs[0].lines = u32::MAX;
    let refused = agent.supervisor.start_logs(&alice(), &run_id(), &many).unwrap_err();
    assert!(refused.title.contains("at most 50"), "{refused:?}");
    agent.supervisor.start_logs(&alice(), &run_id(), &start(&log)).unwrap();
    let bob = Caller { name: "bob".into(), ..alice() };
    let refused = agent.supervisor.start_logs(&bob, &run_id(), &start(&log)).unwrap_err();
    assert!(refused.title.contains("alice's"), "{refused:?}");
    let mut feed = agent.supervisor.log_bins(&run_id(), 0).ok().unwrap();
    fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"ERROR one\nERROR two\n").unwrap();
    let mut seen = 0;
    while seen < 2 {
        seen += feed.next().await.unwrap().matched;
    }
    // An undo does not stop reading: only the run's coordinator or a halt does.
    agent.supervisor.undo(&alice(), &Undo { scope: UndoScope::Run(run_id()), halt: false });
    fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(b"ERROR three\n").unwrap();
    while seen < 3 {
        seen += feed.next().await.unwrap().matched;
    }
    agent.supervisor.undo(&alice(), &Undo { scope: UndoScope::All, halt: true });
    while let Some(bin) = feed.next().await {
        seen += bin.matched;
    }
    assert_eq!(seen, 3, "nothing is counted twice");
    let refused = agent.supervisor.start_logs(&alice(), &run_id(), &start(&log)).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Halted);
}

/// This host has no journal of systemd, or no unit of that name.
#[tokio::test]
async fn a_unit_that_cannot_be_read_is_refused() {
    let logs = vec![LogSpec {
        name: "app".into(),
        file: "unit:firedrill-no-such.service".into(),
        matches: "ERROR".into(),
        lines: 5,
    }];
    let start = StartLogs { logs, at_most: HOLD, environment: None };
    let refused = Agent::new().supervisor.start_logs(&alice(), &run_id(), &start).unwrap_err();
    assert!(
        refused.hint.contains("logs = [\"unit:firedrill-no-such.service\"] under [policy]"),
        "{refused:?}"
    );
    let agent = Agent::with("[policy]\nlogs = [\"unit:firedrill-*.service\"]\n");
    let refused = agent.supervisor.start_logs(&alice(), &run_id(), &start).unwrap_err();
    assert!(
        refused.code == RefusalCode::BadLog && refused.title.contains("cannot read the log app: "),
        "{refused:?}"
    );
    let findings = agent.supervisor.doctor().findings;
    assert!(findings.iter().any(|finding| finding.what == "journal"), "{findings:?}");
}
