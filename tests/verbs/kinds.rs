//! Probes of the small kinds from a host of a lab: objectives are violated on paths that a fault cuts, and held on others.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::{
    bench::{Bench, assert_ends, labs, programs},
    output::said,
};

const FLEET: &str = include_str!("../right/kinds-fleet.toml");

const SCENARIO: &str = r#"
schema = 1
name = "kinds"
hypothesis = "Whoever measures knows what is gone and what is not."

[targets.app1]
where = { name = "app1" }

[probes.way]
icmp = { host = "10.81.1.11" }
rate = 20
from = ["client1"]

# Another way than that of the client.
[probes.here]
icmp = { host = "app1" }
rate = 20

[probes.way-v6]
icmp = { host = "fd81::11", size = 1200 }
rate = 20
from = ["client1"]

[probes.names]
dns = { server = "app1", name = "shop.example", expect = ["192.0.2.7"], match = "exact" }
rate = 20
from = ["client1"]

# The lab's own name server is no host of the fleet, and no fault is on the way to it.
[probes.lab-names]
dns = { server = "169.254.0.1", name = "app1.lab.test", type = "AAAA", expect = ["fd81::11"] }
rate = 20
from = ["client1"]

[probes.certificate]
tls = { address = "app1:443", ca_file = "/etc/pki/tls/certs/ca.pem", expires_in = "14d" }
rate = 20
from = ["client1"]

[attack_defaults]
baseline = "2s"
hold = "4s"
recovery = "2s"
settle = "1s"

[[attack]]
name = "no way"
on = "app1"
fault.net-block = { to = "client1" }

[[attack]]
name = "no names"
on = "app1"
fault.service-stop = { service = "names" }
"#;

const PROBES: [&str; 6] = ["way", "here", "way-v6", "names", "lab-names", "certificate"];

/// Writes an authority, and a server's certificate with its key.
fn certificates(bench: &Bench) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    bench.file("ca.pem", &params.self_signed(&key).unwrap().pem());
    let (issuer, key) = (Issuer::new(params, key), KeyPair::generate().unwrap());
    let leaf = CertificateParams::new(["app1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    bench.file("tls.pem", &[leaf.pem(), key.serialize_pem()].concat());
}

/// Returns the objective of a probe in an attack.
fn objective<'c>(card: &'c Value, attack: usize, probe: &str) -> &'c Value {
    let all = card["attacks"][attack]["objectives"].as_array().unwrap_or_else(|| panic!("{card:#}"));
    all.iter().find(|objective| objective["name"] == probe).unwrap()
}

#[test]
fn each_kind_says_what_a_fault_cuts_off() {
    if !labs() || !programs(&["python3"]) {
        return;
    }
    let bench = Bench::new("kinds", FLEET);
    certificates(&bench);
    let up = ["lab", "up", "--fleet", "fleet.toml", "--name", &bench.lab];
    assert_ends(&bench.firedrill(&up).output().unwrap(), 0, "app1: names is ready after");
    let objectives = PROBES.map(|name| format!("[objectives.{name}]\nprobe = \"{name}\"\ngood = \"90%\"\n"));
    let run = bench.run(&[SCENARIO, &objectives.concat()].concat(), &[]);
    assert_eq!(run.status.code(), Some(1), "some are violated: {}", said(&run));
    let card = bench.card();
    for (attack, violated) in [(0, &["way", "way-v6", "names", "certificate"][..]), (1, &["names"])] {
        for probe in PROBES {
            let one = objective(&card, attack, probe);
            let wanted = if violated.contains(&probe) { "violated" } else { "held" };
            assert_eq!(one["verdict"], wanted, "{attack} {probe}: {one:#} {}", said(&run));
        }
    }
    // A port without a program answers by an ICMP error, which is no time-out.
    let log = bench.logs().concat();
    assert!(log.contains("refused") && log.contains("timeout"), "{log}");
    bench.assert_quiet();
}
