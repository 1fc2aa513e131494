use super::{salvage::Care, *};
use crate::diagnostic::Sink;

/// Two hosts with the same address, each behind the way of that token.
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

    // A plan has one text without the secret, as it always had.
    let json = serde_json::to_string(&ways[0]).expect("prints");
    assert_eq!(json, r#"{"connect":"relay --token *** %h:%p","at_once":8}"#);
    let read: crate::plan::model::Way = serde_json::from_str(&json).expect("reads");
    assert_eq!(serde_json::to_string(&read).expect("prints"), json);
}

#[test]
fn a_failed_command_is_told_without_its_secrets() {
    let command = ["cat", "--token", "s3same", "/does/not/exist"].map(str::to_owned).to_vec();
    let mut sink = Sink::default();
    assert!(Fleet::load(&FleetSource::Command(command), &mut sink).is_none());
    // What the program said is its own.
    let told = sink.into_report().render(false, 200);
    assert!(told.contains("`cat --token *** /does/not/exist`"), "{told}");
    for output in ["{}", "{\"schema\": 2}", "no JSON"] {
        let command = ["sh", "-c", "echo \"$2\"", "--token", "s3same", output].map(str::to_owned).to_vec();
        let mut sink = Sink::default();
        drop(Fleet::load(&FleetSource::Command(command), &mut sink));
        let told = sink.into_report().render(false, 200);
        assert!(!told.contains("s3same"), "{told}");
    }
}
