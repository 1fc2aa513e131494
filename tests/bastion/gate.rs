//! A gate in place of a bastion's sshd. New connections wait for their login, and some are dropped before it.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    io::{BufRead as _, BufReader, copy},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use firedrill::plan::model::Reach;

/// Decides whether a new connection is dropped. Arguments: the address that it wants to reach, the number of earlier
/// drops for that address, and the number of connections that have not logged in.
type Drops = Box<dyn Fn(&str, u32, usize) -> bool + Send + Sync>;

/// Numbers of connections.
#[derive(Default)]
struct Counts {
    /// Connections that have not logged in.
    unknown: usize,
    /// Maximum of `unknown` so far.
    most: usize,
    /// Connections that were not dropped.
    opened: u32,
    dropped: u32,
    /// Drops by the wanted address.
    by_address: BTreeMap<String, u32>,
}

/// The gate. Its threads end with the process.
pub(crate) struct Gate {
    at: String,
    counts: Arc<Mutex<Counts>>,
}

impl Gate {
    /// Returns a gate with sshd's default `MaxStartups`, 10:30:100.
    pub(crate) fn sshd() -> Self {
        Self::new(Duration::from_millis(150), |_, _, unknown| {
            let Some(beyond) = unknown.checked_sub(10) else { return false };
            let percent = 30 + 70 * beyond / 90;
            RandomState::new().hash_one(()) % 100 < percent as u64
        })
    }

    /// Returns a gate that drops connections by the wanted address and the number of earlier drops for it.
    pub(crate) fn dropping(drops: impl Fn(&str, u32) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Duration::from_millis(20), move |address, before, _| drops(address, before))
    }

    /// Returns a gate that drops nothing, with a login of that duration.
    pub(crate) fn slow(login: Duration) -> Self {
        Self::new(login, |_, _, _| false)
    }

    fn new(login: Duration, drops: impl Fn(&str, u32, usize) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let counts = Arc::<Mutex<Counts>>::default();
        let (drops, kept): (Arc<Drops>, _) = (Arc::new(Box::new(drops)), Arc::clone(&counts));
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let (drops, counts) = (Arc::clone(&drops), Arc::clone(&kept));
                thread::spawn(move || enter(near, login, &drops, &counts));
            }
        });
        Self { at, counts }
    }

    /// Returns the `connect` line for a fleet's file.
    pub(crate) fn connect(&self) -> String {
        let own = std::env::current_exe().unwrap();
        format!("connect = [{:?}, \"--bastion\", \"{}\", \"%h:%p\"]", own, self.at)
    }

    /// Returns the way to an agent through the gate.
    pub(crate) fn reach(&self, address: &str) -> Reach {
        let own = std::env::current_exe().unwrap().display().to_string();
        Reach::Command(vec![own, "--bastion".to_owned(), self.at.clone(), address.to_owned()])
    }

    /// Returns the maximum number of connections that had not logged in at one time.
    pub(crate) fn most(&self) -> usize {
        self.counts.lock().unwrap().most
    }

    /// Returns the number of connections that were dropped.
    pub(crate) fn dropped(&self) -> u32 {
        self.counts.lock().unwrap().dropped
    }

    /// Returns the number of connections that were not dropped.
    pub(crate) fn opened(&self) -> u32 {
        self.counts.lock().unwrap().opened
    }

    /// Forgets the drops by address.
    pub(crate) fn forget(&self) {
        self.counts.lock().unwrap().by_address.clear();
    }
}

/// Serves a connection: reads the wanted address, drops the connection or waits for the login, and passes bytes on.
fn enter(near: TcpStream, login: Duration, drops: &Drops, counts: &Mutex<Counts>) {
    let mut address = String::new();
    let mut from = BufReader::new(near.try_clone().unwrap());
    if from.read_line(&mut address).is_err() {
        return;
    }
    let address = address.trim_end();
    {
        let mut counts = counts.lock().unwrap();
        let before = counts.by_address.get(address).copied().unwrap_or(0);
        if drops(address, before, counts.unknown) {
            counts.dropped += 1;
            *counts.by_address.entry(address.to_owned()).or_default() += 1;
            let _ = near.shutdown(Shutdown::Both);
            return;
        }
        counts.opened += 1;
        counts.unknown += 1;
        counts.most = counts.most.max(counts.unknown);
    }
    thread::sleep(login);
    counts.lock().unwrap().unknown -= 1;
    let Ok(far) = TcpStream::connect(address) else { return };
    let (mut to_far, mut from_far, mut to_near) = (far.try_clone().unwrap(), far, near);
    thread::spawn(move || {
        let _ = copy(&mut from, &mut to_far);
        let _ = to_far.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut from_far, &mut to_near);
    let _ = to_near.shutdown(Shutdown::Both);
}
