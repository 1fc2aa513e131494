//! Invalid parameters of faults, and the checks that kinds share. The coordinator reports them with a place in the file. An agent
//! checks again: it trusts no coordinator.

use std::borrow::Cow;

use super::{
    net::{Connections, Direction, Protocol},
    traffic::Traffic,
};
use crate::{RefusalCode, Share};

/// Invalid parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The reason, for programs.
    pub code: RefusalCode,
    /// The error.
    pub what: Cow<'static, str>,
    /// The remedy.
    pub help: &'static str,
}

impl Invalid {
    pub(super) const BAD_SERVICE: Self = Self {
        code: RefusalCode::BadService,
        what: Cow::Borrowed("a service's name that cannot be one"),
        help: "for example \"checkout\" or \"checkout.service\"",
    };
}

/// The error for an engine that cannot block traffic.
pub(super) const NOT_BLOCKED: Invalid = Invalid {
    code: RefusalCode::BadEngine,
    what: Cow::Borrowed("nothing is blocked in user space"),
    help: "\"kernel\", \"iptables\", or leave `engine` out",
};

/// Returns an error in the form in which checks return it.
pub(super) const fn wrong(code: RefusalCode, what: &'static str, help: &'static str) -> Option<Invalid> {
    Some(Invalid { code, what: Cow::Borrowed(what), help })
}

/// Checks the clauses by which a kind selects traffic.
pub(super) fn chosen(traffic: &Traffic<'_>) -> Option<Invalid> {
    let ports = !traffic.local_ports.is_empty() || !traffic.remote_ports.is_empty();
    if traffic.protocol == Some(Protocol::Icmp) && ports {
        return wrong(RefusalCode::NoPorts, "ICMP has no ports", "leave the ports out, or take tcp or udp");
    }
    if traffic.to.is_empty() && !ports {
        return wrong(
            RefusalCode::NoPeers,
            "names no peers and no ports",
            "name peers with `to`, or ports; host-isolate cuts a host off from everybody",
        );
    }
    narrowed(traffic)
}

/// Checks the clauses that narrow the selection.
fn narrowed(traffic: &Traffic<'_>) -> Option<Invalid> {
    if traffic.user.is_some() && traffic.direction != Direction::Out {
        return wrong(
            RefusalCode::UserInwards,
            "chooses by user what comes in, of which the kernel does not know whose it will be",
            "say direction = \"out\", or choose by `local_ports`",
        );
    }
    if traffic.service.is_some_and(|name| !is_service(name)) {
        return Some(Invalid::BAD_SERVICE);
    }
    if traffic.flows.is_some_and(|share| share.is_none()) {
        return wrong(RefusalCode::NoShare, "a share of 0% touches no flow", "more than 0%, such as \"30%\"");
    }
    if traffic.connections == Some(Connections::New)
        && !matches!(traffic.protocol, None | Some(Protocol::Tcp))
    {
        return wrong(
            RefusalCode::NotTcp,
            "only TCP opens connections",
            "leave `protocol` out, or say \"tcp\"",
        );
    }
    if !traffic.interfaces.iter().all(|name| is_interface(name)) {
        return wrong(
            RefusalCode::BadInterface,
            "an interface's name that cannot be one",
            "up to 15 characters, such as \"eth0\"; a host's own: ip link",
        );
    }
    None
}

/// Whether a text may be the name of a service.
#[must_use]
pub fn is_service(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(['.', '-']) && !name.contains(['/', '\0', ' ', '\n'])
}

/// The kernel's limit for an interface's name, without the zero byte that ends it.
const LONGEST_NAME: usize = 15;

/// Whether a text may be the name of an interface.
fn is_interface(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':'))
}

/// Checks the name of an interface that is to go down.
pub(super) fn taken_down(name: &str) -> Option<Invalid> {
    if name == "lo" {
        wrong(
            RefusalCode::Loopback,
            "the loopback interface is never touched",
            "take another interface; most programs need loopback, the agent too",
        )
    } else if is_interface(name) {
        None
    } else {
        wrong(
            RefusalCode::BadInterface,
            "that cannot be an interface's name",
            "at most 15 characters, no blanks, `/` or `:`, for example \"eth1\"",
        )
    }
}

/// Refuses a share of 0%, which touches no packet.
pub(super) fn some(share: Share) -> Option<Invalid> {
    if share.is_none() {
        wrong(RefusalCode::NoShare, "a share of 0% touches no packet", "more than 0%, such as \"5%\"")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::{Fault, RefusalCode};

    fn code(text: &str) -> Option<RefusalCode> {
        let fault: Fault = serde_json::from_str(text).expect(text);
        fault.invalid().map(|invalid| invalid.code)
    }

    #[test]
    fn impossible_parameters_are_refused_and_possible_ones_are_not() {
        for (text, wanted) in [
            (r#"{"net-block":{}}"#, Some(RefusalCode::NoPeers)),
            (r#"{"net-block":{"to":"a","engine":"iptables"}}"#, None),
            (r#"{"net-block":{"to":"a","engine":"user-space"}}"#, Some(RefusalCode::BadEngine)),
            (r#"{"net-partition":{"shape":"one","engine":"iptables"}}"#, None),
            (r#"{"net-partition":{"shape":"one","engine":"user-space"}}"#, Some(RefusalCode::BadEngine)),
            (r#"{"net-block":{"to":"a","protocol":"icmp","local_ports":1}}"#, Some(RefusalCode::NoPorts)),
            (r#"{"net-slow":{"to":"a","delay":"500ms","jitter":"100ms","correlation":"25%"}}"#, None),
            (r#"{"net-slow":{"delay":"500ms"}}"#, Some(RefusalCode::NoPeers)),
            (r#"{"net-slow":{"to":"a","delay":"0s"}}"#, Some(RefusalCode::NoDelay)),
            (r#"{"net-slow":{"to":"a","delay":"0s","jitter":"1ms"}}"#, Some(RefusalCode::NoDelay)),
            (
                r#"{"net-slow":{"to":"a","delay":"1s","distribution":"paretonormal"}}"#,
                Some(RefusalCode::NoJitter),
            ),
            (r#"{"net-slow":{"to":"a","delay":"1s","correlation":"10%"}}"#, Some(RefusalCode::NoJitter)),
            (r#"{"net-lose":{"to":"a","share":"5%"}}"#, None),
            (r#"{"net-lose":{"to":"a","share":"0%"}}"#, Some(RefusalCode::NoShare)),
            (r#"{"net-lose":{"to":"a"}}"#, Some(RefusalCode::NoLoss)),
            (r#"{"net-lose":{"to":"a","gilbert_elliott":{"to_bad":"1%","to_good":"25%"}}}"#, None),
            (
                r#"{"net-lose":{"to":"a","gilbert_elliott":{"to_bad":"0%","to_good":"25%"}}}"#,
                Some(RefusalCode::NoShare),
            ),
            (
                r#"{"net-lose":{"to":"a","share":"5%","gilbert_elliott":{"to_bad":"1%","to_good":"25%"}}}"#,
                Some(RefusalCode::TwoLosses),
            ),
            (
                r#"{"net-lose":{"to":"a","correlation":"5%","gilbert_elliott":{"to_bad":"1%","to_good":"9%"}}}"#,
                Some(RefusalCode::TwoLosses),
            ),
            (r#"{"net-duplicate":{"to":"a","share":"0%"}}"#, Some(RefusalCode::NoShare)),
            (r#"{"net-corrupt":{"to":"a","share":"1%"}}"#, None),
            (r#"{"net-reorder":{"to":"a","share":"1%","delay":"0s"}}"#, Some(RefusalCode::NoDelay)),
            (r#"{"net-reorder":{"to":"a","share":"25%","delay":"50ms","gap":5}}"#, None),
            (r#"{"net-throttle":{"to":"a","rate":"0bit"}}"#, Some(RefusalCode::NoRate)),
            (r#"{"net-throttle":{"to":"a","rate":"10mbit","burst":"1B"}}"#, Some(RefusalCode::BadBurst)),
            (r#"{"net-throttle":{"to":"a","rate":"10mbit","burst":"32kB"}}"#, None),
            (r#"{"host-isolate":{}}"#, None),
            (r#"{"net-partition":{"groups":"fremont","one_way":true}}"#, None),
            (r#"{"net-partition":{"groups":["a","b","rest"]}}"#, None),
            (r#"{"net-partition":{"shape":"ring","how":"reject"}}"#, None),
            (r#"{"net-reset":{"remote_ports":5432,"how":"throughout"}}"#, None),
            (r#"{"net-reset":{}}"#, Some(RefusalCode::NoPeers)),
            (r#"{"net-reset":{"to":"a","service":"db"}}"#, None),
            (r#"{"net-reset":{"to":"a","service":"a b"}}"#, Some(RefusalCode::BadService)),
            (r#"{"net-block":{"to":"a","service":"checkout.service"}}"#, None),
            (r#"{"net-block":{"to":"a","service":"../etc"}}"#, Some(RefusalCode::BadService)),
            (r#"{"net-lose":{"to":"a","share":"5%","service":""}}"#, Some(RefusalCode::BadService)),
            (r#"{"net-slow":{"to":"a","delay":"1s","service":"db","user":"www","direction":"out"}}"#, None),
            (r#"{"net-block":{"to":"a","service":"db","user":"www"}}"#, Some(RefusalCode::UserInwards)),
            (r#"{"net-block":{"to":"a","user":"root"}}"#, Some(RefusalCode::UserInwards)),
            (r#"{"net-block":{"to":"a","connections":"new","protocol":"udp"}}"#, Some(RefusalCode::NotTcp)),
            (r#"{"net-block":{"to":"a","interfaces":"eth0.100"}}"#, None),
            (r#"{"net-block":{"to":"a","interfaces":"eth0:1"}}"#, Some(RefusalCode::BadInterface)),
            (r#"{"net-block":{"to":"a","interfaces":["eth0",".."]}}"#, Some(RefusalCode::BadInterface)),
            (r#"{"service-stop":{"service":"checkout"}}"#, None),
            (r#"{"service-kill":{"service":"../etc"}}"#, Some(RefusalCode::BadService)),
            (r#"{"process-kill":{"match":{"command":"worker","user":"www"}}}"#, None),
            (r#"{"process-kill":{"match":{}}}"#, Some(RefusalCode::MatchTooWide)),
            (r#"{"process-kill":{"match":{"user":"root"}}}"#, Some(RefusalCode::MatchTooWide)),
            (r#"{"process-pause":{"match":{"name":""}}}"#, Some(RefusalCode::MatchTooWide)),
            (
                r#"{"process-pause":{"match":{"name":"worker","command":""}}}"#,
                Some(RefusalCode::MatchTooWide),
            ),
            (r#"{"process-pause":{"match":{"name":"worker","at_most":0}}}"#, Some(RefusalCode::NoProcess)),
            (r#"{"net-down":{"interface":"eth0.100","cut_off":true}}"#, None),
            (r#"{"net-down":{"to":"db"}}"#, None),
            (r#"{"net-down":{}}"#, Some(RefusalCode::NoInterface)),
            (r#"{"net-down":{"interface":"lo"}}"#, Some(RefusalCode::Loopback)),
            (r#"{"net-down":{"interface":"eth 0"}}"#, Some(RefusalCode::BadInterface)),
            (r#"{"net-down":{"interface":"eth0; reboot"}}"#, Some(RefusalCode::BadInterface)),
            (r#"{"net-down":{"interface":"a-name-that-is-too-long"}}"#, Some(RefusalCode::BadInterface)),
            (r#"{"net-down":{"interface":"eth0","to":"db"}}"#, Some(RefusalCode::TwoInterfaces)),
            (r#"{"net-flap":{"interface":"eth1","down":"100ms","up":"1h"}}"#, None),
            (r#"{"net-flap":{"interface":"eth1","down":"99ms","up":"1s"}}"#, Some(RefusalCode::BadPeriod)),
            (r#"{"net-flap":{"interface":"eth1","down":"1s","up":"99ms"}}"#, Some(RefusalCode::BadPeriod)),
            (r#"{"net-flap":{"interface":"eth1","down":"61m","up":"1s"}}"#, Some(RefusalCode::BadPeriod)),
            (r#"{"net-flap":{"interface":"lo","down":"1s","up":"1s"}}"#, Some(RefusalCode::Loopback)),
            (r#"{"net-flap":{"interface":"","down":"1s","up":"1s"}}"#, Some(RefusalCode::BadInterface)),
            (r#"{"net-partition":{}}"#, Some(RefusalCode::NoGroups)),
            (r#"{"net-partition":{"groups":"rest"}}"#, Some(RefusalCode::NoGroups)),
            (r#"{"net-partition":{"groups":["a","b","a"]}}"#, Some(RefusalCode::SameGroup)),
            (r#"{"net-partition":{"groups":"a","shape":"one"}}"#, Some(RefusalCode::GroupsAndShape)),
            (r#"{"net-partition":{"groups":["a","b","c"],"one_way":true}}"#, Some(RefusalCode::NotTwoSides)),
            (r#"{"net-partition":{"shape":"bridge","one_way":true}}"#, Some(RefusalCode::NotTwoSides)),
        ] {
            assert_eq!(code(text), wanted, "{text}");
        }
    }
}
