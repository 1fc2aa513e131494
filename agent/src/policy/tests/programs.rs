//! Programs of probes: a rule names each, and the user as whom it runs.

use firedrill_wire::probe::ProbeSpec;

use super::*;

fn probe(command: &str) -> ProbeSpec {
    let text = format!(r#"{{"name":"p","rate":1,"timeout":"1s","kind":{{"exec":{{"command":{command}}}}}}}"#);
    serde_json::from_str(&text).unwrap()
}

/// The user as whom the policy lets a program run, or the refusal.
fn user(policy: &Policy, command: &str) -> Result<Option<String>, Problem> {
    let (caller, probe) = (alice(), probe(command));
    let act = Act::Probe(&probe);
    let file = Path::new("/etc/firedrill/agent.toml");
    let ask =
        Question { caller: &caller, environment: None, host_environment: None, act, wall_us: FRIDAY_NOON };
    policy.check(&ask, file)?;
    Ok(policy.run_as(&ask, file)?.map(str::to_owned))
}

#[test]
fn an_empty_policy_runs_no_program_and_says_what_would() {
    let problem = user(&Policy::default(), r#"["/bin/check","x"]"#).unwrap_err();
    assert_eq!(problem.code, RefusalCode::NotAllowed);
    let clause = r#"commands = [["/bin/check", "x"]] and run_as = "nobody" in /etc/firedrill/agent.toml"#;
    assert!(problem.hint.contains(clause), "{problem:?}");
}

#[test]
fn a_program_runs_as_the_user_of_a_rule_that_names_it() {
    let policy = policy(
        r#"
        [[allow]]
        name = "all that runs nothing"

        [[allow]]
        name = "checks"
        kinds = ["probe-exec"]
        commands = [["/bin/check", "*"], ["/bin/disk"]]
        run_as = "nagios"

        [[allow]]
        name = "faults only"
        commands = [["/bin/other"]]
        "#,
    );
    assert_eq!(user(&policy, r#"["/bin/check","x"]"#), Ok(Some("nagios".to_owned())));
    assert_eq!(user(&policy, r#"["/bin/disk"]"#), Ok(Some("nagios".to_owned())));
    for command in [r#"["/bin/check"]"#, r#"["/bin/check","x","y"]"#, r#"["/bin/sh","-c","id"]"#] {
        assert!(
            user(&policy, command).unwrap_err().title.contains("no rule lets alice do this"),
            "{command}"
        );
    }
    let problem = user(&policy, r#"["/bin/other"]"#).unwrap_err();
    assert!(problem.title.contains("\"faults only\" names the program, and no user"), "{problem:?}");
    assert!(problem.hint.contains("run_as = \"nobody\""), "{problem:?}");
}

#[test]
fn a_user_without_programs_and_a_name_that_is_none_are_refused() {
    for (text, why) in [
        ("run_as = \"nagios\"", "run_as is given, and no program"),
        ("run_as = \"\"\ncommands = [[\"/bin/check\"]]", "no name of a user"),
        ("run_as = \"a:b\"\ncommands = [[\"/bin/check\"]]", "no name of a user"),
    ] {
        let policy: Policy = toml::from_str(&format!("[[allow]]\nname = \"n\"\n{text}")).unwrap();
        let error = policy.validate().unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
