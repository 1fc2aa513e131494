//! A service's packets are distinguished from all others by its cgroup, in both directions, also after a restart.
//!
//! A socket belongs to the cgroup in which it was made: this process moves into the service's to make some.

use std::{
    fs,
    io::{BufRead as _, BufReader, ErrorKind, Read as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use firedrill_agent::{
    host::{
        cgroup::{self, Hierarchy},
        kinds::{has_ifb, has_qdisc},
        sockets::Sockets,
    },
    sandboxed,
    testing::{play, role, skip, wait_until},
};
use firedrill_wire::RefusalCode;

use super::{
    dns,
    engine::{Engine, by},
    trip::{COUNT, at_full_rate, fault, rush, slowed, trip, within},
    world::{Injection, PEER4, PEER6, PEERS, Reach, SELF4, SELF6, UNIT, World},
};

/// A runit service with a cgroup of its own.
struct Service {
    cgroup: PathBuf,
    home: PathBuf,
    status: PathBuf,
    process: Option<Child>,
    _folder: tempfile::TempDir,
}

impl Service {
    /// Starts one; `None` if this user may not make cgroups.
    fn new(world: &mut World, test: &str) -> Option<Self> {
        let hierarchy = Hierarchy::here().unwrap();
        let home = hierarchy.as_ref().zip(cgroup::of(own_pid()).unwrap());
        let Some((hierarchy, home)) = home else {
            skip(&format!("{test}: there are no cgroups of version 2 here"));
            return None;
        };
        let cgroup = hierarchy.folder("/").unwrap().join(format!("fd-test-{}", std::process::id()));
        match fs::create_dir(&cgroup) {
            Ok(()) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
            {
                skip(&format!("{test}: this user may not make cgroups here ({error})"));
                return None;
            }
            Err(error) => panic!("{}: {error}", cgroup.display()),
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("web/supervise")).unwrap();
        world.host.paths.runit = vec![folder.path().to_owned()];
        let status = folder.path().join("web/supervise/status");
        let home = hierarchy.folder(&home).unwrap();
        let mut service = Self { cgroup, home, status, process: None, _folder: folder };
        service.start();
        Some(service)
    }

    fn start(&mut self) {
        let mut process = play("service");
        move_to(&self.cgroup, process.id());
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("ready")));
        let pid = i32::try_from(process.id()).unwrap();
        let status = [&[0; 12][..], &pid.to_le_bytes(), &[0, b'u', 0, 1]].concat();
        fs::write(&self.status, status).unwrap();
        self.process = Some(process);
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// As systemd does it: the cgroup goes with the processes, and another one of the same name is made.
    fn restart(&mut self) {
        self.stop();
        wait_until("the cgroup is empty", || fs::remove_dir(&self.cgroup).is_ok());
        fs::create_dir(&self.cgroup).unwrap();
        self.start();
    }

    /// Runs a closure in the service's cgroup: sockets that it makes are the service's.
    fn does<T>(&self, what: impl FnOnce() -> T) -> T {
        move_to(&self.cgroup, std::process::id());
        let done = what();
        move_to(&self.home, std::process::id());
        done
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if thread::panicking() {
            move_to(&self.home, std::process::id());
        }
        self.stop();
        wait_until("the cgroup is gone", || fs::remove_dir(&self.cgroup).is_ok());
    }
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn move_to(cgroup: &Path, pid: u32) {
    fs::write(cgroup.join("cgroup.procs"), pid.to_string()).unwrap();
}

/// The role of the service's process, which only has to exist.
fn be_there() -> ! {
    println!("\nready");
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}

sandboxed! {
    fn a_services_packets_are_told_both_ways_and_after_a_restart() {
        if role().is_some() {
            be_there();
        }
        let mut world = World::new();
        let Some(mut service) = Service::new(&mut world, "a_services_packets_are_told") else { return };
        let world = world;
        let before = world.snapshot();
        let _listener = service.does(|| TcpListener::bind(("::", 8081)).unwrap());
        let block = fault(r#"{"net-block":{"to":["10.1.0.2","fd00:1::2"],"service":"web"}}"#);
        let injection = Injection::make(&world, &block);
        let effect = &injection.live.prepared.effects[0];
        let name = service.cgroup.file_name().unwrap().to_str().unwrap();
        assert!(effect.contains(&format!("of service web (cgroup /{name})")), "{effect}");
        let blocked = |service: &Service| {
            for (peer, own) in [(PEER4, SELF4), (PEER6, SELF6)] {
                assert_eq!(service.does(|| world.tcp_out(peer, 8080)), Reach::No, "{peer}");
                assert_eq!(service.does(|| world.udp_out(peer, 9999)), Reach::No, "{peer}");
                assert_eq!(service.does(|| world.udp_in(own, 9999)), Reach::No, "{own}");
                assert_eq!(world.tcp_in(own, 8081), Reach::No, "{own}");
                // Others: the same packets, other sockets.
                assert_eq!(world.tcp_out(peer, 8080), Reach::Yes, "{peer}");
                assert_eq!(world.udp_in(own, 9999), Reach::Yes, "{own}");
                assert_eq!(world.tcp_in(own, 8080), Reach::Yes, "{own}");
            }
        };
        blocked(&service);
        // Peers that are not chosen.
        assert_eq!(service.does(|| world.tcp_out("10.2.0.2", 8080)), Reach::Yes);
        assert_eq!(world.tcp_through("10.2.0.2", 8080), Reach::Yes);

        service.restart();
        let restarted = Instant::now();
        wait_until("the new cgroup is known", || injection.evidence().detail.contains("restarted 1 times"));
        assert!(restarted.elapsed() < Duration::from_secs(10), "{:?}", restarted.elapsed());
        blocked(&service);
        injection.undo();
        assert_eq!(service.does(|| world.tcp_out(PEER4, 8080)), Reach::Yes);
        let out = Injection::make(&world, &fault(r#"{"net-block":{"to":["10.1.0.2","fd00:1::2"],"service":"web","direction":"out"}}"#));
        // As the plan says: the kernel accepts connections, and only packets that the service sends then are its own.
        assert_eq!([SELF4, SELF6].map(|own| world.tcp_in(own, 8081)), [Reach::Yes; 2]);
        out.undo();
        world.assert_same(&before);
    }
}

sandboxed! {
    fn a_services_packets_alone_are_late_in_user_space() {
        if role().is_some() {
            be_there();
        }
        by(Engine::UserSpace, "netem", "a_services_packets_alone_are_late", || {
            let mut world = World::new();
            let Some(service) = Service::new(&mut world, "a_services_packets_alone_are_late") else { return };
            let world = world;
            let before = world.snapshot();
            for peer in PEERS {
                let json = format!(r#"{{"net-slow":{{"to":"{peer}","delay":"150ms","direction":"both","service":"web"}}}}"#);
                let injection = Injection::make(&world, &fault(&json));
                let own = service.does(|| world.flow(peer));
                let others = world.flow(peer);
                let silence = Duration::from_secs(1);
                for (from, to, late) in [(&own.0, &own.1, true), (&own.1, &own.0, true), (&others.0, &others.1, false), (&others.1, &others.0, false)] {
                    let (trip, most) = (trip((from, to), 50, silence), Duration::from_millis(140));
                    assert_eq!(trip.lost(50), 0);
                    let is_late = trip.least() > most;
                    assert!(is_late == late || is_late && within((from, to), most), "{peer} {:?}", trip.least());
                }
                assert_eq!(injection.evidence().count, Some(100), "{}", injection.evidence().detail);
                injection.undo();
            }
            world.assert_same(&before);
        });
    }
}

sandboxed! {
    fn a_services_packets_alone_take_the_kernels_line() {
        if role().is_some() {
            be_there();
        }
        by(Engine::Kernel, "tbf", "a_services_packets_alone_take_the_kernels_line", || {
            let mut world = World::new();
            let Some(mut service) = Service::new(&mut world, "a_services_packets_alone_take_the_kernels_line") else { return };
            let world = world;
            let before = world.snapshot();
            let throttle = |more: &str| {
                fault(&format!(r#"{{"net-throttle":{{"to":"{PEER4}","rate":"400kbit","burst":"2kB","service":"web"{more}}}}}"#))
            };
            let injection = Injection::make(&world, &throttle(""));
            for restart in [false, true] {
                if restart {
                    service.restart();
                    wait_until("the new cgroup is known", || injection.evidence().detail.contains("restarted 1 times"));
                }
                let own = service.does(|| world.flow(PEER4));
                let others = world.flow(PEER4);
                assert!(slowed(&rush((&own.0, &own.1))) && at_full_rate((&others.0, &others.1)));
            }
            assert_eq!(injection.evidence().count, Some(2 * u64::from(COUNT)), "{}", injection.evidence().detail);
            injection.undo();
            let inward = world.prepare(&throttle(r#","direction":"both","engine":"kernel""#)).expect_err("not at interfaces");
            assert_eq!(inward.code, RefusalCode::EngineUnable);
            assert!(inward.title.contains("for which service"), "{inward:?}");
            let auto = world.prepare(&throttle(r#","direction":"both","engine":"auto""#)).unwrap();
            assert!(auto.notes.iter().any(|note| note.contains("user space is used") && note.contains("for which service")), "{:?}", auto.notes);
            world.assert_same(&before);
        });
    }
}

sandboxed! {
    fn several_faults_on_one_services_packets_combine() {
        if role().is_some() {
            be_there();
        }
        let mut world = World::new();
        let Some(service) = Service::new(&mut world, "several_faults_on_one_services_packets_combine") else { return };
        let world = world;
        let before = world.snapshot();
        let make = |kind: &str| {
            let json = kind.replace("WHOSE", r#""to":["10.1.0.2","fd00:1::2"],"service":"web""#);
            Injection::make(&world, &fault(&json))
        };
        // Packets that the first queue reinjects are the agent's, and are recognised as the service's all the same.
        let all = [
            make(r#"{"net-slow":{WHOSE,"delay":"100ms","engine":"user-space"}}"#),
            make(r#"{"net-duplicate":{WHOSE,"share":"100%","engine":"user-space"}}"#),
            make(r#"{"net-slow":{WHOSE,"delay":"100ms","engine":"user-space"}}"#),
            make(r#"{"net-block":{WHOSE,"remote_ports":9090}}"#),
        ];
        for peer in PEERS {
            let (own, others) = (service.does(|| world.flow(peer)), world.flow(peer));
            let late = trip((&own.0, &own.1), 20, Duration::from_secs(1));
            assert!(late.least() >= Duration::from_millis(199), "{peer} {:?}", late.least());
            assert!(late.took.len() == 20 && late.took.values().all(|times| times.len() == 2), "{peer}");
            let same = trip((&others.0, &others.1), 20, Duration::from_millis(300));
            assert!(same.lost(20) == 0 && same.took.values().all(|times| times.len() == 1));
            assert!(within((&others.0, &others.1), Duration::from_millis(100)));
            assert_eq!(service.does(|| world.tcp_out(peer, 9090)), Reach::No, "{peer}");
            assert_eq!(world.tcp_out(peer, 9090), Reach::Yes, "{peer}");
        }
        // The kernel's ifb comes after all queues.
        if has_qdisc("tbf").and_then(|()| has_ifb()).is_ok() {
            let line = make(r#"{"net-throttle":{WHOSE,"rate":"400kbit","burst":"2kB","engine":"kernel"}}"#);
            let own = service.does(|| world.flow(PEER4));
            assert!(rush((&own.0, &own.1)).lasted > Duration::from_millis(1_000), "twice as many packets");
            line.undo();
        }
        all.iter().for_each(Injection::undo);
        world.assert_same(&before);
    }
}

sandboxed! {
    fn a_services_connections_alone_are_reset_and_its_answers_falsified() {
        if role().is_some() {
            be_there();
        }
        const TEST: &str = "a_services_connections_alone_are_reset";
        if let Err(error) = Sockets::open().and_then(|mut sockets| sockets.able()) {
            return skip(&format!("{TEST}: {error}"));
        }
        let mut world = World::new();
        let Some(mut service) = Service::new(&mut world, TEST) else { return };
        let world = world;
        let before = world.snapshot();
        let connect = |peer: &str| TcpStream::connect((peer, 8080)).unwrap();
        let is_reset = |stream: &mut TcpStream, patience| {
            stream.set_read_timeout(Some(patience)).unwrap();
            let error = stream.read(&mut [0]).unwrap_err().kind();
            matches!(error, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
        };
        let reset = fault(r#"{"net-reset":{"to":["10.1.0.2","fd00:1::2"],"service":"web","how":"throughout"}}"#);
        let mut own = service.does(|| PEERS.map(connect));
        let mut others = PEERS.map(connect);
        let injection = Injection::make(&world, &reset);
        assert!(injection.live.prepared.effects[0].contains(", of service web (cgroup /"), "{:?}", injection.live.prepared.effects);
        let (long, short) = (Duration::from_secs(5), Duration::from_millis(300));
        assert!(own.iter_mut().all(|one| is_reset(one, long)));
        service.restart();
        let mut own = service.does(|| PEERS.map(connect));
        assert!(own.iter_mut().all(|one| is_reset(one, long)));
        assert!(others.iter_mut().all(|one| !is_reset(one, short)));
        assert_eq!(injection.evidence().count, Some(4));
        injection.undo();

        let server = SocketAddr::new(PEER4.parse().unwrap(), 53);
        world.at_peer(|| dns::serve(server));
        let falsify = Injection::make(&world, &fault(r#"{"net-dns":{"zones":".","how":"nxdomain","service":"web"}}"#));
        assert_eq!(service.does(|| dns::code(&world, server)), Some(3));
        assert_eq!(dns::code(&world, server), Some(0));
        falsify.undo();
        assert_eq!(service.does(|| dns::code(&world, server)), Some(0));
        world.assert_same(&before);
    }
}

sandboxed! {
    fn a_unit_of_systemd_has_its_cgroup_after_a_restart_too() {
        const TEST: &str = "a_unit_of_systemd_has_its_cgroup";
        if std::env::var_os("FIREDRILL_VM").is_none() {
            return skip(&format!("{TEST}: FIREDRILL_VM does not say that this machine may be given a unit"));
        }
        let systemctl = |words: &[&str]| assert!(Command::new("systemctl").args(words).status().unwrap().success());
        fs::write(format!("/run/systemd/system/{UNIT}"), "[Service]\nExecStart=/bin/sleep infinity\n").unwrap();
        systemctl(&["daemon-reload"]);
        let world = World::new();
        let block = fault(r#"{"net-block":{"to":["10.1.0.2","fd00:1::2"],"service":"fd-net"}}"#);
        assert_eq!(world.prepare(&block).expect_err("it does not run yet").code, RefusalCode::ServiceDown);
        systemctl(&["start", "fd-net"]);
        let injection = Injection::make(&world, &block);
        let effect = &injection.live.prepared.effects[0];
        assert!(effect.contains("of service fd-net (cgroup /system.slice/fd-net.service)"), "{effect}");
        let hierarchy = Hierarchy::here().unwrap().unwrap();
        let home = cgroup::of(own_pid()).unwrap().unwrap();
        let folder = |path: &str| hierarchy.folder(path).unwrap();
        let reached = |peer| {
            move_to(&folder("/system.slice/fd-net.service"), std::process::id());
            let reach = world.tcp_out(peer, 8080);
            move_to(&folder(&home), std::process::id());
            reach
        };
        assert_eq!(PEERS.map(reached), [Reach::No; 2]);
        systemctl(&["restart", "fd-net"]);
        wait_until("the new cgroup is known", || injection.evidence().detail.contains("restarted 1 times"));
        assert_eq!(PEERS.map(reached), [Reach::No; 2]);
        assert_eq!(PEERS.map(|peer| world.tcp_out(peer, 8080)), [Reach::Yes; 2]);
        injection.undo();
        assert_eq!(PEERS.map(reached), [Reach::Yes; 2]);
        systemctl(&["stop", "fd-net"]);
    }
}

sandboxed! {
    fn a_cgroup_that_is_not_the_services_alone_is_refused() {
        if role().is_some() {
            be_there();
        }
        let mut world = World::new();
        let Some(mut service) = Service::new(&mut world, "a_cgroup_that_is_not_the_services_alone") else { return };
        let world = world;
        let of = |name: &str| fault(&format!(r#"{{"net-block":{{"to":"{PEER4}","service":"{name}"}}}}"#));
        let refused = |name: &str| world.prepare(&of(name)).expect_err("refused");
        world.prepare(&of("web")).unwrap();
        assert_eq!(refused("wep").code, RefusalCode::NoService);
        let shared = service.does(|| refused("web"));
        assert_eq!(shared.code, RefusalCode::SharedCgroup);
        assert!(shared.title.contains(&format!("process {} ", std::process::id())), "{shared:?}");
        move_to(&service.home, service.process.as_ref().unwrap().id());
        assert_eq!(refused("web").code, RefusalCode::SharedCgroup);
        move_to(&service.cgroup, service.process.as_ref().unwrap().id());
        service.stop();
        assert_eq!(refused("web").code, RefusalCode::ServiceDown);
    }
}
