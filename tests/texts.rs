//! Texts of others: no text in a scenario, a fleet or a log can move the cursor, begin another line or change the direction of writing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use firedrill_wire::text::is_plain;

/// Dangerous characters, escaped as in JSON: ESC, NUL, BEL, a mark that reverses the direction, a control character
/// beyond ASCII.
const EVIL: &str = r"\u001b[2J\u0000nul\u0007 \u202egpj \u009b1m";

fn firedrill(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_firedrill")).args(words).current_dir(folder).output().unwrap()
}

/// Returns the first character that must not be in an output.
fn odd(bytes: &[u8]) -> Option<char> {
    String::from_utf8_lossy(bytes).chars().find(|c| !is_plain(*c) && *c != '\n')
}

#[test]
fn a_report_of_any_log_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let log = fs::read_to_string("reports/example/events.jsonl").unwrap();
    let name = log.lines().next().and_then(|first| {
        let first: serde_json::Value = serde_json::from_str(first).unwrap();
        Some(first["plan"]["name"].as_str()?.to_owned())
    });
    let name = name.expect("the example has a name");
    let evil = log
        .replace(&format!("\"name\":\"{name}\""), &format!("\"name\":\"{name}{EVIL}\""))
        .replace("\"detail\":\"", &format!("\"detail\":\"{EVIL}"))
        .replace("\"operator\":\"", &format!("\"operator\":\"{EVIL}"));
    assert!(evil.matches("u202e").count() > 3, "the log has too few of these texts");
    fs::write(folder.path().join("events.jsonl"), evil).unwrap();
    let run = folder.path().to_str().unwrap();
    for words in [&["report", run][..], &["report", run, "--format", "markdown"], &["watch", run]] {
        let output = firedrill(folder.path(), words);
        assert!(output.stdout.len() + output.stderr.len() > 100, "{words:?} prints next to nothing");
        assert_eq!((odd(&output.stdout), odd(&output.stderr)), (None, None), "{words:?}");
    }
    for file in ["report.html", "report.md", "report.json", "junit.xml"] {
        let text = fs::read(folder.path().join(file)).unwrap();
        // Tabs are allowed, because the page has code for drawing. Code is not text for people.
        assert_eq!(odd(&text).filter(|c| *c != '\t'), None, "{file}");
        // They are replaced by visible signs. An escape would bring them back for whoever decodes the file.
        let escapes = ["\\u001b", "\\u0000", "\\u202e", "&#27;", "&#x1b;"];
        let text = String::from_utf8(text).unwrap().to_lowercase();
        assert!(
            escapes.iter().all(|escape| !text.contains(escape)),
            "{file} has an escape of such a character"
        );
    }
}

#[test]
fn the_output_of_approve_is_harmless_for_any_run() {
    let folder = tempfile::tempdir().unwrap();
    for words in [&["init"][..], &["issue", "person", "ann"]] {
        let output = firedrill(folder.path(), &[&["pki", "--dir", "pki"][..], words].concat());
        assert!(output.status.success(), "{output:?}");
    }
    let log = fs::read_to_string("reports/example/events.jsonl").unwrap();
    let mut first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let evil = "x\u{1b}[2J\u{202e}\nforged";
    first["plan"]["name"] = evil.into();
    first["plan"]["attacks"][0]["name"] = evil.into();
    first["plan"]["attacks"][0]["approve"] = serde_json::json!({ "people": 1, "expires": "5s" });
    fs::create_dir(folder.path().join("run")).unwrap();
    fs::write(folder.path().join("run/events.jsonl"), format!("{first}\n")).unwrap();
    let output = firedrill(folder.path(), &["approve", "run", "--pki", "pki", "--as", "ann"]);
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success() && said.contains("approves") && said.contains("attack 1:"), "{output:?}");
    assert!(odd(&output.stdout).is_none() && !said.lines().any(|line| line.starts_with("forged")), "{said}");
}

#[test]
fn a_fleet_of_a_command_with_invisible_characters_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fleet = |host: &str, label: &str| {
        let text = format!(
            r#"{{"schema":1,"host":[{{"name":"{host}","address":"10.0.0.1","labels":{{"rack":"{label}"}}}}]}}"#
        );
        fs::write(folder.path().join("fleet.json"), text).unwrap();
        let output =
            firedrill(folder.path(), &["status", "--fleet-command", "cat fleet.json", "--pki", "pki"]);
        assert_eq!((odd(&output.stdout), odd(&output.stderr)), (None, None));
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    // The program looks for the certificate before it reads the fleet, so there has to be one.
    let pki = ["pki", "--dir", "pki"];
    for words in [&["init"][..], &["issue", "person", "ann"]] {
        assert!(firedrill(folder.path(), &[&pki[..], words].concat()).status.success());
    }
    let (code, said) = fleet("app1", EVIL);
    assert!(code == Some(2) && said.contains("cannot be shown safely: it has a control character"), "{said}");
    let (code, said) = fleet(&format!("app{EVIL}"), "r1");
    assert!(code == Some(2) && said.contains("control character"), "{said}");
}

#[test]
fn dangerous_characters_in_arguments_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("s.toml"), "schema = 1\n").unwrap();
    let output = firedrill(folder.path(), &["check", "s.toml", "--param", "who=\u{1b}[31m"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("a control character (U+001B)"), "{said}");
}
