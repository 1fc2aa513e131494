//! Faults of other runs count, and of two runs the later one gives way.

use firedrill_wire::api::{About, Clock};

use super::*;

fn bounds_of(most: usize) -> Bounds {
    let hosts = ["app1", "app2", "app3"].map(String::from).into();
    Bounds {
        run: "r5".parse().unwrap(),
        groups: vec![Group { rule: "keep (2 of the 3 hosts of role `app`)".into(), hosts, most }],
        instants: vec![["app1".to_owned()].into()],
        agents: BTreeMap::new(),
        silent: BTreeMap::new(),
        slowest_us: 0,
    }
}

fn status(host: &str, open: &[(&str, State, bool)]) -> AgentStatus {
    let open = open.iter().map(|(run, state, due)| OpenOne {
        id: "x".parse().unwrap(),
        run: run.parse().unwrap(),
        kind: "service-stop".into(),
        state: *state,
        ends_boot_us: 30_000_000,
        effects: Vec::new(),
        about: About { drill: "stopit".into(), operator: "bob".into(), ticket: None },
        due: *due,
    });
    AgentStatus {
        host: host.into(),
        version: String::new(),
        clock: Clock { boot_us: 10_000_000, boot_id: String::new(), wall_us: 0 },
        halted_by: None,
        open: open.collect(),
        last_seq: 0,
        warnings: Vec::new(),
    }
}

fn room(bounds: &Bounds, armed: bool, statuses: &[AgentStatus]) -> Room {
    let taken =
        statuses.iter().filter_map(|status| Some((status.host.clone(), bounds.taken(status, armed)?)));
    bounds.room(&taken.collect())
}

#[test]
fn faults_of_other_runs_count_and_are_named() {
    let bounds = bounds_of(1);
    assert!(matches!(room(&bounds, false, &[status("app2", &[])]), Room::Enough));
    let own = status("app2", &[("r5", State::InForce, false)]);
    assert!(matches!(room(&bounds, false, &[own]), Room::Enough), "a fault of this run");
    let same = status("app1", &[("r1", State::InForce, false)]);
    assert!(
        matches!(room(&bounds, false, &[same]), Room::Enough),
        "the same host, which is under a fault anyway"
    );
    let lasts = "at most 20 s more";
    let stuck = "could not be put back: see `firedrill status`, then `firedrill undo --run r9`";
    for (state, left) in [(State::Armed, lasts), (State::InForce, lasts), (State::Stuck, stuck)] {
        let Room::None(why) = room(&bounds, false, &[status("app2", &[("r9", state, false)])]) else {
            panic!("{state:?} does not count")
        };
        for part in ["keep (2 of the 3 hosts", "app2 has service-stop of run r9 (stopit, by bob", left] {
            assert!(why.contains(part), "{why}");
        }
    }
    let wide = bounds_of(2);
    assert!(matches!(room(&wide, false, &[status("app2", &[("r9", State::InForce, false)])]), Room::Enough));
}

#[test]
fn a_host_that_cannot_be_asked_counts_whatever_the_error_is() {
    for why in [
        "Connection refused (os error 111)",
        "ssh: connect to host bastion port 22: Connection refused",
        "no route to host",
    ] {
        let mut bounds = bounds_of(1);
        let (host, at, why) = ("app2".to_owned(), "10.0.0.2:7077".to_owned(), why.to_owned());
        bounds.unheard("app2".to_owned(), &LinkError::Unreachable { host, at, why: why.clone() });
        let Room::None(told) = bounds.room(&bounds.silent) else { panic!("`{why}` counts as free") };
        assert!(told.contains("app2 cannot be asked") && told.contains(&why), "{told}");
    }
}

#[test]
fn of_two_runs_that_armed_at_the_same_time_the_later_id_gives_way() {
    let bounds = bounds_of(1);
    let at = |run, state, due| room(&bounds, true, &[status("app2", &[(run, state, due)])]);
    assert!(matches!(at("r9", State::Armed, false), Room::Soon(_)), "r9 sees this run, and gives way");
    assert!(matches!(at("r9", State::Armed, true), Room::None(_)), "r9 looked before, and will start");
    assert!(matches!(at("r9", State::InForce, false), Room::None(_)));
    assert!(matches!(at("r1", State::Armed, false), Room::None(_)), "this run gives way to r1");
    let both = status("app2", &[("r9", State::Armed, false), ("r1", State::InForce, false)]);
    assert!(matches!(room(&bounds, true, &[both]), Room::None(_)));
}
