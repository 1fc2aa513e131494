//! Several runs on one fleet at the same time.

use std::{
    fs,
    process::{Child, Stdio},
};

use crate::{
    bench::{Bench, assert_ends, labs, plain_scenario, scenario, wait},
    output::said,
};

/// A run does not count the faults of another run as its own, and together they obey the guard of each.
#[test]
fn several_runs_on_one_fleet() {
    if !labs() {
        return;
    }
    let bench = Bench::up("several");
    let stop = |host: &str| {
        scenario(1, "40s", "[guard]\nkeep = { app = 1 }", "")
            .replace("where = { name = \"app1\" }", &format!("where = {{ name = \"{host}\" }}"))
            .replace("name = \"verbs\"", &format!("name = \"stop-{host}\""))
    };
    let (mut first, _) = bench.until_in_force(&stop("app1"));
    let text = |output: &std::process::Output| said(output).split_whitespace().collect::<Vec<_>>().join(" ");
    // A run that measured the same addresses would take the other's faults for its own.
    let apart = bench.run(&stop("app2"), &[]);
    assert_ends(&apart, 4, "is going on, expected to end before ");
    for part in [
        "refused: run ",
        "-stop-app1-",
        "it measures edge1:",
        " too; wait for its end, or run beside it with --beside-others",
    ] {
        assert!(text(&apart).contains(part), "{part}: {}", said(&apart));
    }
    let refused = bench.run(&stop("app2"), &["--beside-others"]);
    assert_ends(&refused, 4, "keep (1 of the 2 hosts of role `app`) would be exceeded");
    for part in ["app1 has service-stop of run ", "(stop-app1, by ", "wait for that to end"] {
        assert!(text(&refused).contains(part), "{}", said(&refused));
    }
    // A run on the same host begins and ends while the other run's fault is in force.
    let slow = plain_scenario(1, "3s").replace("name = \"verbs\"", "name = \"slow\"").replace(
        "service-stop = { service = \"checkout\" }",
        "net-slow = { to = \"edge1\", delay = \"20ms\" }",
    );
    assert_ends(&bench.run(&slow, &[]), 4, "it has faults for app1 too");
    let beside = bench.run(&slow, &["--beside-others"]);
    assert_ne!(beside.status.code(), Some(6), "{}", said(&beside));
    assert!(first.try_wait().unwrap().is_none(), "the first run has ended, so nothing ran beside it");
    assert_eq!(wait(&mut first).code(), Some(0), "{}", bench.stderr());
    let ends: Vec<String> = bench
        .logs()
        .concat()
        .lines()
        .filter(|line| line.contains("\"host-ended\""))
        .map(str::to_owned)
        .collect();
    assert!(ends.len() == 2 && ends.iter().all(|line| line.contains("\"clean\"")), "{ends:?}");
    let told = bench.logs().iter().filter(|log| log.contains("it has faults for app1 too")).count();
    assert_eq!(told, 2, "the log of the refused run, and the note of the one beside");

    // Both start at once, and one of them is refused: by the claim of the other, or beside others by the guard.
    for (flags, wanted) in [
        (&[][..], "is going on, expected to end before "),
        (&["--beside-others"][..], "keep (1 of the 2 hosts"),
    ] {
        let before = bench.folder.path().join(format!("before-{}", flags.len()));
        fs::rename(bench.reports(), before).unwrap();
        let mut both: Vec<Child> = ["app1", "app2"]
            .iter()
            .map(|host| {
                let file = bench.file(&format!("{host}.toml"), &stop(host).replace("40s", "5s"));
                bench
                    .on(&[&["run", file.to_str().unwrap()], flags].concat())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap()
            })
            .collect();
        let codes: Vec<_> = both.iter_mut().map(|child| wait(child).code()).collect();
        let in_force = bench.logs().iter().filter(|log| log.contains("\"to\":\"in-force\"")).count();
        let lost = bench.logs().iter().filter(|log| log.contains(wanted)).count();
        assert_eq!((in_force, lost), (1, 1), "{flags:?} {codes:?}");
    }
    bench.assert_quiet();
}
