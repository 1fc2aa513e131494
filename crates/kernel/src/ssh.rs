//! Finds the TCP ports of people's SSH sessions: the configured ports, and the ports of running servers and sessions. Only reads; changes no
//! process and no socket.

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

/// The ports of SSH.
#[derive(Debug, Default)]
pub struct Ssh {
    configured: Vec<u16>,
    /// The ports that [`Ssh::look`] has found so far.
    live: Mutex<BTreeSet<u16>>,
}

impl Ssh {
    /// Starts with the configured ports.
    #[must_use]
    pub const fn new(configured: Vec<u16>) -> Self {
        Self { configured, live: Mutex::new(BTreeSet::new()) }
    }

    /// Returns all known ports, sorted.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let ports: BTreeSet<u16> = self.configured.iter().chain(live.iter()).copied().collect();
        ports.into_iter().collect()
    }

    /// Finds the ports of running SSH servers and sessions, and adds them. A port that was found is never removed, because sessions may
    /// outlive their server.
    pub fn look(&self) {
        match listening() {
            Ok(found) => self.live.lock().unwrap_or_else(PoisonError::into_inner).extend(found),
            Err(error) => tracing::warn!("could not look for SSH sessions: {error}"),
        }
    }
}

/// Returns the ports on which a process listens and at which an SSH server has a socket, either the listening one or that of a session. The
/// listening process may be another one, as with systemd's socket activation. Connections that a session makes to other hosts do not count,
/// because no process listens on their local ports.
fn listening() -> io::Result<BTreeSet<u16>> {
    let servers = process::all()?;
    let servers = servers.iter().filter(|process| SERVERS.iter().any(|name| process.comm.starts_with(name)));
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
            // The kernel lacks this address family.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&listened & &of_servers)
}

/// Returns the inodes of a process's open sockets; empty if the process has ended or may not be read.
fn sockets(pid: i32) -> Vec<u64> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let names = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    names
        .filter_map(|name| name.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// A socket in `/proc/net/tcp`.
struct Row {
    /// The local port.
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
    fn a_line_of_the_kernels_table_is_read() {
        let line = "   1: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22711 1 0000000 100 0 0 10 0";
        let Row { port, listens, inode } = row(line).expect("a line");
        assert_eq!((port, listens, inode), (22, true, 22_711));
        assert!(row("  sl  local_address rem_address").is_none());
    }

    #[test]
    fn configured_ports_are_always_included() {
        let ssh = Ssh::new(vec![2222, 22]);
        assert_eq!(ssh.ports(), [22, 2222]);
    }
}
