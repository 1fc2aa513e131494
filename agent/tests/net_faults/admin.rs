//! Objects that administrators and their programs have made on a host before the agent: Docker's and ufw's rules, qdiscs, routes. They
//! are made over netlink, so that none of these programs is needed.

use firedrill_agent::{
    host::nft::expr::{Base, Compare, Exprs, Meta},
    testing::{Netns, address, join},
};
use firedrill_netlink::{Attrs, NetlinkError, Request, Socket, route::Link};

use super::world::World;

const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const INET: u8 = 1;
const IP: u8 = 2;
const IP6: u8 = 10;

fn index(interface: &str) -> u32 {
    nix::net::if_::if_nametoindex(interface).unwrap()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Makes a request to traffic control. `kind` is the type of the message (36 makes a qdisc, 40 a class, 44 a filter).
fn try_tc(
    kind: u16,
    interface: &str,
    [handle, parent, info]: [u32; 3],
    attrs: &Attrs,
) -> Result<(), NetlinkError> {
    let body = attrs.after(&words(&[0, index(interface), handle, parent, info])).unwrap();
    let request = Request { kind, flags: 0x600, body };
    Socket::open(libc::NETLINK_ROUTE)?.request("make an administrator's qdisc", &request)
}

fn tc(kind: u16, interface: &str, header: [u32; 3], attrs: &Attrs) {
    try_tc(kind, interface, header, attrs).unwrap();
}

/// Makes an htb the root of an interface, with a default class.
pub(crate) fn htb(interface: &str) {
    // tc_htb_glob: version 3, rate to quantum 10, default class 10.
    let glob = Attrs::new().bytes(2, &words(&[3, 10, 0x10, 0, 0]));
    tc(36, interface, [0x0001_0000, u32::MAX, 0], &Attrs::new().text(1, "htb").nest(2, &glob));
    class(interface, 0x0001_0010, 0x0001_0000);
}

fn class(interface: &str, handle: u32, parent: u32) {
    // tc_htb_opt: rate and ceiling of 1 Gbit/s (link layer Ethernet, no table), two buffers, a quantum.
    let rate = [&[0, 1, 0, 0, 0, 0, 0, 0][..], &125_000_000_u32.to_ne_bytes()].concat();
    let class = [&rate[..], &rate, &words(&[1_000_000, 1_000_000, 60_000, 0, 0])].concat();
    let class = Attrs::new().bytes(1, &class);
    tc(40, interface, [handle, parent, 0], &Attrs::new().text(1, "htb").nest(2, &class));
}

/// Makes a tree of classes, one of them with a leaf qdisc, and a filter that sends a port there.
pub(crate) fn htb_tree(interface: &str) {
    htb(interface);
    class(interface, 0x0001_0001, 0x0001_0000);
    class(interface, 0x0001_0020, 0x0001_0001);
    class(interface, 0x0001_0021, 0x0001_0020);
    // tc_fifo_qopt: a limit.
    tc(36, interface, [0x0020_0000, 0x0001_0021, 0], &Attrs::new().text(1, "pfifo").bytes(2, &words(&[77])));
    // tc_u32_sel with one key: destination port 5432 at the 20th byte of the network header.
    let key = [&0x0000_ffff_u32.to_be_bytes()[..], &5432_u32.to_be_bytes(), &words(&[20, 0])].concat();
    let selector = [&[1, 0, 1, 0][..], &[0; 12], &key].concat();
    let options = Attrs::new().ne32(1, 0x0001_0021).bytes(5, &selector);
    let info = 7 << 16 | u32::from(0x0800_u16.to_be());
    tc(44, interface, [0, 0x0001_0000, info], &Attrs::new().text(1, "u32").nest(2, &options));
}

/// Makes the root that network cards with several queues have, with an administrator's leaf qdisc under one queue.
/// Returns false if the interface has one queue, as veths have on a machine with one processor.
pub(crate) fn mq(interface: &str) -> bool {
    let root = [0x0001_0000, u32::MAX, 0];
    match try_tc(36, interface, root, &Attrs::new().text(1, "mq")) {
        Ok(()) => {
            let limit = words(&[99]);
            tc(36, interface, [0x0030_0000, 0x0001_0001, 0], &Attrs::new().text(1, "pfifo").bytes(2, &limit));
            true
        }
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A ruleset under construction.
#[derive(Default)]
struct Ruleset(Vec<Request>);

impl Ruleset {
    fn push(&mut self, family: u8, kind: u8, flags: u16, attrs: &Attrs) {
        let kind = u16::from_be_bytes([10, kind]);
        self.0.push(Request { kind, flags, body: attrs.after(&[family, 0, 0, 0]).unwrap() });
    }

    fn table(&mut self, family: u8, name: &str) {
        self.push(family, 0, CREATE, &Attrs::new().text(1, name));
    }

    /// Adds a chain that others jump to.
    fn chain(&mut self, family: u8, table: &str, name: &str) {
        self.push(family, 3, CREATE, &Attrs::new().text(1, table).text(3, name));
    }

    /// Adds a chain at a hook, of a type, with a priority and a policy.
    fn base(
        &mut self,
        family: u8,
        table: &str,
        name: &str,
        (kind, hook, priority, accept): (&str, u32, i32, bool),
    ) {
        let place = Attrs::new().be32(1, hook).bytes(2, &priority.to_be_bytes());
        let attrs = Attrs::new().text(1, table).text(3, name).nest(4, &place);
        self.push(family, 3, CREATE, &attrs.be32(5, accept.into()).text(7, kind));
    }

    /// Appends a rule of some expressions to a chain.
    fn rule(&mut self, family: u8, table: &str, chain: &str, parts: &[Attrs]) {
        let attrs = Attrs::new().text(1, table).text(2, chain).nest(4, &all(parts));
        self.push(family, 6, CREATE | APPEND, &attrs);
    }

    fn load(self) {
        let mut batch = vec![Request { kind: 0x10, flags: 0, body: vec![0, 0, 0, 10] }];
        let last = self.0.len() + 1;
        batch.extend(self.0);
        batch.push(Request { kind: 0x11, flags: 0, body: vec![0, 0, 0, 10] });
        let mut socket = Socket::open(libc::NETLINK_NETFILTER).unwrap();
        let answers = socket.batch("load an administrator's rules", &batch, last).unwrap();
        for (position, answer) in answers {
            if let Err(error) = answer {
                panic!("{position}: {error}: {:?}", batch[position]);
            }
        }
    }
}

/// An expression that the agent's own rules do not have.
fn raw(name: &str, data: &Attrs) -> Attrs {
    Attrs::new().nest(1, &Attrs::new().text(1, name).nest(2, data))
}

/// Concatenates expressions.
fn all(parts: &[Attrs]) -> Attrs {
    let mut rule = Attrs::new();
    parts.iter().for_each(|part| rule.extend(part));
    rule
}

/// Returns expressions as attributes.
fn of(exprs: &Exprs) -> Attrs {
    exprs.encoded().clone()
}

fn accept() -> Attrs {
    of(&Exprs::new().counter().accept())
}

fn drop() -> Attrs {
    of(&Exprs::new().counter().drop())
}

fn verdict(code: i32, chain: Option<&str>) -> Attrs {
    let mut verdict = Attrs::new().bytes(1, &code.to_be_bytes());
    if let Some(chain) = chain {
        verdict = verdict.text(2, chain);
    }
    let data = Attrs::new().nest(2, &verdict);
    all(&[of(&Exprs::new().counter()), raw("immediate", &Attrs::new().be32(1, 0).nest(2, &data))])
}

fn jump(chain: &str) -> Attrs {
    verdict(-3, Some(chain))
}

/// The verdict that returns to the calling chain.
fn back() -> Attrs {
    verdict(-5, None)
}

/// Compares the name of an interface.
fn by(name: Meta, how: Compare, interface: &str) -> Attrs {
    let mut padded = [0; 16];
    padded.iter_mut().zip(interface.bytes()).for_each(|(place, byte)| *place = byte);
    of(&Exprs::new().meta(name).compare(how, &padded))
}

/// `ct state`: the state has one of these bits.
fn state(bits: u32) -> Attrs {
    let load = raw("ct", &Attrs::new().be32(2, 0).be32(1, 1));
    all(&[load, of(&Exprs::new().mask(&bits.to_ne_bytes()).compare(Compare::IsNot, &[0; 4]))])
}

const INVALID: u32 = 1;
const ESTABLISHED_RELATED: u32 = 2 | 4;

fn to_port(protocol: u8, port: u16) -> Attrs {
    let rule = Exprs::new().meta(Meta::Transport).compare(Compare::Is, &[protocol]);
    of(&rule.payload(Base::Transport, 2, 2).compare(Compare::Is, &port.to_be_bytes()))
}

/// Sets up Docker's bridge and rules, as Docker 26 writes them by iptables-nft, and a container's published port.
pub(crate) fn docker(world: &World) {
    let bridge = Link::named("docker0").of_kind("bridge", &Attrs::new());
    bridge.create(&mut Socket::open(libc::NETLINK_ROUTE).unwrap(), "make Docker's bridge").unwrap();
    address(&world.host_ns, "docker0", "172.17.0.1/16");
    firedrill_agent::testing::up(&world.host_ns, "docker0");

    let (outward, inward) =
        (|how| by(Meta::OutputName, how, "docker0"), |how| by(Meta::InputName, how, "docker0"));
    let container =
        |base, offset| of(&Exprs::new().payload(base, offset, 4).compare(Compare::Is, &[172, 17, 0, 2]));
    let mut rules = Ruleset::default();
    rules.table(IP, "filter");
    for (name, hook, policy) in [("INPUT", 1, true), ("FORWARD", 2, false), ("OUTPUT", 3, true)] {
        rules.base(IP, "filter", name, ("filter", hook, 0, policy));
    }
    const CHAINS: [&str; 4] =
        ["DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER"];
    CHAINS.iter().for_each(|name| rules.chain(IP, "filter", name));
    for (chain, rule) in [
        ("FORWARD", jump("DOCKER-USER")),
        ("FORWARD", jump("DOCKER-ISOLATION-STAGE-1")),
        ("FORWARD", all(&[outward(Compare::Is), state(ESTABLISHED_RELATED), accept()])),
        ("FORWARD", all(&[outward(Compare::Is), jump("DOCKER")])),
        ("FORWARD", all(&[inward(Compare::Is), outward(Compare::IsNot), accept()])),
        ("FORWARD", all(&[inward(Compare::Is), outward(Compare::Is), accept()])),
        (
            "DOCKER",
            all(&[
                container(Base::Network, 16),
                inward(Compare::IsNot),
                outward(Compare::Is),
                to_port(6, 80),
                accept(),
            ]),
        ),
        (
            "DOCKER-ISOLATION-STAGE-1",
            all(&[inward(Compare::Is), outward(Compare::IsNot), jump("DOCKER-ISOLATION-STAGE-2")]),
        ),
        ("DOCKER-ISOLATION-STAGE-1", back()),
        ("DOCKER-ISOLATION-STAGE-2", all(&[outward(Compare::Is), drop()])),
        ("DOCKER-ISOLATION-STAGE-2", back()),
        ("DOCKER-USER", back()),
    ] {
        rules.rule(IP, "filter", chain, &[rule]);
    }
    rules.table(IP, "nat");
    for (name, hook, priority) in
        [("PREROUTING", 0, -100), ("INPUT", 1, 100), ("OUTPUT", 3, -100), ("POSTROUTING", 4, 100)]
    {
        rules.base(IP, "nat", name, ("nat", hook, priority, true));
    }
    rules.chain(IP, "nat", "DOCKER");
    let loaded = |register, value: &[u8]| {
        raw("immediate", &Attrs::new().be32(1, register).nest(2, &Attrs::new().bytes(1, value)))
    };
    // Translates the destination to the address in register 1 and the port in register 2.
    let published = raw("nat", &Attrs::new().be32(1, 1).be32(2, IP.into()).be32(3, 1).be32(5, 2));
    let network = Exprs::new()
        .payload(Base::Network, 12, 4)
        .mask(&[255, 255, 0, 0])
        .compare(Compare::Is, &[172, 17, 0, 0]);
    for (chain, rule) in [
        ("PREROUTING", jump("DOCKER")),
        ("OUTPUT", jump("DOCKER")),
        (
            "POSTROUTING",
            all(&[
                of(&network),
                outward(Compare::IsNot),
                of(&Exprs::new().counter()),
                raw("masq", &Attrs::new()),
            ]),
        ),
        ("DOCKER", all(&[inward(Compare::Is), back()])),
        (
            "DOCKER",
            all(&[
                inward(Compare::IsNot),
                to_port(6, 8088),
                loaded(1, &[172, 17, 0, 2]),
                loaded(2, &[0, 80]),
                published,
            ]),
        ),
    ] {
        rules.rule(IP, "nat", chain, &[rule]);
    }
    rules.load();
}

/// Sets up ufw: incoming packets are dropped unless allowed, by a chain of chains, in both families.
pub(crate) fn ufw() {
    let mut rules = Ruleset::default();
    for (family, prefix, icmp) in [(IP, "ufw", 1), (IP6, "ufw6", 58)] {
        rules.table(family, "filter");
        for (name, hook, policy) in [("INPUT", 1, false), ("FORWARD", 2, false), ("OUTPUT", 3, true)] {
            rules.base(family, "filter", name, ("filter", hook, 0, policy));
        }
        let way = |name: &str, when: &str| format!("{prefix}-{when}-{name}");
        for name in ["input", "forward", "output"] {
            for when in ["before-logging", "before", "after", "after-logging", "reject", "track", "user"] {
                rules.chain(family, "filter", &way(name, when));
            }
            for when in ["before-logging", "before", "after", "after-logging", "reject", "track"] {
                rules.rule(family, "filter", &name.to_uppercase(), &[jump(&way(name, when))]);
            }
            let before = way(name, "before");
            // Rules about loopback come first, as in ufw: the kernel's rejects come over it, and have the state INVALID.
            for by in [by(Meta::InputName, Compare::Is, "lo"), by(Meta::OutputName, Compare::Is, "lo")] {
                rules.rule(family, "filter", &before, &[by, accept()]);
            }
            rules.rule(family, "filter", &before, &[state(ESTABLISHED_RELATED), accept()]);
            rules.rule(family, "filter", &before, &[state(INVALID), drop()]);
            rules.rule(family, "filter", &before, &[jump(&way(name, "user"))]);
        }
        let before = way("input", "before");
        let echo = Exprs::new().meta(Meta::Transport).compare(Compare::Is, &[icmp]);
        rules.rule(family, "filter", &before, &[of(&echo), accept()]);
        for port in [22, 7790, 8080, 9090] {
            rules.rule(family, "filter", &way("input", "user"), &[to_port(6, port), accept()]);
        }
    }
    // Also a table that the administrator has made, with a named set.
    rules.table(INET, "local");
    rules.push(
        INET,
        9,
        CREATE,
        &Attrs::new().text(1, "local").text(2, "blocked").be32(3, 0).be32(4, 7).be32(5, 4).be32(10, 1),
    );
    let element = Attrs::new().nest(1, &Attrs::new().bytes(1, &[203, 0, 113, 9]));
    rules.push(
        INET,
        12,
        CREATE,
        &Attrs::new().text(1, "local").text(2, "blocked").nest(3, &Attrs::new().nest(1, &element)),
    );
    rules.base(INET, "local", "early", ("filter", 1, -10, true));
    let v4 = Exprs::new().meta(Meta::Family).compare(Compare::Is, &[IP]).payload(Base::Network, 12, 4);
    rules.rule(INET, "local", "early", &[of(&v4.in_set("blocked")), drop()]);
    rules.load();
}

/// An address of the peer that the host reaches by two interfaces, each flow by one of them.
pub(crate) const BY_TWO: &str = "10.77.0.2";

/// Adds a second cable to the peer, and a route with both as next hops.
pub(crate) fn two_ways(world: &World) {
    join(&world.host_ns, "eth2", world.peer(), "peer2");
    address(&world.host_ns, "eth2", "10.4.0.1/24");
    address(world.peer(), "peer2", "10.4.0.2/24");
    address(world.peer(), "peer0", "10.77.0.2/32");
    std::fs::write("/proc/sys/net/ipv4/fib_multipath_hash_policy", "1").unwrap();
    let hop = |interface: &str, through: [u8; 4]| {
        let gateway = Attrs::new().bytes(5, &through).after(&[]).unwrap();
        let length = u16::try_from(8 + gateway.len()).unwrap();
        [&length.to_ne_bytes()[..], &[0, 0], &index(interface).to_ne_bytes(), &gateway].concat()
    };
    let hops = [hop("eth0", [10, 1, 0, 2]), hop("eth2", [10, 4, 0, 2])].concat();
    let attrs = Attrs::new().bytes(1, &[10, 77, 0, 0]).bytes(9, &hops);
    let body = attrs.after(&[2, 16, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]).unwrap();
    let request = Request { kind: 24, flags: CREATE | 0x200, body };
    Socket::open(libc::NETLINK_ROUTE).unwrap().request("make a route by two ways", &request).unwrap();
}

/// Sets up a host that has no IPv4 address but loopback's.
pub(crate) fn six_only(world: &World) {
    for (interface, network) in [("eth0", "10.1.0.1/24"), ("eth1", "10.2.0.1/24")] {
        firedrill_agent::testing::remove_address(&world.host_ns, interface, network);
    }
}

/// Returns the number of bytes that each interface has sent. It shows by which interfaces packets went.
pub(crate) fn sent(ns: &Netns, interfaces: &[&str]) -> Vec<u64> {
    let text = ns.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    let bytes = |name: &&str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}:"))).unwrap();
        line.split_whitespace().nth(8).unwrap().parse().unwrap()
    };
    interfaces.iter().map(bytes).collect()
}
