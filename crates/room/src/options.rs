//! The options of a control room: its addresses, its folders and its chats. Reads no file.

use std::{net::SocketAddr, path::PathBuf};

use crate::chat::ChatFile;

/// The options of a control room.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The address on which metrics are shown without a login; `None` shows them nowhere.
    pub metrics: Option<SocketAddr>,
    /// The directory of runs.
    pub reports: PathBuf,
    /// The folder with the control room's own data: database and audit log.
    pub state: PathBuf,
    /// The address that people type, where a proxy speaks TLS for the control room: `https://drills.example`.
    pub public: Option<String>,
    /// The chats from which people may act; `None` if there are none.
    pub chat: Option<ChatFile>,
    /// Called with the number of logs before they are read, which takes a while if they are many.
    pub reading: fn(usize),
}

/// Returns the origin of a proxy's address, such as `https://drills.example`, in lower case and without a final `/`.
///
/// # Errors
/// The text has another scheme than `https`, no host, a path, or characters that no host name has.
pub fn public(text: &str) -> Result<String, String> {
    let wrong =
        || format!("`{text}` is no address of a proxy; `https://drills.example` is one, without a path");
    let text = text.trim_end_matches('/');
    let host = text.strip_prefix("https://").ok_or_else(wrong)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if host.is_empty() || !host.chars().all(fits) { Err(wrong()) } else { Ok(text.to_ascii_lowercase()) }
}

#[cfg(test)]
mod tests {
    use super::public;

    #[test]
    fn an_origin_has_a_host_and_no_path() {
        assert_eq!(public("https://Drills.example:8443/").as_deref(), Ok("https://drills.example:8443"));
        for bad in [
            "http://drills.example",
            "https://",
            "https://a/b",
            "https://a?b",
            "drills.example",
            "https://a b",
        ] {
            assert!(public(bad).is_err(), "{bad}");
        }
    }
}
