//! Hosts and ports as probes name them.

use std::{collections::BTreeMap, net::IpAddr};

use super::refused::{Field, Refusal};

/// Returns the addresses of a host that are known without the machine's resolver: the host is an address itself, or `names` has its
/// addresses. `None` if neither is so.
#[must_use]
pub fn given(host: &str, names: &BTreeMap<String, Vec<IpAddr>>) -> Option<Vec<IpAddr>> {
    match host.parse::<IpAddr>() {
        Ok(address) => Some(vec![address]),
        Err(_) => {
            names.iter().find(|(name, _)| name.eq_ignore_ascii_case(host)).map(|(_, list)| list.clone())
        }
    }
}

/// Refuses a text that is neither an IPv4 address nor a name that a resolver could know.
pub(super) fn host_name(host: &str) -> Result<&str, &'static str> {
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let number = |label: &&str| label.bytes().all(|byte| byte.is_ascii_digit());
    let label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if host.is_empty() {
        return Err("it names no host");
    }
    if host.len() > 253 || !labels.iter().all(label) {
        return Err("a host's name is made of letters, digits, `-`, `_` and `.`");
    }
    if labels.len() == 4 && labels.iter().all(number) && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err("each of the four numbers of an address is from 0 to 255");
    }
    Ok(host)
}

/// Splits `host:port` or `[v6]:port`.
pub(super) fn host_and_port(text: &str) -> Result<(&str, u16), &'static str> {
    const WANTED: &str = "a host, a colon and a port are wanted";
    let (host, port) = text.rsplit_once(':').ok_or(WANTED)?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().map(|_| v6).map_err(|_| WANTED)?,
        None if host.contains(':') => return Err(WANTED),
        None => host_name(host)?,
    };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && !port.starts_with('+') => Ok((host, number)),
        _ => Err("the port must be a number from 1 to 65535"),
    }
}

/// Splits the `address` of a probe. `usual` is a host and a port for the example in the refusal.
pub(super) fn destination<'a>(text: &'a str, usual: (&str, u16)) -> Result<(&'a str, u16), Refusal> {
    host_and_port(text).map_err(|why| {
        let (host, port) = usual;
        let what = format!("`{text}` is not host:port: {why}");
        let help = format!("for example \"{host}:{port}\" or \"[::1]:{port}\"");
        Refusal::new(Field::request(&["address"]), what, "not host:port", help)
    })
}

/// Splits `host`, `host:port`, a v6 address, or `[v6]:port`; `usual` is the port of a text without one.
pub(super) fn host_and_usual_port(text: &str, usual: u16) -> Result<(&str, u16), &'static str> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() || !text.contains(':') {
        return host(text).map(|host| (host, usual));
    }
    host_and_port(text)
}

/// Refuses a text that is neither an address, without brackets, nor a name that a resolver could know.
pub(super) fn host(text: &str) -> Result<&str, &'static str> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() { Ok(text) } else { host_name(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_or_refused() {
        assert_eq!(host_and_port("db1:5432"), Ok(("db1", 5432)));
        assert_eq!(host_and_port("[::1]:80"), Ok(("::1", 80)));
        for wrong in [
            "db1",
            ":80",
            "::1:80",
            "db1:0",
            "db1:99999",
            "db1:http",
            "[db1]:80",
            "http://db1:80",
            "u@db1:80",
            "db1:+80",
            "a b:80",
            "10.0.0.300:80",
        ] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_may_be_left_out_where_there_is_a_usual_one() {
        for (text, to) in [("ns1", ("ns1", 53)), ("ns1:54", ("ns1", 54)), ("fd00::1", ("fd00::1", 53))] {
            assert_eq!(host_and_usual_port(text, 53), Ok(to));
        }
        assert_eq!(host_and_usual_port("[fd00::1]:54", 53), Ok(("fd00::1", 54)));
        for wrong in ["", "ns1:", "[fd00::1]", "a b", "10.0.0.300", "ns1:0"] {
            assert!(host_and_usual_port(wrong, 53).is_err(), "{wrong}");
        }
    }
}
