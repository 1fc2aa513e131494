//! Origins of web pages on which people use passkeys: `https://drills.example`. Passkeys belong to the origin's host.

use std::net::Ipv4Addr;

/// Maximum length of an origin, in bytes.
const MOST: usize = 300;
/// Maximum length of the text that an error quotes, in characters.
const QUOTED_MOST: usize = 80;

/// Checks that a text is an origin as browsers write it, of a page on which passkeys work.
///
/// # Errors
/// The text is no such origin. The error gives the reason and an example.
pub fn check_origin(text: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        let quoted: String = text.chars().take(QUOTED_MOST).collect();
        Err(format!(
            "`{quoted}` is no origin of a page with passkeys: {why}; `https://drills.example` is one"
        ))
    };
    let (rest, has_tls) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return wrong("it begins with https://"),
    };
    if text.len() > MOST {
        return wrong("it is too long");
    }
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if host.is_empty() || !host.chars().all(fits) {
        return wrong("after the scheme it has a host in small letters, and no path");
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return wrong("browsers have no passkeys for addresses, only for names");
    }
    if !has_tls && host != "localhost" {
        return wrong("without TLS, browsers have passkeys for http://localhost alone");
    }
    let usual = if has_tls { "443" } else { "80" };
    match port {
        Some(port) if port == usual => wrong("browsers leave the usual port out"),
        Some(port) if port.starts_with('0') || !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            wrong("after `:` there is a port")
        }
        _ => Ok(()),
    }
}

/// Returns the host of an origin: the relying party's id of its passkeys.
#[must_use]
pub fn rp_id(origin: &str) -> &str {
    let rest = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    rest.split_once(':').map_or(rest, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (good, host) in [
            ("https://drills.example", "drills.example"),
            ("https://drills.example:8443", "drills.example"),
            ("http://localhost:7788", "localhost"),
        ] {
            assert_eq!((check_origin(good), rp_id(good)), (Ok(()), host));
        }
        for (bad, why) in [
            ("drills.example", "begins with https://"),
            ("https://Drills.example", "small letters"),
            ("https://drills.example/", "no path"),
            ("https://", "has a host"),
            ("https://user@drills.example", "has a host"),
            ("https://[::1]", "has a host"),
            ("https://192.0.2.1", "for addresses"),
            ("http://127.0.0.1:7788", "for addresses"),
            ("http://drills.example", "without TLS"),
            ("https://drills.example:443", "usual port"),
            ("https://drills.example:", "a port"),
            ("https://drills.example:65536", "a port"),
            ("https://drills.example:1:2", "a port"),
        ] {
            let error = check_origin(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
        assert!(check_origin(&format!("https://{}", "a".repeat(300))).is_err());
    }
}
