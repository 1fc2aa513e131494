//! Measures `firedrill check` on fleets of 100 to 100,000 hosts, for faults whose peers have different forms.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Failure,
    check::{Run, SUCCESS, once},
    say::{line, mib, millis},
};

/// The numbers of hosts.
const SIZES: [u32; 4] = [100, 1_000, 10_000, 100_000];
/// The number of runs, of which the shortest counts: other work on the machine only makes a run longer.
const RUNS: u32 = 3;

/// The faults, each with its name here and the lines of its attack.
const FAULTS: [(&str, &str); 7] = [
    ("service-stop on half of them", "on = \"green\"\nfault.service-stop = { service = \"checkout\" }"),
    ("host-isolate on a seventh", "on = \"region3\"\nfault.host-isolate = {}"),
    ("net-block, one half to the other", "on = \"green\"\nfault.net-block = { to = \"blue\" }"),
    ("net-slow, all to all", "on = \"all\"\nfault.net-slow = { to = \"all\", delay = \"100ms\" }"),
    ("net-partition, halves", "on = \"all\"\nfault.net-partition = { shape = \"halves\" }"),
    ("net-partition, ring", "on = \"all\"\nfault.net-partition = { shape = \"ring\" }"),
    (
        "host-isolate, zone after zone",
        "on = \"zones\"\nfor_each = \"zones\"\nfault.host-isolate = { except = \"region3\" }",
    ),
];

pub(crate) fn run() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let fleets = SIZES.map(|hosts| (hosts, dir.path().join(format!("fleet-{hosts}.toml"))));
    for (hosts, file) in &fleets {
        std::fs::write(file, toml(*hosts)?)?;
    }
    for (number, (what, attack)) in FAULTS.iter().enumerate() {
        let scenario = dir.path().join(format!("scenario-{number}.toml"));
        std::fs::write(&scenario, scenario_of(attack))?;
        for (hosts, fleet) in &fleets {
            show(what, *hosts, &scenario, &["--fleet".into(), fleet.clone()])?;
        }
    }
    // The scenario with the net-block.
    let scenario = dir.path().join("scenario-2.toml");
    for hosts in SIZES {
        let file = dir.path().join(format!("fleet-{hosts}.json"));
        std::fs::write(&file, json(hosts))?;
        let command = format!("cat {}", file.display());
        show(
            "net-block, the fleet from a command",
            hosts,
            &scenario,
            &["--fleet-command".into(), command.into()],
        )?;
    }
    Ok(())
}

/// Runs `firedrill check` on a scenario, with the options that name the fleet, and prints the shortest run.
fn show(what: &str, hosts: u32, scenario: &Path, fleet: &[PathBuf]) -> Result<(), Failure> {
    let mut best: Option<Run> = None;
    for _ in 0..RUNS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firedrill"));
        let run = once(command.arg("check").arg(scenario).args(fleet), SUCCESS)?;
        if best.as_ref().is_none_or(|best| run.took < best.took) {
            best = Some(run);
        }
    }
    let best = best.ok_or("no run")?;
    let target = match hosts {
        10_000 => "300 ms, 100 MiB",
        100_000 => "3 s",
        _ => "",
    };
    let seen = format!("{} ({} at work), {}", millis(best.took), millis(best.worked), mib(best.peak_kib));
    line(&format!("{what}: {hosts} hosts"), &seen, target);
    Ok(())
}

/// Returns a scenario with one attack.
fn scenario_of(attack: &str) -> String {
    format!(
        r#"schema = 1
name = "scale"
hypothesis = "All is well."

[targets]
all = {{ where = {{ group = ["green", "blue"] }} }}
green = {{ where = {{ group = "green" }} }}
blue = {{ where = {{ group = "blue" }} }}
region3 = {{ where = {{ region = "region3" }} }}
zones = {{ where = {{ region = ["region0", "region1"] }}, group_by = "zone" }}

[probes.front]
http.url = "http://10.0.0.1/"
rate = 50
timeout = "500ms"
from = ["coordinator", "region3"]

[objectives.users]
probe = "front"
good = "95%"
during = ["fault"]

[guard]
max_share = {{ of = "fleet", share = "100%" }}
keep = {{ app = 0 }}

[[attack]]
name = "act"
{attack}
hold = "60s"
"#
    )
}

/// Returns the name, address, role, region, zone and group of the host with a number.
fn host(number: u32) -> [String; 6] {
    let role = ["app", "db", "cache", "edge", "queue"][number as usize % 5];
    let [_, a, b, c] = (number + 1).to_be_bytes();
    [
        format!("{role}{}", number / 5),
        format!("10.{a}.{b}.{c}"),
        role.to_owned(),
        format!("region{}", number % 7),
        format!("zone{}-{}", number % 7, number % 3),
        ["green", "blue"][number as usize % 2].to_owned(),
    ]
}

/// Returns a fleet file with groups, roles, regions and zones.
fn toml(hosts: u32) -> Result<String, Failure> {
    let mut text = String::from("schema = 1\n");
    for [name, address, role, region, zone, group] in (0..hosts).map(host) {
        write!(
            text,
            "\n[[host]]\nname = \"{name}\"\naddress = \"{address}\"\nroles = [\"{role}\"]\nregion = \"{region}\"\n\
             zone = \"{zone}\"\nlabels = {{ group = \"{group}\" }}\n"
        )?;
    }
    Ok(text)
}

/// Returns the same fleet as JSON, as an inventory program prints it.
fn json(hosts: u32) -> String {
    let one = |[name, address, role, region, zone, group]: [String; 6]| {
        serde_json::json!({ "name": name, "address": address, "roles": [role], "region": region, "zone": zone,
            "labels": { "group": group } })
    };
    let hosts: Vec<_> = (0..hosts).map(host).map(one).collect();
    serde_json::json!({ "schema": 1, "host": hosts }).to_string()
}
