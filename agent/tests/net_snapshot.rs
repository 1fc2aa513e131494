//! Proves the proof of a clean host: every change that is made by hand is found.

#![expect(clippy::unwrap_used, reason = "all of this is tests, their helpers too")]

use std::{path::Path, time::Duration};

use firedrill_agent::{
    doctor,
    host::nft::{
        expr::Exprs,
        table::{Chain, EARLY, Gate, Hook, Place, Table, gated},
    },
    sandboxed,
    snapshot::{Difference, Snapshot, compare},
    testing::{Netns, address, down, host, join, route},
};
use firedrill_netlink::{Attrs, Request, Socket};
use firedrill_wire::api::{Claim, Grade};

const MINUTE: Duration = Duration::from_secs(60);

/// The first expressions of rules.
fn gate() -> Exprs {
    gated(&Gate::usual(MINUTE, MINUTE))
}

fn table(name: &str, rules: Vec<Exprs>) -> Table {
    let gates = Gate::usual(MINUTE, MINUTE);
    let chains = vec![Chain { name: "input".to_owned(), place: Some(Place::at(Hook::Input, EARLY)), rules }];
    Table { name: name.to_owned(), chains, gates, ..Table::default() }
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::take(&host(Path::new("/nonexistent"))).unwrap();
    // Processes belong to the whole machine, and others stop some.
    snapshot.seen.retain(|key, _| !key.starts_with("stopped:"));
    snapshot
}

/// Returns the differences to `before`, which becomes the present state.
fn since(before: &mut Snapshot) -> Difference {
    let now = snapshot();
    let difference = compare(before, &now, &[]);
    *before = now;
    difference
}

/// Makes a request of rtnetlink, by number.
fn ask(kind: u16, flags: u16, header: &[u8], attrs: &Attrs) {
    let body = attrs.after(header).unwrap();
    Socket::open(libc::NETLINK_ROUTE).unwrap().request("make dirt", &Request { kind, flags, body }).unwrap();
}

sandboxed! {
    fn every_kind_of_dirt_is_seen() {
        let here = Netns::current();
        let peer = Netns::fresh();
        join(&here, "eth0", &peer, "peer0");
        address(&here, "eth0", "10.1.0.1/24");
        address(&here, "eth0", "fd00:1::1/64");
        route(&here, "10.7.0.0/16", "10.1.0.2");
        let host = host(Path::new("/nonexistent"));
        host.nft.install(&table("admin", vec![gate().counter().accept()])).unwrap();
        // The link's own address and carrier take a moment.
        firedrill_agent::testing::wait_until("the host is quiet", || {
            let first = snapshot();
            std::thread::sleep(Duration::from_millis(100));
            first == snapshot()
        });
        let mut before = snapshot();
        // Packets change counters, which make no difference.
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", "127.0.0.1:9").unwrap();
        let same = since(&mut before);
        assert!(same.ours.is_empty() && same.foreign.is_empty() && same.compared > 10, "{same:?}");

        host.nft.install(&table("extra", Vec::new())).unwrap();
        let extra = since(&mut before);
        assert!(extra.foreign.iter().any(|line| line == "nft-table:inet extra is new"), "{extra:?}");
        assert!(extra.ours.is_empty());

        // Reported under its own name, whatever the table's name: one rule more, one gate less.
        let mut more = table("admin", vec![gate().counter().accept(), gate().counter().drop()]);
        more.gates[0].left = Duration::from_secs(30);
        host.nft.install(&more).unwrap();
        let rule = since(&mut before);
        assert!(rule.foreign.iter().any(|line| line.starts_with("nft-chain:inet admin input changed: + meta{")), "{rule:?}");
        assert!(rule.foreign.iter().any(|line| line.starts_with("nft-set:inet admin lease changed: ")), "{rule:?}");

        address(&here, "eth0", "10.1.0.9/24");
        let added = since(&mut before);
        assert!(added.foreign.iter().any(|line| line == "addr:eth0 10.1.0.9/24 is new"), "{added:?}");

        let mut header = [0_u8; 12];
        header[..8].copy_from_slice(&[2, 16, 0, 0, 254, 4, 0, 1]);
        ask(25, 0, &header, &Attrs::new().bytes(1, &[10, 7, 0, 0]));
        let removed = since(&mut before);
        assert_eq!(removed.foreign, ["route:ip table 254 10.7.0.0/16 is gone"]);

        // A policy rule: to table 100 for packets with mark 7.
        ask(32, 0x400 | 0x200, &[2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0], &Attrs::new().ne32(6, 1000).ne32(10, 7));
        let policy = since(&mut before);
        assert_eq!(policy.foreign, ["rule:ip priority 1000 is new"]);

        // An administrator's qdisc: ingress on eth0, with a filter that drops all.
        let index = nix::net::if_::if_nametoindex("eth0").unwrap().to_ne_bytes();
        let htb: Vec<u8> = [3_u32, 10, 0, 0, 0].iter().flat_map(|number| number.to_ne_bytes()).collect();
        let tc = |handle: u32, parent: u32, info: u32| {
            [&[0; 4][..], &index, &handle.to_ne_bytes(), &parent.to_ne_bytes(), &info.to_ne_bytes()].concat()
        };
        ask(36, 0x600, &tc(0xffff_0000, 0xffff_fff1, 0), &Attrs::new().text(1, "ingress"));
        let qdisc = since(&mut before);
        assert!(qdisc.foreign.iter().any(|line| line.starts_with("qdisc:eth0 ingress is new")), "{qdisc:?}");
        // Another one, which counts packets without a class among its options.
        ask(36, 0x600, &tc(0x0001_0000, u32::MAX, 0), &Attrs::new().text(1, "htb").nest(2, &Attrs::new().bytes(2, &htb)));
        let root = since(&mut before);
        assert!(root.foreign.iter().any(|line| line.starts_with("qdisc:eth0 root changed: - handle 0:0 1=\"noqueue\"")), "{root:?}");
        let findings = doctor::findings(&host);
        assert!(findings.iter().any(|one| one.what == "foreign qdisc on eth0" && one.detail == "htb"), "{findings:?}");
        std::net::UdpSocket::bind("10.1.0.1:0").unwrap().send_to(b"x", "10.1.0.2:9").unwrap();
        let counted = since(&mut before);
        assert!(counted.foreign.is_empty(), "{counted:?}");
        let selector = Attrs::new().bytes(5, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        ask(44, 0x600, &tc(0, 0xffff_fff2, 7 << 16 | u32::from(0x0800_u16.to_be())), &Attrs::new().text(1, "u32").nest(2, &selector));
        let filter = since(&mut before);
        assert!(filter.foreign.iter().any(|line| line.starts_with("filter:eth0 ffff:fff2 priority 7")), "{filter:?}");

        down(&here, "eth0");
        let link = since(&mut before);
        assert!(link.foreign.iter().any(|line| line.starts_with("link:eth0 changed: - index")), "{link:?}");
        assert!(link.foreign.iter().any(|line| line.starts_with("route:ip ")), "{link:?}");
    }
}

sandboxed! {
    fn what_is_ours_and_what_is_claimed_is_told_from_the_rest() {
        let before = snapshot();
        let host = host(Path::new("/nonexistent"));
        host.nft.install(&table("fd_run_1", vec![gate().counter().drop()])).unwrap();
        host.nft.install(&table("admin", Vec::new())).unwrap();
        let claim = Claim { what: "nft-table:inet admin".to_owned(), shared: false };
        let difference = compare(&before, &snapshot(), &[claim]);
        assert!(difference.ours.iter().any(|line| line == "nft-chain:inet fd_run_1 input is new"), "{difference:?}");
        assert!(difference.ours.iter().any(|line| line == "nft-table:inet admin is new"), "{difference:?}");
        assert!(difference.foreign.iter().all(|line| line.contains("inet admin ")), "{difference:?}");
        drop(host);
        let after = compare(&before, &snapshot(), &[]);
        assert!(after.ours.is_empty() && after.foreign.is_empty(), "{after:?}");
    }
}

sandboxed! {
    fn doctor_looks_without_touching() {
        let before = snapshot();
        let host = host(Path::new("/nonexistent"));
        let findings = doctor::findings(&host);
        for finding in &findings {
            eprintln!("{finding:?}");
        }
        let grade = |what: &str| findings.iter().find(|one| one.what == what).expect(what).grade;
        assert_eq!(grade("nftables"), Grade::Good);
        assert_eq!(grade("nftables owner tables with timeouts"), Grade::Good);
        assert!(findings.iter().all(|one| one.grade != Grade::Bad), "{findings:?}");
        assert!(findings.iter().any(|one| one.what == "netem") && findings.iter().any(|one| one.what == "ifb"));
        assert_eq!(before, snapshot());
        host.nft.install(&table("admin", Vec::new())).unwrap();
        let foreign = doctor::findings(&host).into_iter().find(|one| one.what == "foreign nftables tables").unwrap();
        assert_eq!(foreign.detail, "inet admin");
    }
}
