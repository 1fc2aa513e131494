//! Finds the TCP ports of people's SSH sessions: the configured ones, and those of live sessions. Reads only.

use std::{
    collections::BTreeSet,
    fs, io,
    sync::{Mutex, PoisonError},
};

use super::process;

/// Prefixes of the names of SSH servers.
const SERVERS: [&str; 2] = ["sshd", "dropbear"];
/// The state of a listening socket (`TCP_LISTEN`) in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// The ports, as of the last look.
#[derive(Debug, Default)]
pub struct Ssh {
    configured: Vec<u16>,
    live: Mutex<BTreeSet<u16>>,
}

impl Ssh {
    /// Starts with the configured ports.
    #[must_use]
    pub const fn new(configured: Vec<u16>) -> Self {
        Self { configured, live: Mutex::new(BTreeSet::new()) }
    }

    /// Returns all of them, sorted.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<u16> = self.configured.iter().chain(live.iter()).copied().collect();
        all.into_iter().collect()
    }

    /// Finds SSH servers, their sessions, and the ports of these. A port stays once it was seen: its sessions may
    /// outlive its server.
    pub fn look(&self) {
        match listening() {
            Ok(found) => self.live.lock().unwrap_or_else(PoisonError::into_inner).extend(found),
            Err(error) => tracing::warn!("could not look for SSH sessions: {error}"),
        }
    }
}

/// Returns the ports on which a socket listens and of which an SSH server has a socket, either listening or a
/// session's: under systemd another process listens. The connections that a session has made to others use ports on
/// which nothing listens.
fn listening() -> io::Result<BTreeSet<u16>> {
    let servers = process::all()?;
    let servers = servers.iter().filter(|one| SERVERS.iter().any(|name| one.comm.starts_with(name)));
    let owned: BTreeSet<u64> = servers.flat_map(|server| sockets(server.name.pid)).collect();
    if owned.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (mut listened, mut of_servers) = (BTreeSet::new(), BTreeSet::new());
    for table in ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"] {
        match fs::read_to_string(table) {
            Ok(text) => {
                for Row { port, listens, inode } in text.lines().skip(1).filter_map(row) {
                    listened.extend(listens.then_some(port));
                    of_servers.extend(owned.contains(&inode).then_some(port));
                }
            }
            // The kernel lacks that address family.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&listened & &of_servers)
}

/// Returns the sockets that a process has open, by inode; none if it is gone.
fn sockets(pid: i32) -> Vec<u64> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let names = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    names
        .filter_map(|name| name.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

struct Row {
    port: u16,
    listens: bool,
    inode: u64,
}

/// Parses a line of `/proc/net/tcp` (`Documentation/networking/proc_net_tcp.rst`).
fn row(line: &str) -> Option<Row> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, port) = words.get(1)?.rsplit_once(':')?;
    Some(Row {
        port: u16::from_str_radix(port, 16).ok()?,
        listens: *words.get(3)? == LISTENS,
        inode: words.get(9)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_s_is_read() {
        let line = "   1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22711 1 0000000 100 0 0 10 0";
        let Row { port, listens, inode } = row(line).expect("a line");
        assert_eq!((port, listens, inode), (22, true, 22_711));
        assert!(row("  sl  local_address rem_address").is_none());
    }

    #[test]
    fn ports_that_are_configured_are_always_there() {
        let ssh = Ssh::new(vec![2222, 22]);
        assert_eq!(ssh.ports(), [22, 2222]);
    }
}
