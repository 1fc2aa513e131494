//! Attacks on a target that moves: the host that says that it is the leader is attacked, and no host is if two say so.

use std::fs;

use crate::bench::{Bench, assert_ends, labs, programs};

/// A server that sends its role to each client.
const SERVER: &str = "import socketserver, sys\nclass Say(socketserver.BaseRequestHandler):\n    def handle(self):\n        self.request.sendall(('role:' + sys.argv[1] + '\\n').encode())\nsocketserver.ThreadingTCPServer.allow_reuse_address = True\nsocketserver.ThreadingTCPServer(('0.0.0.0', 6379), Say).serve_forever()\n";

/// Returns a fleet of three databases with these roles.
fn fleet(roles: [&str; 3]) -> String {
    let mut text = "schema = 1\n".to_owned();
    for (number, role) in (1..).zip(roles) {
        text += &format!(
            "[[host]]\nname = \"d{number}\"\nroles = [\"db\"]\naddresses = [\"10.78.3.1{number}\"]\n\
             [[host.service]]\nname = \"db\"\nargv = [\"python3\", \"/etc/drill/db.py\", \"{role}\"]\n\
             ready = {{ tcp = 6379, within = \"30s\" }}\n\
             file = [{{ path = \"/etc/drill/db.py\", content = '''\n{SERVER}''' }}]\n"
        );
    }
    text
}

/// Returns a scenario that stops the database of the leader, whom `pick_by` finds.
fn scenario(pick_by: &str) -> String {
    format!(
        "schema = 1\nname = \"leader\"\nhypothesis = \"The followers answer without their leader.\"\n\
         [targets.leader]\nwhere = {{ role = \"db\" }}\npick_by = {pick_by}\n\
         [probes.reads]\ntcp = {{ address = \"d1:6379\", expect = \"role:\" }}\nrate = 20\ntimeout = \"1s\"\n\
         [objectives.users]\nprobe = \"reads\"\ngood = \"50%\"\n\
         [[attack]]\nname = \"stop the leader\"\non = \"leader\"\nbaseline = \"2s\"\nhold = \"3s\"\nrecovery = \"1s\"\n\
         fault.service-stop = {{ service = \"db\" }}\n"
    )
}

/// The leader is the host whose server says so.
const BY_PROBE: &str = "{ tcp = { address = \"{host}:6379\", expect = \"role:master\" } }";

#[test]
fn the_host_that_says_that_it_is_the_leader_is_hit_and_no_other() {
    if !labs() || !programs(&["python3"]) {
        return;
    }
    let bench = Bench::with("leader", &fleet(["slave", "master", "slave"]));
    let plan = bench.run(&scenario(BY_PROBE), &["--plan"]);
    assert_ends(&plan, 0, "leader of `leader`: names d2 now");
    assert_ends(&plan, 0, "the one on the leader of `leader`, which is one of d1");
    let run = bench.run(&scenario(BY_PROBE), &[]);
    assert_ends(&run, 0, "d2");
    let log = bench.logs().remove(0);
    let armed: Vec<&str> = log.lines().filter(|line| line.contains("\"event\":\"armed\"")).collect();
    assert!(armed.len() == 1 && armed[0].contains("\"host\":\"d2\""), "{armed:?}");
    assert_eq!(
        log.matches("\"event\":\"leader-asked\"").count(),
        2,
        "the leader is not asked for once before the baseline and once after it"
    );
    let card = bench.card();
    assert_eq!((card["verdict"].as_str(), card["planned"].as_u64()), (Some("held"), Some(1)), "{card}");
    assert_eq!(card["attacks"][0]["course"]["spared"], "the leader was d2");
    assert_eq!(card["attacks"][1]["course"], "ran");
    let folder = crate::runs::run_folders(&bench.reports()).remove(0);
    for file in ["report.html", "report.md"] {
        let report = fs::read_to_string(folder.join(file)).unwrap();
        assert!(report.contains("the leader was d2"), "{file}");
    }
    fs::remove_dir_all(bench.reports()).unwrap();
    // A program names the leader, by its address.
    let program = "{ command = [\"sh\", \"-c\", \"echo 10.78.3.13\"] }";
    assert_ends(&bench.run(&scenario(program), &[]), 0, "d3");
    let log = bench.logs().remove(0);
    assert!(log.lines().any(|line| line.contains("\"event\":\"armed\"") && line.contains("\"host\":\"d3\"")));
}

#[test]
fn with_two_leaders_or_none_nothing_is_armed_and_the_run_is_unknown() {
    if !labs() || !programs(&["python3"]) {
        return;
    }
    let bench = Bench::with("leaders", &fleet(["master", "slave", "master"]));
    assert_ends(&bench.run(&scenario(BY_PROBE), &[]), 3, "2 hosts answered as the leader: d1, d3");
    bench.assert_untouched();
    assert_eq!(bench.card()["verdict"], "unknown");
    fs::remove_dir_all(bench.reports()).unwrap();
    // The leader moves between the first answer and the second.
    let moves =
        "{ command = [\"sh\", \"-c\", \"if test -e asked; then echo d2; else touch asked; echo d1; fi\"] }";
    let moved = bench.run(&scenario(moves), &[]);
    assert_ends(&moved, 3, "the leader moved from d1 to d2 during the baseline");
    bench.assert_untouched();
    fs::remove_dir_all(bench.reports()).unwrap();
    let nobody = "{ command = [\"sh\", \"-c\", \"exit 4\"] }";
    assert_ends(&bench.run(&scenario(nobody), &[]), 3, "its program named nobody: exit code 4");
    bench.assert_untouched();
}
