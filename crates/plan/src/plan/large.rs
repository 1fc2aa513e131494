//! Plans of large fleets grow linearly with the number of hosts, not quadratically. The tests count texts and bytes
//! of a plan instead of measuring time.

use std::{collections::HashMap, fmt::Write as _, path::PathBuf};

use firedrill_wire::Fault;

use super::{Inspection, Plan, exchange, inspect, print};
use crate::fleet::FleetSource;

const HOSTS: usize = 1_000;

/// The files of a fleet and of a scenario with one attack, in a temporary directory.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(hosts: usize, attack: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut fleet = String::from("schema = 1\n");
        for n in 0..hosts {
            let (address, region) = (format!("10.0.{}.{}", n / 250, n % 250 + 1), n % 7);
            // Writing to a String cannot fail.
            _ = writeln!(
                fleet,
                "[[host]]\nname = \"app{n}\"\naddress = \"{address}\"\nregion = \"r{region}\"\nroles = [\"app\", \"{}\"]",
                ["a", "b"][n % 2],
            );
        }
        std::fs::write(dir.path().join("fleet.toml"), fleet).expect("writes");
        let scenario = format!(
            "schema = 1\nname = \"large\"\nhypothesis = \"all is well\"\n\
             [targets]\nall = {{ where = {{ role = \"app\" }} }}\na = {{ where = {{ role = \"a\" }} }}\n\
             b = {{ where = {{ role = \"b\" }} }}\nr0 = {{ where = {{ region = \"r0\" }} }}\nr1 = {{ where = {{ region = \"r1\" }} }}\n\
             [probes.front]\ntcp.address = \"10.0.0.1:80\"\nrate = 50\ntimeout = \"500ms\"\nfrom = [\"coordinator\"]\n\
             [objectives.users]\nprobe = \"front\"\ngood = \"95%\"\nduring = [\"fault\"]\n\
             [guard]\nmax_share = {{ of = \"fleet\", share = \"100%\" }}\nkeep = {{ app = 0 }}\n\
             [[attack]]\nname = \"act\"\n{attack}\nhold = \"60s\"\n"
        );
        std::fs::write(dir.path().join("large.toml"), scenario).expect("writes");
        Self { dir }
    }

    fn inspected(&self) -> Inspection {
        let file = |name: &str| -> PathBuf { self.dir.path().join(name) };
        inspect(&file("large.toml"), Some(&FleetSource::File(file("fleet.toml"))), &[], Some(7))
    }

    fn plan(&self) -> Plan {
        let found = self.inspected();
        found.plan.unwrap_or_else(|| panic!("{}", found.report.render(false, 110)))
    }
}

/// Faults with peers of each possible form.
const ATTACKS: [&str; 7] = [
    "on = \"r0\"\nfault.host-isolate = {}",
    "on = \"all\"\nfault.host-isolate = { except = \"all\" }",
    "on = \"a\"\nfault.net-block = { to = \"b\" }",
    "on = \"all\"\nfault.net-slow = { to = [\"all\", \"10.9.0.0/16\"], delay = \"100ms\", except = \"r0\" }",
    "on = \"all\"\nfault.net-partition = { shape = \"halves\", one_way = true }",
    "on = \"all\"\nfault.net-partition = { shape = \"ring\" }",
    "on = \"all\"\nfault.net-partition = { groups = [\"r0\", \"r1\", \"rest\"] }",
];

/// Returns the number of texts in all distinct lists of peers and of exclusions.
fn held(plan: &Plan) -> usize {
    let mut lists = HashMap::new();
    let faults = plan.attacks.iter().flat_map(|attack| &attack.injections).map(|one| &one.fault);
    for peers in faults.flat_map(Fault::selectors) {
        lists.insert(peers.key(), peers.all().len());
        lists.insert(peers.but().as_ptr().addr(), peers.but().len());
    }
    lists.values().sum()
}

#[test]
fn peers_are_held_and_written_once() {
    for attack in ATTACKS {
        let plan = Files::new(HOSTS, attack).plan();
        let held = held(&plan);
        assert!(held <= 8 * HOSTS, "{held} texts of peers for {HOSTS} hosts: {attack}");
        let text = serde_json::to_string(&plan).expect("prints");
        assert!(text.len() <= 600 * HOSTS, "{} bytes for {HOSTS} hosts: {attack}", text.len());
        let read: Plan = serde_json::from_str(&text).expect("reads its own text");
        assert_eq!(read.digest(), plan.digest(), "{attack}");
        assert!(self::held(&read) <= 8 * HOSTS, "{attack}");
    }
}

#[test]
fn the_text_for_people_does_not_grow_with_the_fleet() {
    for attack in ATTACKS {
        let plan = Files::new(HOSTS, attack).plan();
        let text = print::text(&plan, &[], 110);
        assert!(text.len() < 8_000, "{} bytes: {attack}\n{text}", text.len());
        assert!(print::summary(&plan).len() < 400, "{}", print::summary(&plan));
    }
}

/// Compares the peers of each host with the definition of each fault.
#[test]
fn shared_lists_give_each_host_its_own_peers() {
    let addresses = |plan: &Plan, meant: &dyn Fn(usize) -> bool| -> Vec<String> {
        let all = plan.hosts.iter().enumerate().filter(|(n, _)| meant(*n));
        all.map(|(_, host)| host.addresses[0].to_string()).collect()
    };
    let to = |fault: &Fault| fault.on_traffic().expect("traffic").traffic().to.to_vec();
    let plan = Files::new(60, ATTACKS[3]).plan();
    for (n, one) in plan.attacks[0].injections.iter().enumerate() {
        let mut others = addresses(&plan, &|other| other != n);
        others.push("10.9.0.0/16".to_owned());
        assert_eq!(to(&one.fault), others, "everybody but {}", one.host);
    }
    let plan = Files::new(60, ATTACKS[6]).plan();
    let side = |n: usize| if n % 7 < 2 { n % 7 } else { 2 };
    for (n, one) in plan.attacks[0].injections.iter().enumerate() {
        assert_eq!(to(&one.fault), addresses(&plan, &|other| side(other) != side(n)), "{}", one.host);
    }
    let plan = Files::new(60, ATTACKS[5]).plan();
    for one in &plan.attacks[0].injections {
        assert_eq!(to(&one.fault).len(), 57, "all but {} and its neighbours", one.host);
    }
}

#[test]
fn exchanges_of_large_fleets_are_those_of_the_first_peers() {
    let plan = Files::new(HOSTS, ATTACKS[2]).plan();
    let all = exchange::all(&plan, &plan.attacks[0]);
    assert_eq!(all.len(), HOSTS / 2);
    let others = |n: usize| -> Vec<&str> {
        all[n].as_ref().expect("tried out").iter().map(|pair| pair.other.as_str()).collect()
    };
    assert_eq!(others(0), ["app1", "app3"]);
    assert_eq!(others(11), ["app1", "app3"]);
    assert!(all[12..].iter().all(|one| one.as_ref().is_err_and(|why| why.contains("are enough"))));
    let plan = Files::new(60, ATTACKS[6]).plan();
    let first = exchange::all(&plan, &plan.attacks[0]).swap_remove(0).expect("tried out");
    assert_eq!(first.iter().map(|pair| pair.other.as_str()).collect::<Vec<_>>(), ["app1", "app2"]);
}

#[test]
fn one_mistake_in_each_host_is_reported_in_few_lines() {
    let files = Files::new(HOSTS, ATTACKS[0]);
    let path = files.dir.path().join("fleet.toml");
    let fleet = std::fs::read_to_string(&path).expect("reads").replace("roles =", "rolls =");
    std::fs::write(&path, fleet).expect("writes");
    let report = files.inspected().report;
    assert_eq!(report.counts().0, HOSTS);
    assert!(report.items().len() >= HOSTS, "machines get each");
    let text = report.render(false, 110);
    assert!(text.len() < 2_000, "{} bytes: {}", text.len(), &text[..2_000]);
    assert!(text.contains("… and 997 times more: unknown key `rolls` in host, in lines 21, 26,"), "{text}");
}

#[test]
fn more_faults_or_peers_than_an_agent_takes_are_refused_with_their_place() {
    let stop = "fault.service-stop = { service = \"checkout\" }";
    let one = |n: usize| format!("on = \"app1\"\n{stop}\nhold = \"60s\"\n[[attack]]\nname = \"act {n}\"\n");
    let attacks = |count: usize| (1..count).map(one).collect::<String>() + "on = \"app1\"\n" + stop;
    let report = Files::new(10, &attacks(1_000)).inspected().report;
    assert!(!report.failed(), "{}", report.render(false, 110));
    let by =
        |engine: &str| format!("on = \"app1\"\nfault.net-block = {{ to = \"all\", engine = \"{engine}\" }}");
    let inspected = |hosts: usize, engine: &str| Files::new(hosts, &by(engine)).inspected().report;
    for (hosts, engine) in [(4_097, "iptables"), (4_098, "kernel")] {
        let report = inspected(hosts, engine);
        assert!(!report.failed(), "{}", report.render(false, 110));
    }
    let text = inspected(4_098, "iptables").render(false, 110);
    let wanted = "a fault of attack `act` has 4097 peers; iptables needs a rule for each, 4096 at most";
    assert!(text.contains(wanted) && text.contains("large.toml:"), "{text}");
    let text = Files::new(10, &attacks(1_001)).inspected().report.render(false, 110);
    let wanted = "up to attack `act 1000`, host `app1` has more than 1000 faults in this scenario";
    assert!(text.contains(wanted) && text.contains("large.toml:"), "{text}");
}

#[test]
fn secrets_of_the_way_to_a_host_are_not_written() {
    let files = Files::new(2, ATTACKS[2]);
    let path = files.dir.path().join("fleet.toml");
    let connect = "connect = [\"relay\", \"--token\", \"hunter2\", \"%h\"]\nroles =";
    let fleet = std::fs::read_to_string(&path).expect("reads").replace("roles =", connect);
    std::fs::write(&path, fleet).expect("writes");
    let plan = files.plan();
    assert!(format!("{:?}", plan.hosts[0].agent).contains("hunter2"), "it is run as it was written");
    let text = serde_json::to_string(&plan).expect("prints") + &print::text(&plan, &[], 110);
    assert!(text.contains(r#"["relay","--token","***","10.0.0.1"]"#) && !text.contains("hunter2"), "{text}");
}

#[test]
fn plans_of_older_logs_are_read() {
    let plan = Files::new(60, ATTACKS[2]).plan();
    let mut old = serde_json::to_value(&plan).expect("prints");
    let table =
        old.as_object_mut().and_then(|plan| plan.shift_remove("peer_sets")).expect("peers are shared");
    let text = old.to_string().replace(r#"["@0"]"#, &table[0].to_string());
    let read: Plan = serde_json::from_str(&text).expect("reads");
    assert_eq!(read.attacks, plan.attacks);
    let error = serde_json::from_str::<Plan>(&old.to_string()).expect_err("a list is missing").to_string();
    assert!(error.contains("list `0`"), "{error}");
}
