//! Programs that tests start in folders of their own, on addresses of their own, and end by their pids.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::{fs::chown, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// The folder in which Debian keeps the server of PostgreSQL.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

/// Returns the path of a program, or says that the test is skipped. In CI a program that is missing is a failure.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let place =
        [POSTGRES, "/usr/bin", "/usr/local/bin", "/usr/sbin"].map(|folder| Path::new(folder).join(name));
    let found = place.into_iter().find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed: tests/packages.sh stores");
        eprintln!("skipped: {name} is not installed: tests/packages.sh stores");
    }
    found
}

/// An address of loopback that no other server has: tests run at the same time, also those of other processes.
pub(crate) fn address(port: u16) -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let pid = std::process::id();
    let [_, _, high, low] = pid.to_be_bytes();
    SocketAddr::from(([127, high | 1, low, NEXT.fetch_add(1, Ordering::SeqCst)], port))
}

/// A folder for a server, which may not be root.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    give(folder.path());
    folder
}

/// Gives a file to the servers' user.
pub(crate) fn give(path: &Path) {
    if let Some((user, group)) = user() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// The user of servers where tests are root's: PostgreSQL refuses root.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres");
    let ids: Vec<u32> = line.split(':').skip(2).take(2).map(|id| id.parse().unwrap()).collect();
    Some((ids[0], ids[1]))
}

/// A command of the servers' user.
pub(crate) fn command(path: &Path, within: &Path) -> Command {
    let mut command = Command::new(path);
    command.current_dir(within).env("LC_ALL", "C").stdin(Stdio::null());
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    command
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A server. It ends with the value.
pub(crate) struct Server {
    child: Child,
    pub(crate) at: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts one, and waits until it takes connections.
    pub(crate) fn start(command: Command, at: SocketAddr, log: PathBuf) -> Self {
        Self::spawn(command, at, log).up()
    }

    /// Starts one.
    pub(crate) fn spawn(mut command: Command, at: SocketAddr, log: PathBuf) -> Self {
        let file = fs::File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), at, log }
    }

    /// Waits until it takes connections.
    pub(crate) fn up(mut self) -> Self {
        self.wait("its port", |at| TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_ok());
        self
    }

    /// Waits for something, and gives up with the server's log.
    pub(crate) fn wait(&mut self, what: &str, is_there: impl Fn(SocketAddr) -> bool) {
        let begun = Instant::now();
        while !is_there(self.at) {
            let ended = self.child.try_wait().unwrap();
            let log = || fs::read_to_string(&self.log).unwrap_or_default();
            assert!(ended.is_none(), "{ended:?}, before {what}: {}", log());
            assert!(begun.elapsed() < Duration::from_secs(60), "no {what}: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as its users do, and waits.
    pub(crate) fn stop(&mut self, signal: Signal) {
        self.signal(signal);
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // INT lets PostgreSQL end its own children; a stopped process must go on to hear it.
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(Signal::CONT);
            self.signal(Signal::INT);
            let begun = Instant::now();
            while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
                if begun.elapsed() > Duration::from_secs(10) {
                    self.signal(Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A way to a server that cuts a connection once a client has sent that word and the server has it. Returns its address, and whether it cuts.
pub(crate) async fn cutting(to: SocketAddr, word: &'static [u8]) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let cuts = Arc::new(AtomicBool::new(true));
    let cutting = Arc::clone(&cuts);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let cuts = Arc::clone(&cutting);
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(to).await.unwrap();
                let (mut up, mut down) = ([0; 4096], [0; 4096]);
                loop {
                    tokio::select! {
                        read = client.read(&mut up) => {
                            let Ok(read @ 1..) = read else { return };
                            server.write_all(&up[..read]).await.unwrap();
                            let seen = up[..read].windows(word.len()).any(|part| part == word);
                            if seen && cuts.load(Ordering::SeqCst) {
                                // The server has answered, so it has done it.
                                assert!(server.read(&mut down).await.unwrap() > 0);
                                return;
                            }
                        }
                        read = server.read(&mut down) => {
                            let Ok(read @ 1..) = read else { return };
                            if client.write_all(&down[..read]).await.is_err() {
                                return;
                            }
                        }
                    }
                }
            });
        }
    });
    (at, cuts)
}
