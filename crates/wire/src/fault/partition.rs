//! `net-partition`: hosts in sides that cannot reach each other. The planner turns it into a `net-block` on each host, against the
//! addresses of the hosts that it must not reach.

use serde::{Deserialize, Serialize};

use super::{
    About, Effect, End, Engine, HostMeanwhile, Invalid, Kind, On, Refuse, Scope, Trial,
    invalid::{NOT_BLOCKED, wrong},
};
use crate::{RefusalCode, Touches};

/// `net-partition`: cut the attack's hosts into sides that cannot reach each other, by `groups` or by `shape`. Each host
/// drops its packets to the other sides and packets from them. The control path, SSH, loopback, neighbour
/// discovery, DHCP and cloud metadata are never touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetPartition {
    /// The sides: targets, roles or hosts, as far as the attack is on them; `rest` means all other hosts of the attack. A single side is cut
    /// off from the rest. Hosts in no side reach all others.
    #[serde(default, deserialize_with = "super::net::one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "super::net::OneOrMany<String>")]
    pub groups: Vec<String>,
    /// The shape of sides that the run's seed selects; in place of `groups`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<PartitionShape>,
    /// Whether only the first side cannot send to the second, which can still send to the first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_way: bool,
    /// Whether the packets are dropped, or rejected with an answer.
    #[serde(default)]
    pub how: Refuse,
    /// The engine that drops or rejects, as with `net-block`: `kernel` (nftables), `iptables`, or `auto`.
    #[serde(default, skip_serializing_if = "Engine::is_auto")]
    pub engine: Engine,
}

/// The shape of a partition whose sides the run's seed selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionShape {
    /// Two sides of equal size, or the first smaller by one.
    Halves,
    /// One host against all others.
    One,
    /// Each host reaches only its two neighbours in a ring; from four hosts on.
    Ring,
    /// Two halves, and one more host that both reach; from three hosts on.
    Bridge,
}

impl PartitionShape {
    /// Minimum number of hosts for a partition of this shape.
    #[must_use]
    pub const fn least(self) -> usize {
        match self {
            Self::Halves | Self::One => 2,
            Self::Bridge => 3,
            Self::Ring => 4,
        }
    }
}

impl NetPartition {
    /// The group of all hosts that no other group names.
    pub const REST: &'static str = "rest";

    /// Returns the names of the sides. If only one is given, the rest is the other one.
    #[must_use]
    pub fn sides(&self) -> Vec<&str> {
        let named = self.groups.iter().map(String::as_str);
        let rest = (self.groups.len() == 1).then_some(Self::REST);
        named.chain(rest).collect()
    }

    /// The effect of a partition, also of the blocks that it becomes in a plan.
    pub const EFFECT: Effect = Effect { on: On::Host, done: "partitioned" };
}

impl Kind for NetPartition {
    fn about(&self) -> About<'_> {
        About {
            end: End::PutBack,
            host: HostMeanwhile::Up,
            scope: Scope::Host,
            ramp: About::RAMP_QUICK,
            effect: Self::EFFECT,
            late: None,
            trial: Trial::None,
        }
    }

    fn invalid(&self) -> Option<Invalid> {
        match (self.shape, &self.groups[..]) {
            _ if self.engine == Engine::UserSpace => Some(NOT_BLOCKED),
            (None, []) => wrong(
                RefusalCode::NoGroups,
                "has neither `groups` nor `shape`",
                "for example groups = [\"fremont\", \"rest\"], or shape = \"halves\" (one, ring, bridge)",
            ),
            (Some(_), [_, ..]) => wrong(
                RefusalCode::GroupsAndShape,
                "has both `groups` and `shape`",
                "one of them: `groups` names the sides, `shape` lets the run's seed make them",
            ),
            (None, [rest]) if rest == Self::REST => {
                wrong(RefusalCode::NoGroups, "the rest of nobody is no side", "name the other side too")
            }
            (None, groups)
                if groups.iter().enumerate().any(|(index, group)| groups[..index].contains(group)) =>
            {
                wrong(RefusalCode::SameGroup, "names a group twice", "each side once")
            }
            (Some(PartitionShape::Ring | PartitionShape::Bridge), []) if self.one_way => wrong(
                RefusalCode::NotTwoSides,
                "a ring and a bridge have no first side that `one_way` could be about",
                "leave `one_way` out, or take groups, halves or one",
            ),
            (None, groups) if self.one_way && groups.len() > 2 => wrong(
                RefusalCode::NotTwoSides,
                "`one_way` is about two sides, and here are more",
                "two groups, of which the first cannot send to the second",
            ),
            _ => None,
        }
    }

    fn touches(&self) -> Touches {
        let Self { groups: _, shape: _, one_way: _, how: _, engine: _ } = self;
        Touches::all()
    }
}
