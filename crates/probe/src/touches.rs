//! The files, variables and peers of each kind of probe, for the policy of the host that runs it.

use firedrill_wire::{
    Touches,
    probe::{HttpProbe, ProbeKind, ProbeSpec, Secret, TcpProbe},
};

use crate::{check::destination, resolve::given};

/// The names of the kinds of probes in policies.
pub const KINDS: [&str; 2] = ["probe-http", "probe-tcp"];

/// Returns the name of a probe's kind in policies.
#[must_use]
pub const fn kind(kind: &ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Http(_) => "probe-http",
        ProbeKind::Tcp(_) => "probe-tcp",
    }
}

/// Returns the files and variables that a probe reads and the peers that it reaches. A name that comes with addresses is not
/// looked up. Then the addresses count as peers, because the caller can give any name to them.
#[must_use]
pub fn touches(spec: &ProbeSpec) -> Touches {
    let ProbeSpec { name: _, kind, rate: _, arrivals: _, key: _, timeout: _, connection: _, names } = spec;
    let mut all = Touches::default();
    match destination(kind) {
        Some((host, _)) => match given(&host, names) {
            Some(addresses) if !addresses.is_empty() => {
                all.peers = addresses.iter().map(ToString::to_string).collect();
            }
            _ => all.peers = vec![host].into(),
        },
        None => all.everything = true,
    }
    match kind {
        ProbeKind::Http(probe) => {
            let HttpProbe {
                url: _,
                method: _,
                status: _,
                contains: _,
                headers: _,
                body: _,
                bearer,
                ca_file,
                secrets,
            } = probe;
            for secret in bearer.iter().chain(secrets.values()) {
                match secret {
                    Secret::SecretFile(path) => all.reads.push(path.clone()),
                    Secret::SecretEnv(name) => all.variables.push(name.clone()),
                }
            }
            all.reads.extend(ca_file.clone());
        }
        ProbeKind::Tcp(TcpProbe { address: _ }) => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Touches {
        touches(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn files_variables_and_whom_it_reaches_are_told() {
        let probe = of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"http":{"url":"https://shop.example/",
            "bearer":{"secret_file":"/s/token"},"ca_file":"/s/ca.pem"}}}"#);
        assert_eq!(probe.peers, ["shop.example"]);
        assert_eq!(probe.reads, ["/s/token", "/s/ca.pem"]);
        let probe = of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"http":{"url":"http://[::1]/",
            "bearer":{"secret_env":"TOKEN"},
            "secrets":{"k":{"secret_env":"KEY"},"l":{"secret_file":"/s/l"}}}}}"#);
        assert_eq!(probe.peers, ["::1"]);
        assert_eq!(probe.variables, ["TOKEN", "KEY"]);
        assert_eq!(probe.reads, ["/s/l"]);
        assert!(!probe.everything);
    }

    #[test]
    fn a_name_that_comes_with_addresses_is_its_addresses() {
        let probe = of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"tcp":{"address":"Good.example:80"}},
            "names":{"good.example":["192.0.2.1","::1"]}}"#);
        assert_eq!(probe.peers, ["192.0.2.1", "::1"]);
    }

    #[test]
    fn what_cannot_be_read_is_everything() {
        assert!(
            of(r#"{"name":"p","rate":1,"timeout":"1s","kind":{"tcp":{"address":"nonsense"}}}"#).everything
        );
    }
}
