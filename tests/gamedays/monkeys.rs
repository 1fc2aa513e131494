//! Drills that are drawn: the draw does not depend on the person, has a budget, and is recorded. No host is touched.

use serde_json::Value;

use super::*;

/// The examples of game days that draw.
const MONKEYS: [&str; 4] = ["chaos-monkey", "latency-monkey", "chaos-gorilla", "chaos-kong"];

/// Returns the answer of `gameday draw` about an example.
fn example(name: &str, more: &[&str]) -> Value {
    let file = format!("gamedays/{name}.toml");
    let drawn = firedrill(&[&["gameday", "draw", &file, "--json"], more].concat());
    assert_eq!(drawn.status.code(), Some(0), "{}", err(&drawn));
    serde_json::from_slice(&drawn.stdout).unwrap()
}

/// Returns the hosts of all attacks of a draw.
fn hosts(draw: &Value) -> BTreeSet<String> {
    let attacks = draw["attacks"].as_array().unwrap().iter();
    let injections = attacks.flat_map(|attack| attack["injections"].as_array().unwrap());
    injections.map(|injection| injection["host"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_are_valid_and_do_not_overlap() {
    let files: Vec<String> = MONKEYS.iter().map(|name| format!("gamedays/{name}.toml")).collect();
    let words: Vec<&str> = ["check", FRIDAY].into_iter().chain(files.iter().map(String::as_str)).collect();
    let output = firedrill(&words);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        !err(&output).contains("at the same time") && !err(&output).contains("due again"),
        "{}",
        err(&output)
    );
    for name in MONKEYS {
        let text = out(&firedrill(&["gameday", "show", &format!("gamedays/{name}.toml")]));
        assert!(
            text.contains("each slot draws 1 of these") && text.contains("the seed of the slot"),
            "{text}"
        );
    }
}

#[test]
fn each_monkey_draws_a_host_a_zone_or_a_region() {
    let seeds = 0..16;
    let draws_of = |name: &'static str| {
        seeds.clone().map(move |seed: u32| example(name, &["--seed", &seed.to_string()])).collect::<Vec<_>>()
    };
    let different = |draws: &[Value]| draws.iter().map(hosts).collect::<BTreeSet<_>>();
    for name in ["chaos-monkey", "latency-monkey"] {
        let draws = draws_of(name);
        assert!(draws.iter().all(|draw| hosts(draw).len() == 1), "{name} draws more than one host");
        let attacks: BTreeSet<&str> =
            draws.iter().map(|draw| draw["attacks"][0]["name"].as_str().unwrap()).collect();
        assert!(attacks.len() > 1 && different(&draws).len() > 1, "{name}: {attacks:?}");
    }
    let zones = different(&draws_of("chaos-gorilla"));
    assert!(zones.len() > 1 && zones.iter().all(|hosts| hosts.len() == 1), "{zones:?}");
    let regions = different(&draws_of("chaos-kong"));
    let fremont = BTreeSet::from(["app3", "app4"].map(str::to_owned));
    assert!(regions.len() > 1 && regions.contains(&fremont), "no whole region is drawn: {regions:?}");
}

#[test]
fn a_draw_depends_only_on_the_slot_or_the_seed() {
    let list = firedrill(&["gameday", "list", "gamedays/chaos-monkey.toml", "--next", "6", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    let slots: Vec<&str> =
        list[0]["slots"].as_array().unwrap().iter().map(|slot| slot["civil"].as_str().unwrap()).collect();
    let draws: Vec<Value> = slots.iter().map(|slot| example("chaos-monkey", &["--slot", slot])).collect();
    let words = ["gameday", "draw", "gamedays/chaos-monkey.toml", "--slot", slots[0], "--json"];
    let elsewhere = firedrill_in(Path::new(ROOT), "America/New_York", &words);
    assert_eq!(serde_json::from_slice::<Value>(&elsewhere.stdout).unwrap(), draws[0]);
    assert_eq!(example("chaos-monkey", &[]), draws[0], "a draw without a slot is not that of the next slot");
    let seeds: BTreeSet<u64> = draws.iter().map(|draw| draw["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds.len(), slots.len());
    let again = example("chaos-monkey", &["--slot", slots[1], "--seed", &draws[0]["seed"].to_string()]);
    assert_eq!((&again["attacks"], &again["repeat"]), (&draws[0]["attacks"], &draws[0]["repeat"]));
    let said = out(&firedrill(&["gameday", "draw", "gamedays/chaos-monkey.toml", "--seed", "7"]));
    for part in
        ["draws 1 of 3 attacks", "seed 7", "start gamedays/chaos-monkey.toml --now --seed 7` repeats it"]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn words_without_a_meaning_for_a_draw_are_refused() {
    let friday = firedrill(&["gameday", "draw", FRIDAY]);
    assert_eq!(friday.status.code(), Some(2));
    assert!(err(&friday).contains("friday draws nothing"), "{}", err(&friday));
    let temp = tempfile::tempdir().unwrap();
    let reports = temp.path().join("reports");
    let start = |file: &str, more: &[&str]| {
        firedrill(
            &[&["gameday", "start", file, "--now", "--reports", reports.to_str().unwrap()], more].concat(),
        )
    };
    let seed = start(FRIDAY, &["--seed", "7"]);
    assert_eq!(seed.status.code(), Some(2));
    assert!(err(&seed).contains("--seed has no meaning"), "{}", err(&seed));
    let file = start("gamedays/chaos-kong.toml", &["--approve", "bob.json"]);
    assert_eq!(file.status.code(), Some(2));
    assert!(err(&file).contains("an approval in a file covers a whole scenario"), "{}", err(&file));
    assert!(!reports.exists(), "a refused start has written something");
}

/// Makes a folder with alice's certificate and a game day that draws one of two attacks, on hosts without an agent.
fn folder_with(rest: &str, schedule: &str) -> tempfile::TempDir {
    let folder = days(&[]);
    let home = folder.path();
    let fleet = fs::read_to_string(home.join("fleet.toml")).unwrap();
    fs::write(home.join("fleet.toml"), fleet.replace("10.9.0.", "127.9.0.")).unwrap();
    let text = fs::read_to_string(home.join("app1.toml")).unwrap();
    let second = "[[attack]]\nname = \"kill\"\non = \"app2\"\nfault.service-kill = { service = \"checkout\" }\nhold = \"10m\"\n";
    fs::write(home.join("both.toml"), text + second).unwrap();
    let day = format!(
        "schema = 1\nname = \"ape\"\nfleet = \"fleet.toml\"\nschedule = {{ {schedule}, zone = \"UTC\" }}\n{rest}\n\
         [monkey]\nscenario = \"both.toml\"\nat_most = \"1 a day\"\n"
    );
    fs::write(home.join("gamedays/ape.toml"), day).unwrap();
    for words in ["init", "issue person alice --role operator"] {
        let words: Vec<&str> = ["pki", "--dir", "pki"].into_iter().chain(words.split(' ')).collect();
        let made = firedrill_in(home, "UTC", &words);
        assert!(made.status.success(), "{}", err(&made));
    }
    folder
}

/// Starts the game day, and returns the record of that start.
fn started(home: &Path, words: &[&str]) -> Value {
    let start = ["gameday", "start", "gamedays/ape.toml", "--pki", "pki", "--as", "alice"];
    let output = firedrill_in(home, "UTC", &[&start, words].concat());
    assert_eq!(output.status.code(), Some(4), "no agent answers: {}", err(&output));
    let held = firedrill_in(home, "UTC", &["gameday", "held", "--json", "--last", "1"]);
    let held: Value = serde_json::from_slice(&held.stdout).unwrap();
    held[0].clone()
}

/// The parts of a plan that a draw decides.
#[derive(Clone, Debug, PartialEq)]
struct Planned {
    seed: Value,
    drawn: Value,
    attacks: Value,
    /// The digest of the files.
    files: Value,
}

/// Returns these parts of the plan in the log of a record's run.
fn plan_of(home: &Path, record: &Value) -> Planned {
    let run = record["runs"][0].as_str().unwrap_or_else(|| panic!("no run: {record}"));
    let log = fs::read_to_string(home.join("reports").join(run).join("events.jsonl")).unwrap();
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let plan = &first["plan"];
    let part = |name: &str| plan[name].clone();
    Planned { seed: part("seed"), drawn: part("drawn"), attacks: part("attacks"), files: part("files") }
}

#[test]
fn a_draw_is_recorded_and_repeated_by_its_seed() {
    let folder = folder_with("", "cron = \"0 10 * * *\"");
    let home = folder.path();
    let first = started(home, &["--now"]);
    let drawn = &first["lines"][0]["drawn"];
    assert_eq!(
        (drawn["of"].as_u64(), drawn["attacks"].as_array().map(Vec::len)),
        (Some(2), Some(1)),
        "{first}"
    );
    let seed = drawn["seed"].as_u64().unwrap();
    let plan = plan_of(home, &first);
    assert_eq!(plan.seed.as_u64(), Some(seed));
    assert_eq!(
        (plan.drawn["of"].as_u64(), plan.drawn["gameday"].as_str()),
        (Some(2), Some("gamedays/ape.toml"))
    );
    assert_eq!(plan.attacks[0]["name"], drawn["attacks"][0]);
    let again = started(home, &["--now", "--seed", &seed.to_string()]);
    assert_eq!((&again["lines"][0]["drawn"], plan_of(home, &again)), (drawn, plan.clone()));
    // Another seed draws the other attack, so the digest of the files differs.
    let other = (0..40).find(|other: &u32| {
        let words = ["gameday", "draw", "gamedays/ape.toml", "--json", "--seed", &other.to_string()];
        let shown: Value = serde_json::from_slice(&firedrill_in(home, "UTC", &words).stdout).unwrap();
        shown["attacks"][0]["name"] != drawn["attacks"][0]
    });
    let other = plan_of(home, &started(home, &["--now", "--seed", &other.unwrap().to_string()]));
    assert!(other.files.is_string() && other.files != plan.files, "{other:?}");
}

#[test]
fn a_slot_beyond_the_budget_is_not_held() {
    // Two slots of the last minutes, which can be started by hand.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let folder = folder_with("", "cron = \"* * * * *\"");
    let home = folder.path();
    let slot = |minutes: i64| {
        let at = now.checked_sub(jiff::SignedDuration::from_mins(minutes)).unwrap();
        at.strftime("%Y-%m-%dT%H:%M").to_string()
    };
    let first = started(home, &["--slot", &slot(3)]);
    assert_eq!(first["lines"][0]["event"], "begun", "{first}");
    let second = started(home, &["--slot", &slot(2)]);
    // If midnight came in between, the first slot was yesterday, and its budget does not count for the second one.
    if jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date() == now.date() {
        assert_eq!(second["reason"], "budget", "{second}");
        let why = format!("the budget of 1 a day is used up by {}", slot(3));
        assert_eq!((second["why"].as_str(), second["state"].as_str()), (Some(&*why), Some("not-held")));
        assert_eq!(second["runs"].as_array().map(Vec::len), Some(0));
    }
    let by_hand = started(home, &["--now"]);
    assert_eq!(by_hand["lines"][0]["event"], "begun", "a start by hand is bound by the budget: {by_hand}");
}

#[test]
fn a_promotion_needs_a_run_of_the_whole_scenario() {
    let folder = folder_with(
        "requires = { environment = \"staging\", held_within = \"14d\" }",
        "cron = \"0 10 * * *\"",
    );
    let home = folder.path();
    let fleet = FleetSource::File(home.join("fleet.toml"));
    let whole = inspect(&home.join("both.toml"), Some(&fleet), &[], Some(1)).plan.unwrap();
    // Each start here draws this part, because it has the same seed.
    let part = whole.clone().draw(1, "gamedays/ape.toml".to_owned());
    let write_run = |name: &str, planned: &Plan| {
        Drill::users(0).write(&home.join("reports").join(name), RUN, |plan, wall| {
            *wall = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
            plan.name.clone_from(&planned.name);
            plan.files.clone_from(&planned.files);
            plan.environment = Some("staging".to_owned());
        });
    };
    let refused = started(home, &["--now", "--seed", "1"]);
    assert_eq!(refused["reason"], "promotion", "{refused}");
    write_run("part", &part);
    let refused = started(home, &["--now", "--seed", "1"]);
    assert_eq!(refused["reason"], "promotion", "{refused}");
    assert!(
        refused["why"].as_str().unwrap().ends_with("or only some of its attacks were drawn"),
        "{refused}"
    );
    write_run("whole", &whole);
    let begun = started(home, &["--now", "--seed", "1"]);
    assert_eq!(begun["lines"][0]["event"], "begun", "{begun}");
}
