//! Fleets with problems: where each is reported, and that secrets of commands are not shown.

use super::{salvage::Care, *};
use crate::diagnostic::Sink;

/// Reads two hosts with the same address, each reached by a command with that token. Returns the number of errors, too.
fn behind(tokens: [&str; 2]) -> (Fleet, usize) {
    let hosts = tokens.iter().enumerate().map(|(number, token)| {
        format!(
            "[[host]]\nname = \"app{number}\"\naddress = \"10.0.0.1\"\nconnect = [\"relay\", \"--token\", \"{token}\", \"%h:%p\"]\n"
        )
    });
    let text = format!("schema = 1\n{}", hosts.collect::<String>());
    let mut sink = Sink::default();
    let fleet = read::from_toml("fleet.toml", &text, Care::All, &mut sink);
    (fleet, sink.errors())
}

#[test]
fn ways_that_differ_in_a_secret_are_two_ways() {
    let (fleet, errors) = behind(["s3same", "0ther"]);
    assert_eq!((fleet.hosts.len(), errors), (2, 0));
    let ways: Vec<_> = fleet.hosts.iter().filter_map(|host| host.via.clone()).collect();
    assert_ne!(ways[0], ways[1]);
    assert_eq!(behind(["s3same", "s3same"]).1, 1, "the same address of the same network");

    // A plan has a text without the secret.
    let json = serde_json::to_string(&ways[0]).expect("prints");
    assert_eq!(json, r#"{"connect":"relay --token *** %h:%p","at_once":8}"#);
    let read: crate::plan::model::Way = serde_json::from_str(&json).expect("reads");
    assert_eq!(serde_json::to_string(&read).expect("prints"), json);
}

#[test]
fn the_error_of_a_failed_command_has_no_secrets() {
    let command = ["cat", "--token", "s3same", "/does/not/exist"].map(str::to_owned).to_vec();
    let mut sink = Sink::default();
    assert!(Fleet::load(&FleetSource::Command(command), &mut sink).is_none());
    // The program's own message is not hidden, only the command.
    let rendered = sink.into_report().render(false, 200);
    assert!(rendered.contains("`cat --token *** /does/not/exist`"), "{rendered}");
    for output in ["{}", "{\"schema\": 2}", "no JSON"] {
        let command = ["sh", "-c", "echo \"$2\"", "--token", "s3same", output].map(str::to_owned).to_vec();
        let mut sink = Sink::default();
        drop(Fleet::load(&FleetSource::Command(command), &mut sink));
        let rendered = sink.into_report().render(false, 200);
        assert!(!rendered.contains("s3same"), "{rendered}");
    }
}

/// Reads a fleet; returns it with its problems as text.
fn rendered(text: &str) -> (Fleet, String) {
    let mut sink = Sink::default();
    let fleet = read::from_toml("fleet.toml", text, Care::All, &mut sink);
    (fleet, sink.into_report().render(false, 140))
}

#[test]
fn problems_of_a_fleet_have_no_secrets_of_its_commands() {
    let host = "name = \"web1\", address = \"10.0.0.1\", zoone = 1";
    for text in [
        "[defaults]\nconnect = \"sshpass -p hunter2 ssh %h\"\n".to_owned(),
        format!("host = [{{ {host}, connect = [\"sshpass\", \"-p\", \"hunter2\", \"ssh\", \"%h\"] }}]\n"),
        "[defaults]\nconnect = [\"sshpass\", \"-p\", \"hunter2\"\n".to_owned(),
    ] {
        let (_, said) = rendered(&format!("schema = 1\n{text}"));
        assert!(said.contains("connect") && !said.contains("hunter2"), "{said}");
    }
}

const WEB: &str = r#"
[[host]]
name = "web1"
address = "10.0.0.1"

[[host.service]]
name = "web"
argv = ["python3", "-m", "http.server", "8000"]
env = { LANG = "C" }
user = "nobody"
ready = { http = "http://127.0.0.1:8000/", within = "5s" }
stop = { signal = "INT", patience = "3s" }

[[host.service.file]]
path = "/var/www/index.html"
content = """
two
lines
"""

[[host.service]]
name = "plain"
argv = ["sleep", "1h"]
"#;

#[test]
fn services_are_read_and_are_no_part_of_hosts() {
    let (fleet, said) = rendered(WEB);
    assert_eq!((fleet.hosts.len(), said.as_str()), (1, ""));
    let services = &fleet.services["web1"];
    assert_eq!(services[0].file[0].content.as_deref(), Some("two\nlines\n"));
    assert_eq!(services[0].file[0].bits(), Some(0o644));
    assert_eq!(services[0].stop.signal, StopSignal::Int);
    let plain = &services[1];
    assert_eq!((&plain.user, &plain.ready, plain.stop.signal.name()), (&None, &None, "SIGTERM"));
    let json = serde_json::to_string(&fleet.hosts[0]).expect("prints");
    assert!(!json.contains("http.server"), "plans and their digests do not know services: {json}");

    let value: serde_json::Value = toml::from_str(WEB).expect("TOML");
    let mut sink = Sink::default();
    let same = read::from_json("program", &value.to_string(), Care::All, &mut sink).expect("a fleet");
    assert_eq!((&same.services, sink.errors()), (&fleet.services, 0));
}

#[test]
fn each_problem_of_a_service_is_reported_at_its_place() {
    for (right, wrong, at, said) in [
        (r#"argv = ["sleep", "1h"]"#, "argv = []", "[]", "nothing to run"),
        (r#"name = "plain""#, r#"name = "web""#, r#""web""#, "has the service `web` twice"),
        (
            r#"name = "plain""#,
            r#"name = "firedrill-agent""#,
            r#""firedrill-agent""#,
            "the lab's own agent has this name",
        ),
        (r#"name = "plain""#, r#"name = "../x""#, r#""../x""#, "cannot be a service's name"),
        (r#"user = "nobody""#, r#"user = "no body""#, r#""no body""#, "`no body` is not a user"),
        (r#"signal = "INT""#, r#"signal = "IMT""#, r#""IMT""#, "did you mean `INT`?"),
        (r#"patience = "3s""#, r#"patience = "3h""#, r#""3h""#, "at most 10m"),
        (r#"within = "5s""#, "within = 5", "5 }", "5 has no unit"),
        (r#""http://127.0.0.1:8000/""#, r#""https://x/""#, r#""https://x/""#, "`https://x/` is not a URL"),
        ("within =", "tcp = 8000, within =", "{ http", "more than one check"),
        (r#"{ LANG = "C" }"#, r#"{ "A=B" = "C" }"#, r#""C""#, "`A=B` cannot be the name of a variable"),
        (r#""/var/www/index.html""#, r#""/usr/x""#, r#""/usr/x""#, "`/usr/x` is not below /etc or /var"),
        (
            r#""/var/www/index.html""#,
            r#""/etc/../x""#,
            r#""/etc/../x""#,
            "`/etc/../x` is not below /etc or /var",
        ),
        (
            r#""/var/www/index.html""#,
            r#""/etc/hosts""#,
            r#""/etc/hosts""#,
            "the lab makes `/etc/hosts` itself",
        ),
        (r#"content = """"#, "mode = \"9\"\ncontent = \"\"\"", r#""9""#, "`9` is not the mode of a file"),
        (r#"content = """"#, "source = \"x\"\ncontent = \"\"\"", r#""x""#, "both `content` and `source`"),
        (r#"env = {"#, r#"envv = {"#, "envv", "unknown key `envv` in `service` of host"),
    ] {
        assert!(WEB.contains(right), "{right}");
        let text = WEB.replacen(right, wrong, 1);
        let (_, all) = rendered(&text);
        // Errors are found at the line that was changed.
        let line = text.lines().zip(WEB.lines()).position(|(new, old)| new != old).expect("changed") + 1;
        let column = text.lines().nth(line - 1).and_then(|line| line.find(at)).expect("is in the line") + 1;
        assert!(all.contains(said), "{wrong}: {all}");
        assert!(
            all.contains(&format!("--> fleet.toml:{line}:{column}")),
            "{wrong} at {line}:{column}: {all}"
        );
        assert_eq!(all.matches("error: ").count(), 1, "{wrong}: {all}");
    }
}

#[test]
fn an_entry_that_cannot_be_read_moves_no_other_problem() {
    let text = WEB.replace("argv = [\"python3\", \"-m\", \"http.server\", \"8000\"]\n", "");
    let (_, all) = rendered(&text.replace(r#"name = "plain""#, r#"name = "a b""#));
    assert!(all.contains("`argv` is missing in `service` of host"), "{all}");
    // The entry in the file is unknown, because another one could not be read: all services of the host are marked.
    assert!(all.contains("service `a b` of host `web1`: this cannot be a service's name"), "{all}");
}

#[test]
fn texts_that_cannot_be_shown_are_refused_in_fleets_without_other_errors() {
    let host = |label: &str| {
        format!("[[host]]\nname = \"a\"\naddress = \"10.0.0.1\"\nlabels = {{ owner = {label} }}\n")
    };
    let long = format!("\"{}\"", "a".repeat(8_001));
    for label in ["\"a\\u202eb\"", "\"a\\nb\"", "\"\"\"a\nb\"\"\"", "\"a\u{202e}b\"", "\"a\tb\"", &long] {
        let (_, said) = rendered(&host(label));
        assert!(said.contains("cannot be shown safely"), "{label}: {said}");
    }
    assert_eq!(rendered(&host("\"payments\"")).1, "");
}
