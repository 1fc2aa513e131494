//! The fleet of the demonstration: six hosts in three regions at two providers, and the shop on them. Only describes them; builds no lab.

use std::net::{IpAddr, SocketAddr};

use crate::{
    FileSpec, HIDDEN, HostSpec, LabSpec, SELF_EXE, ServiceSpec,
    shop::{Backend, Balancer, EdgeConfig},
};

/// The port of the checkout on the hosts with role `app`.
pub const CHECKOUT_PORT: u16 = 8080;
/// The port of the load balancer.
pub const EDGE_PORT: u16 = 80;
/// Path of the load balancer's configuration in its host.
const EDGE_CONFIG: &str = "/etc/shop/edge.json";

/// The configuration of the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shop {
    /// The load balancer in front of the shop.
    pub balancer: Balancer,
    /// Whether the load balancer checks the health of its backends. Without checks, clients see the fault of a backend.
    pub health_check: bool,
}

impl Default for Shop {
    fn default() -> Self {
        Self { balancer: Balancer::find(), health_check: true }
    }
}

/// One host of the demonstration, as in a fleet file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoHost {
    /// The host's name.
    pub name: &'static str,
    /// The host's provider in the demonstration.
    pub provider: &'static str,
    /// The host's region.
    pub region: &'static str,
    /// The host's role: `edge`, `app` or `client`.
    pub role: &'static str,
    /// The host's IPv4 address, then its IPv6 address.
    pub addresses: [IpAddr; 2],
}

/// Returns the six hosts of the demonstration.
#[must_use]
pub fn hosts() -> Vec<DemoHost> {
    let host = |name, provider, region, number: u8, last: u8, role| DemoHost {
        name,
        provider,
        region,
        role,
        addresses: [
            IpAddr::from([10, 77, number, last]),
            // fd77:1::10 and 10.77.1.10 are similar on purpose.
            IpAddr::from([
                0xfd77,
                number.into(),
                0,
                0,
                0,
                0,
                0,
                u16::from(last / 10) * 16 + u16::from(last % 10),
            ]),
        ],
    };
    vec![
        host("edge1", "aws", "us-west-1", 1, 10, "edge"),
        host("app1", "aws", "us-west-1", 1, 11, "app"),
        host("app2", "aws", "us-west-2", 2, 11, "app"),
        host("client1", "aws", "us-west-2", 2, 20, "client"),
        host("app3", "linode", "fremont", 3, 11, "app"),
        host("app4", "linode", "fremont", 3, 12, "app"),
    ]
}

/// Returns the lab of the demonstration, without agents: the caller adds the agents with their certificates.
#[must_use]
pub fn spec(name: &str, shop: &Shop) -> LabSpec {
    let hosts = hosts().into_iter().map(|host| HostSpec {
        name: host.name.into(),
        addresses: host.addresses.to_vec(),
        region: host.region.into(),
        roles: vec![host.role.into()],
        ..HostSpec::default()
    });
    let mut spec = LabSpec::new(name, hosts.collect());
    add_shop(&mut spec, shop);
    spec
}

/// Adds the shop to any fleet: a checkout on every host with role `app`, and on every host with role `edge` a load balancer in front of
/// all checkouts. Other hosts stay as they are.
pub fn add_shop(spec: &mut LabSpec, shop: &Shop) {
    let backends: Vec<Backend> = with_role(spec, "app")
        .filter_map(|host| {
            let address = *host.addresses.first()?;
            Some(Backend { name: host.name.clone(), address: SocketAddr::new(address, CHECKOUT_PORT) })
        })
        .collect();
    let config = EdgeConfig { health_check: shop.health_check, ..EdgeConfig::new(EDGE_PORT, backends) };
    for host in &mut spec.hosts {
        let has = |role: &str| host.roles.iter().any(|r| r == role);
        let (app, edge) = (has("app"), has("edge"));
        if app {
            let port = CHECKOUT_PORT.to_string();
            host.services.push(service("checkout", &["checkout", "--port", &port]));
        }
        if edge {
            let content = serde_json::to_string_pretty(&config).unwrap_or_default();
            host.files.push(FileSpec { path: EDGE_CONFIG.into(), content, mode: 0o644 });
            let words = ["edge", "--config", EDGE_CONFIG];
            host.services.push(match &shop.balancer {
                Balancer::BuiltIn => service("edge", &words),
                Balancer::Haproxy(path) => {
                    service("edge", &[&words[..], &["--haproxy", &path.to_string_lossy()]].concat())
                }
            });
        }
    }
}

fn with_role<'a>(spec: &'a LabSpec, role: &'a str) -> impl Iterator<Item = &'a HostSpec> {
    spec.hosts.iter().filter(move |h| h.roles.iter().any(|r| r == role))
}

fn service(name: &str, words: &[&str]) -> ServiceSpec {
    let argv = [SELF_EXE, HIDDEN].iter().chain(words).map(ToString::to_string).collect();
    ServiceSpec { name: name.into(), argv, ..ServiceSpec::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demonstration_is_a_lab_that_can_be_built() {
        let spec = spec("demo", &Shop { balancer: Balancer::BuiltIn, health_check: true });
        spec.validate().unwrap();
        assert_eq!(spec.regions(), ["us-west-1", "us-west-2", "fremont"]);
        let edge = &spec.hosts[0];
        assert_eq!(edge.addresses[1].to_string(), "fd77:1::10");
        let config: EdgeConfig = serde_json::from_str(&edge.files[0].content).unwrap();
        let names: Vec<_> = config.backends.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["app1", "app2", "app3", "app4"]);
        assert!(spec.hosts[3].services.is_empty(), "the client runs no service");
    }
}
