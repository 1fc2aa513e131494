//! `icmp`: an ICMP echo request, and the reply to it.

use serde::{Deserialize, Serialize};

use super::{
    address::host,
    kind::{About, Connections, Form, Hides, Kind, Reach, Shows},
    refused::{Field, Refusal},
};

/// An ICMP echo request, as `ping` sends it, to an IPv4 or IPv6 address. It is good if the same bytes come back. The kernel of the host
/// replies, so it says that the host and the way to it are there, and nothing about a service. The vantage must be allowed to send it: by
/// `net.ipv4.ping_group_range`, which has the groups of the prober's process, or by CAP_NET_RAW.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IcmpProbe {
    /// A host's name, or an address without brackets.
    pub host: String,
    /// The bytes that are sent in a request, besides the 8 of its head. Large ones find ways that lose large packets only.
    #[serde(default = "IcmpProbe::usual_size")]
    #[schemars(range(min = 16, max = 8972))]
    pub size: u16,
}

impl IcmpProbe {
    /// The fewest bytes of a request: those that tell one from another.
    pub const SIZE_LEAST: u16 = 16;
    /// The most bytes of a request, which fit into one packet of 9,000 bytes.
    pub const SIZE_MOST: u16 = 8_972;

    const fn usual_size() -> u16 {
        56
    }
}

impl Form for IcmpProbe {
    const EXAMPLE: &'static str = "{ host = \"edge\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[];
    const AS_IT_IS: &'static [&'static str] = &[];

    fn without_secrets(&self) -> Self {
        self.clone()
    }
}

impl Kind for IcmpProbe {
    fn about(&self) -> About<'_> {
        let Self { host: named, size } = self;
        let large = if *size == Self::usual_size() { String::new() } else { format!(", {size} bytes") };
        About {
            asks: format!("icmp echo {named}{large}"),
            measures: format!("ICMP echoes of {named}{large}"),
            reach: Reach {
                field: Field::request(&["host"]),
                text: named,
                to: host(named).ok().map(|host| (host.to_owned(), 0)),
            },
            shows: Shows::Opens,
            connections: Connections::New("an ICMP probe has no connections"),
            reads: Vec::new(),
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: Vec::new(),
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        let named = host(&self.host).err().map(|why| {
            let what = format!("`{}` is no host: {why}", self.host);
            let help = "for example \"db1\", \"192.0.2.7\" or \"fd00::7\"; an echo has no port";
            Refusal::new(Field::request(&["host"]), what, "not a host", help)
        });
        let (least, most) = (Self::SIZE_LEAST, Self::SIZE_MOST);
        let size = (!(least..=most).contains(&self.size)).then(|| {
            let what = format!("an echo request of {} bytes is not sent", self.size);
            Refusal::new(Field::request(&["size"]), what, "not sent", format!("from {least} to {most} bytes"))
        });
        named.into_iter().chain(size).collect()
    }

    fn vain(&self) -> Vec<Refusal> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_that_cannot_be_is_told_once() {
        for (host, size, why) in [
            ("", 56, "no host"),
            ("edge:80", 56, "no host"),
            ("[::1]", 56, "no host"),
            ("10.0.0.300", 56, "no host"),
            ("edge", 15, "15 bytes"),
            ("edge", 8973, "8973 bytes"),
        ] {
            let said: Vec<String> =
                IcmpProbe { host: host.to_owned(), size }.invalid().iter().map(ToString::to_string).collect();
            assert!(said.len() == 1 && said[0].contains(why), "{host} {size}: {said:?}");
        }
        for host in ["edge", "192.0.2.7", "fd00::7"] {
            let probe = IcmpProbe { host: host.to_owned(), size: 8972 };
            assert_eq!((probe.invalid(), probe.about().reach.to), (vec![], Some((host.to_owned(), 0))));
        }
    }
}
