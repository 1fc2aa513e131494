//! Splits the URL of a probe into the destination of its connection and the path of its request.

use http::Uri;
use rustls_pki_types::ServerName;

use crate::{
    hide,
    probe::{
        address::host_name,
        refused::{Field, Refusal},
    },
};

/// The destination of a probe, and the path that it requests.
#[derive(Clone, Debug)]
pub struct Target {
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// As it stands in the URL, for the header `Host`.
    pub authority: String,
    /// The path and the query.
    pub path: Uri,
    /// The name that the certificate must have; `None` for plain HTTP.
    pub name: Option<ServerName<'static>>,
}

impl Target {
    /// Refuses a URL that cannot be asked. The message repeats nothing of it that may be a secret.
    ///
    /// # Errors
    /// No request can be sent to the URL.
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let wrong = |why: &str, label, help: &str| {
            let text = hide::url(text);
            Refusal::new(
                Field::request(&["url"]),
                format!("the url `{text}` cannot be asked: {why}"),
                label,
                help,
            )
        };
        let example = "for example \"http://edge/checkout\"";
        let no_host = || wrong("it names no host", "no host", example);
        let secure = match text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("it must begin with http:// or https://", "not a URL", example)),
        };
        match authority_of(text) {
            None | Some("") => return Err(no_host()),
            Some(authority) if authority.contains('@') => {
                let help = "leave it out; give a token with `bearer`, or set a header";
                let what = "the url holds a user or a password, which is not sent";
                return Err(Refusal::new(Field::request(&["url"]), what, "a user in a URL", help));
            }
            Some(_) => {}
        }
        let url: Uri = text.parse().map_err(|why: http::uri::InvalidUri| {
            match port_of(text).filter(|port| port.parse::<u16>().is_err()) {
                Some(port) => wrong(&format!("`{port}` is not a port"), "not a port", PORT),
                None => wrong(&why.to_string(), "not a URL", example),
            }
        })?;
        let authority = url.authority().ok_or_else(no_host)?;
        let host = match authority.host() {
            "" | "[]" => return Err(no_host()),
            host => match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(v6) if v6.parse::<std::net::Ipv6Addr>().is_ok() => v6,
                Some(_) => {
                    let why = "what stands in brackets is not an IPv6 address";
                    return Err(wrong(why, "not an address", "for example \"http://[::1]:8080/\""));
                }
                None => host_name(host).map_err(|why| wrong(why, "not a host", example))?,
            },
        };
        let port = match port_of(text) {
            Some(port) => {
                let number = port.parse().ok().filter(|number| *number > 0 && !port.starts_with('+'));
                number.ok_or_else(|| wrong(&format!("`{port}` is not a port"), "not a port", PORT))?
            }
            None if secure => 443,
            None => 80,
        };
        let path = match url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str) {
            rooted if rooted.starts_with('/') => rooted.parse::<Uri>(),
            query => format!("/{query}").parse(),
        };
        let path = path.map_err(|why| wrong(&why.to_string(), "not a URL", example))?;
        let name = secure.then(|| ServerName::try_from(host.to_owned())).transpose().map_err(|_| {
            wrong("no certificate can name that host", "not a host", "letters, digits, `-`, `_` and `.`")
        })?;
        Ok(Self { host: host.to_owned(), port, authority: authority.as_str().to_owned(), path, name })
    }
}

/// The limits of a port, as help.
const PORT: &str = "a number from 1 to 65535; without one, 80 is asked, or 443 with https";

/// Returns the text between scheme and path.
fn authority_of(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split(['/', '?', '#']).next()
}

/// Returns the text of the port, if there is one.
fn port_of(url: &str) -> Option<&str> {
    authority_of(url)?.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_where() {
        for (url, host, port, path) in [
            ("http://edge", "edge", 80, "/"),
            ("http://edge?a=b", "edge", 80, "/?a=b"),
            ("https://[::1]:8443/x?y", "::1", 8443, "/x?y"),
            ("https://a_b.example.:1/", "a_b.example.", 1, "/"),
            ("http://10.0.0.1/#part", "10.0.0.1", 80, "/"),
        ] {
            let target = Target::new(url).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{url}");
            assert_eq!(target.path.to_string(), path, "{url}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_told_without_its_password() {
        for url in [
            "http://edge:/",
            "http://edge:+80/",
            "http://edge:0",
            "http://edge:99999/",
            "http://[edge]/",
            "http://[]/",
            "http://10.0.0.300/",
            "http://a..b/",
            "http://:80/",
            "https://-/",
            "http://a,b/",
            "HTTP//edge",
            "http:edge",
        ] {
            assert!(Target::new(url).is_err(), "{url}");
        }
        for url in
            ["http://u:geheim@edge/", "http://edge:x/?key=geheim", "ftp://u:geheim@edge/", "edge?geheim"]
        {
            let refusal = Target::new(url).err().unwrap();
            assert!(!refusal.to_string().contains("geheim"), "{refusal}");
        }
    }
}
