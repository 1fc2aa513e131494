//! Promotions: a game day is held only if the objectives held in a run of the same files elsewhere.

use super::*;

/// Writes a run of a day, of files with that digest and in that environment. `bad` of its requests fail, out of a hundred in each second of the
/// fault.
fn run(folder: &Path, day: u32, files: Option<&str>, environment: &str, bad: u64) {
    Drill::users(bad).write(&folder.join(format!("reports/run-{day}-{bad}")), RUN, |plan, wall| {
        *wall = format!("2026-11-{day:02}T14:02:11Z");
        plan.name = "stop-app1".to_owned();
        plan.files = files.map(str::to_owned);
        plan.environment = Some(environment.to_owned());
    });
}

/// Returns the plan of a scenario in a folder of `days`.
fn plan(home: &Path, fleet: &str, params: &[(&str, &str)]) -> Plan {
    let fleet = FleetSource::File(home.join(fleet));
    let params: Vec<(String, String)> =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let found = inspect(&home.join("app1.toml"), Some(&fleet), &params, Some(1));
    found.plan.unwrap_or_else(|| panic!("{}", found.report.render(PLAIN, WIDTH)))
}

#[test]
fn the_digest_of_files_depends_only_on_their_texts() {
    let folder = days(&[]);
    let home = folder.path();
    fs::write(home.join("other.toml"), "schema = 1\n[[host]]\nname = \"app1\"\naddress = \"10.8.0.1\"\n")
        .unwrap();
    let own = plan(home, "fleet.toml", &[]);
    let elsewhere = plan(home, "other.toml", &[("environment", "staging")]);
    assert!(own.files.is_some());
    assert_eq!(own.files, elsewhere.files);
    assert_ne!(own.digest(), elsewhere.digest());
    // The digest of the files is in the log, and is no part of the plan's digest.
    let json = serde_json::to_string(&own).unwrap();
    let read: Plan = serde_json::from_str(&json).unwrap();
    assert_eq!((&read.files, read.digest()), (&own.files, own.digest()));
    let without: Plan = serde_json::from_str(&json.replace(own.files.as_deref().unwrap(), "0")).unwrap();
    assert_eq!(without.digest(), own.digest());
    // Another comment changes the text but not the plan, also in a file that is included.
    let text = fs::read_to_string(home.join("app1.toml")).unwrap();
    fs::write(home.join("app1.toml"), text.replacen("schema = 1", "schema = 1\ninclude = [\"lib.toml\"]", 1))
        .unwrap();
    fs::write(home.join("lib.toml"), "schema = 1\n").unwrap();
    let including = plan(home, "fleet.toml", &[]);
    fs::write(home.join("lib.toml"), "schema = 1\n# changed\n").unwrap();
    let changed = plan(home, "fleet.toml", &[]);
    assert_eq!(BTreeSet::from([&own.files, &including.files, &changed.files]).len(), 3);
    assert_eq!(including.agreement(), changed.agreement());
}

#[test]
fn a_promotion_depends_on_the_newest_runs() {
    let folder = days(&[(
        "prod",
        "scenarios = [{ file = \"app1.toml\", params = { environment = \"prod\" } }]\n\
         schedule = { once = \"2026-12-04T14:00\", zone = \"UTC\" }\n\
         requires = { environment = \"staging\", held_within = \"14d\" }",
    )]);
    let home = folder.path();
    let own = plan(home, "fleet.toml", &[]).files.unwrap();
    let promotion = || {
        let words = ["gameday", "show", "gamedays/prod.toml", "--from", "2026-11-26"];
        let output = firedrill_in(home, "UTC", &words);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let text = out(&output);
        let line = text.lines().find_map(|line| line.trim().strip_prefix("promotion: "));
        line.unwrap_or_else(|| panic!("no promotion in {text}")).to_owned()
    };
    let never = "missing: no run of these files in staging before the slot is known";
    assert_eq!(promotion(), never);
    run(home, 21, Some(&own), "prod", 0);
    assert_eq!(promotion(), never);
    run(home, 10, Some(&own), "staging", 0);
    assert!(promotion().contains("more than 14days before the slot"), "{}", promotion());
    run(home, 22, Some("another"), "staging", 0);
    assert!(promotion().starts_with("missing: held on 2026-11-10"), "{}", promotion());
    run(home, 23, None, "staging", 0);
    assert!(promotion().starts_with("unknown: a run of that name held on 2026-11-23"), "{}", promotion());
    run(home, 24, Some(&own), "staging", 40);
    assert!(
        promotion().starts_with(
            "missing: the newest run of these files in staging, on 2026-11-24, is `violated` (run "
        ),
        "{}",
        promotion()
    );
    run(home, 25, Some(&own), "staging", 0);
    assert!(promotion().starts_with("held on 2026-11-25 in staging (run "), "{}", promotion());
    let text = fs::read_to_string(home.join("app1.toml")).unwrap();
    fs::write(home.join("app1.toml"), text + "# changed\n").unwrap();
    assert!(
        promotion().starts_with("unknown: "),
        "the run without a digest may have had these files: {}",
        promotion()
    );
    fs::remove_dir_all(home.join("reports/run-23-0")).unwrap();
    assert!(promotion().contains("its files have changed since"), "{}", promotion());
}
