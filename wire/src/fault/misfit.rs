//! Parameters of faults on traffic that cannot be. The coordinator says it with a place in the file, an agent says it
//! again: it trusts no coordinator.

use super::{
    Connections, Direction, Fault, NetLose, NetSlow, Protocol, Traffic,
    shape::{Distribution, Engine, GilbertElliott},
};
use crate::{ByteSize, Share};

/// The least burst that lets a full frame of an Ethernet through, with its header and a VLAN's tag.
const BURST_LEAST: ByteSize = ByteSize(1_600);

/// Parameters that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Short and stable, for programs.
    pub code: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// What would be right.
    pub help: &'static str,
}

impl Misfit {
    /// Something is missing that may be there and only be unreadable.
    pub const NO_LOSS: &'static str = "no-loss";

    pub(super) const BAD_SERVICE: Self = Self {
        code: "bad-service",
        what: "a service's name that cannot be one",
        help: "for example \"checkout\" or \"checkout.service\"",
    };
}

/// An engine that blocks nothing is asked to.
pub(super) const NOT_BLOCKED: Misfit = Misfit {
    code: "bad-engine",
    what: "nothing is blocked in user space",
    help: "\"kernel\", \"iptables\", or leave `engine` out",
};

const fn misfit(code: &'static str, what: &'static str, help: &'static str) -> Option<Misfit> {
    Some(Misfit { code, what, help })
}

impl Fault {
    /// What cannot be in the parameters of a fault on traffic; `None` where all is well, and for other kinds.
    #[must_use]
    pub fn misfit(&self) -> Option<Misfit> {
        match self {
            Self::NetPartition(partition) => return partition.misfit(),
            Self::NetDown(down) => return down.misfit(),
            Self::NetDns(dns) => return dns.misfit(),
            _ => {}
        }
        let traffic = self.on_traffic()?.traffic();
        let ports = !traffic.local_ports.is_empty() || !traffic.remote_ports.is_empty();
        if traffic.protocol == Some(Protocol::Icmp) && ports {
            return misfit("no-ports", "ICMP has no ports", "leave the ports out, or take tcp or udp");
        }
        if traffic.to.is_empty() && !ports {
            return misfit(
                "no-peers",
                "says neither peers nor ports",
                "name peers with `to`, or ports; host-isolate cuts a host off from everybody",
            );
        }
        if let Some(wrong) = chosen(&traffic) {
            return Some(wrong);
        }
        match self {
            Self::NetBlock(block) if block.engine == Engine::UserSpace => Some(NOT_BLOCKED),
            Self::NetSlow(slow) => late(slow),
            Self::NetLose(lose) => lost(lose),
            Self::NetDuplicate(kind) => some(kind.share),
            Self::NetCorrupt(kind) => some(kind.share),
            Self::NetReorder(kind) if kind.delay.is_zero() => misfit(
                "no-delay",
                "without a delay nothing can be overtaken",
                "give the others a `delay`, for example \"50ms\"",
            ),
            Self::NetReorder(kind) => some(kind.share),
            Self::NetThrottle(kind) if kind.rate.0 == 0 => misfit(
                "no-rate",
                "a rate of nothing lets nothing through",
                "for example \"10mbit\"; to let nothing through take net-block",
            ),
            Self::NetThrottle(kind) if kind.burst.is_some_and(|burst| burst < BURST_LEAST) => misfit(
                "bad-burst",
                "no full frame fits into the burst",
                "\"1600B\" or more; leave it out for 32kB",
            ),
            _ => None,
        }
    }
}

/// What cannot be among the clauses that choose more narrowly.
fn chosen(traffic: &Traffic<'_>) -> Option<Misfit> {
    if traffic.user.is_some() && traffic.direction != Direction::Out {
        return misfit(
            "user-inwards",
            "chooses by user what comes in, of which the kernel does not know whose it will be",
            "say direction = \"out\", or choose by `local_ports`",
        );
    }
    if traffic.service.is_some_and(|name| !is_service(name)) {
        return Some(Misfit::BAD_SERVICE);
    }
    if traffic.flows.is_some_and(|share| share.is_none()) {
        return misfit("no-share", "a share of 0% touches no flow", "more than 0%, such as \"30%\"");
    }
    if traffic.connections == Some(Connections::New)
        && !matches!(traffic.protocol, None | Some(Protocol::Tcp))
    {
        return misfit("not-tcp", "only TCP opens connections", "leave `protocol` out, or say \"tcp\"");
    }
    let bad = |name: &String| name.is_empty() || name.len() > 15 || name.contains(['/', ' ', '\0']);
    if traffic.interfaces.iter().any(bad) {
        return misfit(
            "bad-interface",
            "an interface's name that cannot be one",
            "up to 15 characters, such as \"eth0\"; a host's own: ip link",
        );
    }
    None
}

/// Whether that may be the name of a service of some manager.
#[must_use]
pub fn is_service(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['.', '-']) && !name.contains(['/', '\0', ' ', '\n'])
}

fn some(share: Share) -> Option<Misfit> {
    if share.is_none() {
        misfit("no-share", "a share of 0% touches no packet", "more than 0%, such as \"5%\"")
    } else {
        None
    }
}

fn late(slow: &NetSlow) -> Option<Misfit> {
    match (slow.delay.is_zero(), slow.jitter.is_zero()) {
        (true, true) => misfit("no-delay", "a delay of no time slows nothing", "for example \"300ms\""),
        (true, false) => misfit(
            "no-delay",
            "a jitter without a delay",
            "jitter scatters around `delay`: give both, such as delay = \"500ms\", jitter = \"100ms\"",
        ),
        (false, true) if slow.distribution != Distribution::Uniform => {
            misfit("no-jitter", "a distribution without a jitter", "give `jitter`, which it scatters by")
        }
        (false, true) if !slow.correlation.is_none() => misfit(
            "no-jitter",
            "a correlation without a jitter",
            "delays that do not scatter have none: give `jitter`, or leave it out",
        ),
        _ => None,
    }
}

fn lost(lose: &NetLose) -> Option<Misfit> {
    match (lose.share, lose.gilbert_elliott) {
        (Some(_), Some(_)) => misfit(
            "two-losses",
            "loses both by `share` and by `gilbert_elliott`",
            "one of them: `share` loses each packet by chance, `gilbert_elliott` loses in bursts",
        ),
        (None, None) => misfit(
            Misfit::NO_LOSS,
            "says not how many packets get lost",
            "for example share = \"5%\", or gilbert_elliott = { to_bad = \"1%\", to_good = \"25%\" }",
        ),
        (Some(share), None) => some(share),
        (None, Some(_)) if !lose.correlation.is_none() => misfit(
            "two-losses",
            "a correlation with `gilbert_elliott`",
            "bursts come from its own chances: leave `correlation` out",
        ),
        (None, Some(GilbertElliott { to_bad, in_bad, in_good, .. })) => {
            let nothing = in_good.is_none() && (to_bad.is_none() || in_bad.is_none());
            if !nothing {
                return None;
            }
            misfit(
                "no-share",
                "its `gilbert_elliott` loses no packet",
                "`to_bad` and `in_bad` above 0%, or `in_good` above 0%",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        let fault: Fault = serde_json::from_str(text).expect(text);
        fault.misfit().map(|misfit| misfit.code)
    }

    #[test]
    fn what_cannot_be_is_said_and_what_can_is_not() {
        for (text, wanted) in [
            (r#"{"net-block":{}}"#, Some("no-peers")),
            (r#"{"net-block":{"to":"a","engine":"iptables"}}"#, None),
            (r#"{"net-block":{"to":"a","engine":"user-space"}}"#, Some("bad-engine")),
            (r#"{"net-partition":{"shape":"one","engine":"iptables"}}"#, None),
            (r#"{"net-partition":{"shape":"one","engine":"user-space"}}"#, Some("bad-engine")),
            (r#"{"net-block":{"to":"a","protocol":"icmp","local_ports":1}}"#, Some("no-ports")),
            (r#"{"net-slow":{"to":"a","delay":"500ms","jitter":"100ms","correlation":"25%"}}"#, None),
            (r#"{"net-slow":{"delay":"500ms"}}"#, Some("no-peers")),
            (r#"{"net-slow":{"to":"a","delay":"0s"}}"#, Some("no-delay")),
            (r#"{"net-slow":{"to":"a","delay":"0s","jitter":"1ms"}}"#, Some("no-delay")),
            (r#"{"net-slow":{"to":"a","delay":"1s","distribution":"paretonormal"}}"#, Some("no-jitter")),
            (r#"{"net-slow":{"to":"a","delay":"1s","correlation":"10%"}}"#, Some("no-jitter")),
            (r#"{"net-lose":{"to":"a","share":"5%"}}"#, None),
            (r#"{"net-lose":{"to":"a","share":"0%"}}"#, Some("no-share")),
            (r#"{"net-lose":{"to":"a"}}"#, Some("no-loss")),
            (r#"{"net-lose":{"to":"a","gilbert_elliott":{"to_bad":"1%","to_good":"25%"}}}"#, None),
            (
                r#"{"net-lose":{"to":"a","gilbert_elliott":{"to_bad":"0%","to_good":"25%"}}}"#,
                Some("no-share"),
            ),
            (
                r#"{"net-lose":{"to":"a","share":"5%","gilbert_elliott":{"to_bad":"1%","to_good":"25%"}}}"#,
                Some("two-losses"),
            ),
            (
                r#"{"net-lose":{"to":"a","correlation":"5%","gilbert_elliott":{"to_bad":"1%","to_good":"9%"}}}"#,
                Some("two-losses"),
            ),
            (r#"{"net-duplicate":{"to":"a","share":"0%"}}"#, Some("no-share")),
            (r#"{"net-corrupt":{"to":"a","share":"1%"}}"#, None),
            (r#"{"net-reorder":{"to":"a","share":"1%","delay":"0s"}}"#, Some("no-delay")),
            (r#"{"net-reorder":{"to":"a","share":"25%","delay":"50ms","gap":5}}"#, None),
            (r#"{"net-throttle":{"to":"a","rate":"0bit"}}"#, Some("no-rate")),
            (r#"{"net-throttle":{"to":"a","rate":"10mbit","burst":"1B"}}"#, Some("bad-burst")),
            (r#"{"net-throttle":{"to":"a","rate":"10mbit","burst":"32kB"}}"#, None),
            (r#"{"host-isolate":{}}"#, None),
            (r#"{"net-partition":{"groups":"fremont","one_way":true}}"#, None),
            (r#"{"net-partition":{"groups":["a","b","rest"]}}"#, None),
            (r#"{"net-partition":{"shape":"ring","how":"reject"}}"#, None),
            (r#"{"net-reset":{"remote_ports":5432,"how":"throughout"}}"#, None),
            (r#"{"net-reset":{}}"#, Some("no-peers")),
            (r#"{"net-reset":{"to":"a","service":"db"}}"#, None),
            (r#"{"net-reset":{"to":"a","service":"a b"}}"#, Some("bad-service")),
            (r#"{"net-block":{"to":"a","service":"checkout.service"}}"#, None),
            (r#"{"net-block":{"to":"a","service":"../etc"}}"#, Some("bad-service")),
            (r#"{"net-lose":{"to":"a","share":"5%","service":""}}"#, Some("bad-service")),
            (r#"{"net-slow":{"to":"a","delay":"1s","service":"db","user":"www","direction":"out"}}"#, None),
            (r#"{"net-block":{"to":"a","service":"db","user":"www"}}"#, Some("user-inwards")),
            (r#"{"net-down":{"interface":"eth0.100","cut_off":true}}"#, None),
            (r#"{"net-down":{"to":"db"}}"#, None),
            (r#"{"net-down":{}}"#, Some("no-interface")),
            (r#"{"net-down":{"interface":"lo"}}"#, Some("loopback")),
            (r#"{"net-down":{"interface":"eth 0"}}"#, Some("bad-interface")),
            (r#"{"net-down":{"interface":"a-name-that-is-too-long"}}"#, Some("bad-interface")),
            (r#"{"net-down":{"interface":"eth0","to":"db"}}"#, Some("two-interfaces")),
            (r#"{"net-partition":{}}"#, Some("no-groups")),
            (r#"{"net-partition":{"groups":"rest"}}"#, Some("no-groups")),
            (r#"{"net-partition":{"groups":["a","b","a"]}}"#, Some("same-group")),
            (r#"{"net-partition":{"groups":"a","shape":"one"}}"#, Some("groups-and-shape")),
            (r#"{"net-partition":{"groups":["a","b","c"],"one_way":true}}"#, Some("not-two-sides")),
            (r#"{"net-partition":{"shape":"bridge","one_way":true}}"#, Some("not-two-sides")),
        ] {
            assert_eq!(code(text), wanted, "{text}");
        }
    }
}
