//! Tests of snapshots, which prove that a host is clean: each change that is made by hand is found.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

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

/// Flags of a netlink request that must make a new object: NLM_F_CREATE and NLM_F_EXCL.
const NEW: u16 = 0x400 | 0x200;
const MINUTE: Duration = Duration::from_secs(60);

/// Returns the start of a rule: the usual gates.
fn gate() -> Exprs {
    gated(&Gate::usual(MINUTE, MINUTE))
}

/// Returns a table with one chain at the input hook.
fn table(name: &str, rules: Vec<Exprs>) -> Table {
    let gates = Gate::usual(MINUTE, MINUTE);
    let chains = vec![Chain { name: "input".to_owned(), place: Some(Place::at(Hook::Input, EARLY)), rules }];
    Table { name: name.to_owned(), chains, gates, ..Table::default() }
}

fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::take(&host(Path::new("/nonexistent"))).unwrap();
    // Processes belong to the whole machine, and other tests stop some of them.
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

/// Makes a request of rtnetlink. `kind` is the number of its type, `attrs` its attributes by number.
fn ask(kind: u16, flags: u16, header: &[u8], attrs: &Attrs) {
    let body = attrs.after(header).unwrap();
    Socket::open(libc::NETLINK_ROUTE)
        .unwrap()
        .request("change the host", &Request { kind, flags, body })
        .unwrap();
}

sandboxed! {
    fn every_kind_of_change_is_found() {
        let here = Netns::current();
        let peer = Netns::fresh();
        join(&here, "eth0", &peer, "peer0");
        address(&here, "eth0", "10.1.0.1/24");
        address(&here, "eth0", "fd00:1::1/64");
        route(&here, "10.7.0.0/16", "10.1.0.2");
        let host = host(Path::new("/nonexistent"));
        host.nft.install(&table("admin", vec![gate().counter().accept()])).unwrap();
        // The link's carrier and its link-local address take a moment.
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

        // Changes within a table are reported for its chains and sets: here one more rule, and a shorter lease.
        let mut more = table("admin", vec![gate().counter().accept(), gate().counter().drop()]);
        more.gates[0].left = Duration::from_secs(30);
        host.nft.install(&more).unwrap();
        let rule = since(&mut before);
        assert!(rule.foreign.iter().any(|line| line.starts_with("nft-chain:inet admin input changed: + meta{")), "{rule:?}");
        assert!(rule.foreign.iter().any(|line| line.starts_with("nft-set:inet admin lease changed: ")), "{rule:?}");

        address(&here, "eth0", "10.1.0.9/24");
        let added = since(&mut before);
        assert!(added.foreign.iter().any(|line| line == "addr:eth0 10.1.0.9/24 is new"), "{added:?}");

        // The header of a route: IPv4, a prefix of 16 bits, table 254, protocol static, scope global, unicast.
        let mut header = [0_u8; 12];
        header[..8].copy_from_slice(&[2, 16, 0, 0, 254, 4, 0, 1]);
        ask(libc::RTM_DELROUTE, 0, &header, &Attrs::new().bytes(1, &[10, 7, 0, 0]));
        let removed = since(&mut before);
        assert_eq!(removed.foreign, ["route:ip table 254 10.7.0.0/16 is gone"]);

        // A policy rule: to table 100 for packets with mark 7.
        ask(libc::RTM_NEWRULE, NEW, &[2, 0, 0, 0, 100, 0, 0, 1, 0, 0, 0, 0], &Attrs::new().ne32(6, 1000).ne32(10, 7));
        let policy = since(&mut before);
        assert_eq!(policy.foreign, ["rule:ip priority 1000 is new"]);

        // An administrator's ingress qdisc on eth0.
        let index = nix::net::if_::if_nametoindex("eth0").unwrap().to_ne_bytes();
        // The parameters of an htb qdisc: version 3, and 10 as the divisor of its rates.
        let htb: Vec<u8> = [3_u32, 10, 0, 0, 0].iter().flat_map(|number| number.to_ne_bytes()).collect();
        let tc = |handle: u32, parent: u32, info: u32| {
            [&[0; 4][..], &index, &handle.to_ne_bytes(), &parent.to_ne_bytes(), &info.to_ne_bytes()].concat()
        };
        ask(libc::RTM_NEWQDISC, NEW, &tc(0xffff_0000, 0xffff_fff1, 0), &Attrs::new().text(1, "ingress"));
        let qdisc = since(&mut before);
        assert!(qdisc.foreign.iter().any(|line| line.starts_with("qdisc:eth0 ingress is new")), "{qdisc:?}");
        // An administrator's htb qdisc. Its options contain a counter, of packets without a class.
        ask(libc::RTM_NEWQDISC, NEW, &tc(0x0001_0000, u32::MAX, 0), &Attrs::new().text(1, "htb").nest(2, &Attrs::new().bytes(2, &htb)));
        let root = since(&mut before);
        assert!(root.foreign.iter().any(|line| line.starts_with("qdisc:eth0 root changed: - handle 0:0 1=\"noqueue\"")), "{root:?}");
        let findings = doctor::findings(&host);
        assert!(findings.iter().any(|finding| finding.what == "foreign qdisc on eth0" && finding.detail == "htb"), "{findings:?}");
        std::net::UdpSocket::bind("10.1.0.1:0").unwrap().send_to(b"x", "10.1.0.2:9").unwrap();
        let counted = since(&mut before);
        assert!(counted.foreign.is_empty(), "{counted:?}");
        // A filter of priority 7 for IPv4 at the ingress qdisc, which matches every packet.
        let selector = Attrs::new().bytes(5, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        ask(libc::RTM_NEWTFILTER, NEW, &tc(0, 0xffff_fff2, 7 << 16 | u32::from(0x0800_u16.to_be())), &Attrs::new().text(1, "u32").nest(2, &selector));
        let filter = since(&mut before);
        assert!(filter.foreign.iter().any(|line| line.starts_with("filter:eth0 ffff:fff2 priority 7")), "{filter:?}");

        down(&here, "eth0");
        let link = since(&mut before);
        assert!(link.foreign.iter().any(|line| line.starts_with("link:eth0 changed: - index")), "{link:?}");
        assert!(link.foreign.iter().any(|line| line.starts_with("route:ip ")), "{link:?}");
    }
}

sandboxed! {
    fn the_agents_tables_and_claimed_ones_are_reported_as_ours() {
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
    fn doctor_changes_nothing() {
        let before = snapshot();
        let host = host(Path::new("/nonexistent"));
        let findings = doctor::findings(&host);
        for finding in &findings {
            eprintln!("{finding:?}");
        }
        let grade = |what: &str| findings.iter().find(|finding| finding.what == what).expect(what).grade;
        assert_eq!(grade("nftables"), Grade::Good);
        assert_eq!(grade("nftables owner tables with timeouts"), Grade::Good);
        assert!(findings.iter().all(|finding| finding.grade != Grade::Bad), "{findings:?}");
        assert!(findings.iter().any(|finding| finding.what == "netem") && findings.iter().any(|finding| finding.what == "ifb"));
        assert_eq!(before, snapshot());
        host.nft.install(&table("admin", Vec::new())).unwrap();
        let foreign = doctor::findings(&host).into_iter().find(|finding| finding.what == "foreign nftables tables").unwrap();
        assert_eq!(foreign.detail, "inet admin");
    }
}
