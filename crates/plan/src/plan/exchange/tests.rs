//! The exchanges of faults on one host of a small fleet, and the reasons for which there are none.

use firedrill_wire::{
    Fault,
    fault::{HostIsolate, NetBlock, NetSlow, PortRange, Refuse},
};

use super::*;
use crate::{fleet::FleetSource, plan::inspect};

/// Returns a plan with one attack on app1, measured by the coordinator and the canary.
fn plan() -> Plan {
    let dir = tempfile::tempdir().unwrap();
    let (fleet, scenario) = (dir.path().join("fleet.toml"), dir.path().join("one.toml"));
    let hosts = ["app1", "app2", "db2", "canary"].iter().zip(1..);
    let hosts =
        hosts.map(|(name, last)| format!("[[host]]\nname = \"{name}\"\naddress = \"10.9.0.{last}\"\n"));
    std::fs::write(&fleet, format!("schema = 1\n{}", hosts.collect::<String>())).unwrap();
    let text = "schema = 1\nname = \"one\"\nhypothesis = \"all is well\"\n\
                [probes.buy]\ntcp.address = \"10.9.0.9:80\"\nrate = 100\ntimeout = \"500ms\"\n\
                from = [\"coordinator\", \"canary\"]\n\
                [objectives.users]\nprobe = \"buy\"\ngood = \"90%\"\nduring = [\"fault\"]\n\
                [[attack]]\nname = \"stop\"\non = \"app1\"\nfault.service-stop = { service = \"checkout\" }\n\
                hold = \"60s\"\n";
    std::fs::write(&scenario, text).unwrap();
    let found = inspect(&scenario, Some(&FleetSource::File(fleet)), &[], Some(7));
    found.plan.unwrap_or_else(|| panic!("{}", found.report.render(false, 110)))
}

fn exchanges(plan: &Plan) -> Result<Vec<Pair>, String> {
    all(plan, &plan.attacks[0]).remove(0)
}

/// Returns the exchanges for a fault on app1. All hosts have their own addresses.
fn pairs(fault: Fault) -> Result<Vec<Pair>, String> {
    let mut plan = plan();
    plan.attacks[0].injections[0].fault = fault;
    exchanges(&plan)
}

fn block(edit: impl FnOnce(&mut NetBlock)) -> Fault {
    let mut block = NetBlock { to: vec!["10.9.0.3".to_owned()].into(), ..NetBlock::default() };
    edit(&mut block);
    Fault::NetBlock(block)
}

fn port(port: u16) -> Vec<PortRange> {
    vec![PortRange { first: port, last: port }]
}

#[test]
fn exchanges_make_traffic_that_the_fault_chooses() {
    let one = |fault| {
        let all = pairs(fault).unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        let pair = all.into_iter().next().unwrap();
        (pair.asker, pair.other, pair.ask.to.to_string(), pair.ask.way, pair.expect, pair.counted)
    };
    let expected = |asker: &str, other: &str, to: &str, way, expect, counted| {
        (asker.to_owned(), other.to_owned(), to.to_owned(), way, expect, counted)
    };
    assert_eq!(one(block(|_| {})), expected("app1", "db2", "10.9.0.3", Way::Echo, Expect::Silence, 5));
    assert_eq!(
        one(block(|block| block.remote_ports = port(5432))),
        expected("app1", "db2", "10.9.0.3", Way::Connect(5432), Expect::Silence, 5)
    );
    // For a port of this host the peer has to ask, so the run needs a link with it. It has one with the canary, which
    // measures.
    assert_eq!(
        one(block(|block| {
            block.to = vec!["10.9.0.4/31".to_owned()].into();
            block.local_ports = port(8080);
            block.how = Refuse::Reject;
        })),
        expected("canary", "app1", "10.9.0.1", Way::Connect(8080), Expect::NoAnswer, 50)
    );
    let slow = NetSlow {
        to: vec!["10.9.0.0/24".to_owned()].into(),
        except: vec!["10.9.0.2".to_owned(), "10.9.0.4".to_owned()].into(),
        delay: Span::millis(200),
        direction: Direction::Both,
        ..NetSlow::default()
    };
    let slow = one(Fault::NetSlow(slow));
    assert_eq!((slow.1.as_str(), slow.4), ("db2", Expect::AtLeast(200_000)));
    let isolated =
        pairs(Fault::HostIsolate(HostIsolate { except: vec!["10.9.0.2".to_owned()].into() })).unwrap();
    let others: Vec<_> = isolated.iter().map(|pair| pair.other.as_str()).collect();
    assert_eq!(others, ["db2", "canary"]);
}

#[test]
fn a_fault_that_cannot_be_tried_out_has_a_reason() {
    let why = |fault| pairs(fault).unwrap_err();
    assert!(why(block(|block| block.user = Some("www".to_owned()))).contains("user www"));
    assert!(why(block(|block| block.service = Some("checkout".to_owned()))).contains("service checkout"));
    assert!(why(block(|block| block.protocol = Some(Protocol::Udp))).contains("UDP"));
    assert!(why(block(|block| block.to = vec!["db.example".to_owned()].into())).contains("no peer"));
    assert!(why(block(|block| block.interfaces = vec!["eth1".to_owned()])).contains("interfaces"));
    assert_eq!(exchanges(&plan()), Ok(Vec::new()), "not about traffic");
    let partly = block(|block| block.flows = firedrill_wire::Share::from_fraction(0.5));
    assert_eq!(pairs(partly).unwrap()[0].expect, Expect::Anything);
}
