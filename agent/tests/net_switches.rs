//! Tests of how the kernel ends faults by itself: a table is deleted with its owner, and its gates close with the lease and the hold.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command},
    thread,
    time::Duration,
};

use firedrill_agent::fault::net::rules::{self, Action, PacketRule, Selector};
use firedrill_agent::{
    host::nft::{
        Deleted, Installed, Nft,
        table::{Gate, HOLD, LEASE, Table},
    },
    sandboxed,
    testing::{host, play, role, wait_until},
    undo,
};
use firedrill_netlink::NetlinkError;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
const NAME: &str = "fd_run_1";

fn table(lease: Duration, hold: Duration) -> Table {
    let selector = Selector {
        peers: vec!["10.9.0.0/24".parse().unwrap(), "fd09::/64".parse().unwrap()],
        remote_ports: vec![(80, 90), (65535, 65535)],
        ..Selector::default()
    };
    let rule = PacketRule { selector, except: Vec::new(), loopback: false, action: Action::Drop };
    let host = host(std::path::Path::new("/nonexistent"));
    rules::table(&host, &"run-1".parse().unwrap(), &rule, lease, hold)
}

/// Returns whether the gates of the lease and of the hold are open.
fn gates(nft: &Nft) -> (bool, bool) {
    let look = nft.look(NAME).unwrap().expect("the table is there");
    (look.left(LEASE).is_some(), look.left(HOLD).is_some())
}

/// Starts a process that plays a role, and waits until it has made the table.
fn owner(role: &str) -> Child {
    let mut child = play(role);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")), "the owner was ready");
    child
}

/// The owner's role: makes the table, reports that, and stays.
fn own(lease: Duration) -> ! {
    let nft = Nft::default();
    assert_eq!(nft.install(&table(lease, LONG)).unwrap(), Installed::New);
    println!("\nready");
    std::io::stdout().flush().unwrap();
    loop {
        thread::sleep(LONG);
    }
}

/// Sends a signal, and waits for the end of the process if the signal ends it.
fn end(mut child: Child, how: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), how).unwrap();
    if how == Signal::SIGKILL {
        child.wait().unwrap();
    }
}

fn gone(nft: &Nft) -> bool {
    nft.our_tables().unwrap().is_empty()
}

sandboxed! {
    fn a_table_dies_with_its_owner() {
        if role().is_some() {
            own(LONG);
        }
        let nft = Nft::default();
        let child = owner("owner");
        assert_eq!(gates(&nft), (true, true));
        end(child, Signal::SIGKILL);
        wait_until("the table is gone", || gone(&nft));
        assert_eq!(nft.delete_table(NAME).unwrap(), Deleted::WasGone);
    }
}

sandboxed! {
    fn a_forked_load_child_does_not_keep_the_nft_socket_alive() {
        if role().is_some() {
            let nft = Nft::default();
            nft.install(&table(LONG, LONG)).unwrap();
            let mut load = Command::new("sleep").arg("60").spawn().unwrap();
            println!("\nready {}", load.id());
            std::io::stdout().flush().unwrap();
            load.wait().unwrap();
            return;
        }
        let nft = Nft::default();
        let mut child = play("owner");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let load = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("ready ").map(|pid| pid.parse::<i32>().unwrap()))
            .expect("the owner says which load it has started");
        assert!(!gone(&nft));
        end(child, Signal::SIGKILL);
        wait_until("the table is gone", || gone(&nft));
        kill(Pid::from_raw(load), Signal::SIGKILL).expect("the load had outlived its parent");
    }
}

sandboxed! {
    fn the_fault_of_a_stopped_owner_ends_with_its_lease() {
        if role().is_some() {
            own(SHORT);
        }
        let nft = Nft::default();
        let child = owner("owner");
        let pid = child.id();
        end(child, Signal::SIGSTOP);
        wait_until("the lease gate closes", || gates(&nft) == (false, true));
        // The stopped owner still exists: no other process can delete the table, and the error names the owner.
        let host = host(std::path::Path::new("/nonexistent"));
        let error = undo::nft::apply(&host, NAME).expect_err("another process owns it");
        assert!(error.passing && error.what.contains(&pid.to_string()), "{error}");
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
        undo::nft::apply(&host, NAME).expect("the kernel deletes it");
        assert!(gone(&nft));
    }
}

sandboxed! {
    fn the_lease_is_renewed_only_while_it_lasts() {
        let nft = Nft::default();
        assert_eq!(nft.install(&table(Duration::from_secs(5), LONG)).unwrap(), Installed::New);
        nft.renew(NAME, LONG).unwrap();
        assert!(nft.look(NAME).unwrap().unwrap().left(LEASE).unwrap() > Duration::from_secs(30));
        nft.renew(NAME, SHORT).unwrap();
        wait_until("the lease gate closes", || gates(&nft) == (false, true));
        let error: NetlinkError = nft.renew(NAME, LONG).expect_err("never revived");
        assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
        assert_eq!(gates(&nft), (false, true));
        nft.delete_table(NAME).unwrap();
        assert_eq!(nft.renew(NAME, LONG).expect_err("gone").errno(), Some(libc::ENOENT));
    }
}

sandboxed! {
    fn the_hold_ends_a_fault_although_its_lease_is_renewed() {
        let nft = Nft::default();
        nft.install(&table(LONG, SHORT)).unwrap();
        nft.renew(NAME, LONG).unwrap();
        wait_until("the hold gate closes", || gates(&nft) == (true, false));
        nft.renew(NAME, LONG).unwrap();
        assert_eq!(gates(&nft), (true, false));
    }
}

sandboxed! {
    fn installing_twice_leaves_one_complete_table() {
        let nft = Nft::default();
        let table = table(LONG, LONG);
        nft.try_out(&table).unwrap();
        assert!(gone(&nft), "trying out installs nothing");
        assert_eq!(nft.install(&table).unwrap(), Installed::New);
        assert_eq!(nft.install(&table).unwrap(), Installed::WasThere);
        let short = Table { gates: Gate::usual(SHORT, LONG), ..table.clone() };
        nft.renew(NAME, SHORT).unwrap();
        wait_until("the lease gate closes", || gates(&nft) == (false, true));
        assert_eq!(nft.install(&short).unwrap(), Installed::Replaced);
        assert_eq!(nft.our_tables().unwrap().len(), 1);
        assert_eq!(nft.look(NAME).unwrap().unwrap().rules, table.rules());
        let other = Nft::default();
        let error = other.install(&table).expect_err("another's").to_string();
        assert!(error.contains("belongs to another process"), "{error}");
        assert_eq!(nft.delete_table(NAME).unwrap(), Deleted::Now);
        assert_eq!(nft.delete_table(NAME).unwrap(), Deleted::WasGone);
    }
}

sandboxed! {
    fn a_table_with_very_many_peers_is_installed_completely_or_not_at_all() {
        let nft = Nft::default();
        // Every second address, so that no two can be merged: some megabytes of elements.
        let peers = (0..20_000_u32)
            .map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + 2 * n).into())
            .map(|address: std::net::IpAddr| ipnet::IpNet::from(address))
            .collect();
        let selector = Selector { peers, ..Selector::default() };
        let rule = PacketRule { selector, except: Vec::new(), loopback: false, action: Action::Reject };
        let host = host(std::path::Path::new("/nonexistent"));
        let many = rules::table(&host, &"run-1".parse().unwrap(), &rule, LONG, LONG);
        nft.try_out(&many).unwrap();
        assert!(gone(&nft));
        assert_eq!(nft.install(&many).unwrap(), Installed::New);
        assert_eq!(gates(&nft), (true, true));
        let mut broken = many;
        broken.name = "fd_broken".to_owned();
        broken.chains[0].rules.push(firedrill_agent::host::nft::expr::Exprs::new().goto("nowhere"));
        assert_eq!(nft.install(&broken).expect_err("no such chain").errno(), Some(libc::ENOENT));
        assert_eq!(nft.our_tables().unwrap().len(), 1, "nothing of the broken table is left");
    }
}
