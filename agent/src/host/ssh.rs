//! By which TCP ports people's SSH sessions come in: those that are configured, and those by which live ones came. Only
//! looks.

use std::{
    collections::BTreeSet,
    fs, io,
    sync::{Mutex, PoisonError},
};

use super::process;

/// The beginnings of the names of servers of SSH.
const SERVERS: [&str; 2] = ["sshd", "dropbear"];
/// As `/proc/net/tcp` writes the state of a socket that listens (`TCP_LISTEN`).
const LISTENS: &str = "0A";

/// The ports, as they were when last looked at.
#[derive(Debug, Default)]
pub struct Ssh {
    configured: Vec<u16>,
    live: Mutex<BTreeSet<u16>>,
}

impl Ssh {
    /// With the ports that are configured.
    #[must_use]
    pub const fn new(configured: Vec<u16>) -> Self {
        Self { configured, live: Mutex::new(BTreeSet::new()) }
    }

    /// All of them, sorted.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let all: BTreeSet<u16> = self.configured.iter().chain(live.iter()).copied().collect();
        all.into_iter().collect()
    }

    /// Looks for servers of SSH, their sessions, and the ports that these came in by. A port that was seen once stays: its
    /// sessions may still be there after its server is not.
    pub fn look(&self) {
        match listening() {
            Ok(found) => self.live.lock().unwrap_or_else(PoisonError::into_inner).extend(found),
            Err(error) => tracing::warn!("could not look for SSH sessions: {error}"),
        }
    }
}

/// Ports that somebody listens on and that a server of SSH has a socket of, be it one that listens or a session's: under
/// systemd it is not the server that listens. What a session has opened to others is at ports that nobody listens on.
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
            // A kernel without that family.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(&listened & &of_servers)
}

/// The sockets that a process has open, by inode; none of one that has gone.
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

/// A line of `/proc/net/tcp` (`Documentation/networking/proc_net_tcp.rst`).
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
