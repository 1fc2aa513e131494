//! Tests of net-flap while the agent cannot open files: the interface cannot be set up, or cannot be examined.

use std::{fs, sync::mpsc, thread};

use firedrill_agent::{
    sandboxed,
    testing::{down, wait_until},
};
use firedrill_wire::evidence::Seen;
use nix::{
    sched::{CloneFlags, unshare},
    sys::resource::{Resource, getrlimit, setrlimit},
};

use super::{
    down::{furnish, is_up},
    flap::{flap, flaps, is_whole, undo_here},
    world::{Injection, World},
};

/// Sets the maximum number of files that this process may open.
fn set_files(most: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(hard), hard).unwrap();
}

/// Fills the table of open files that all threads but this one share, until the returned guard is dropped. This thread gets a
/// separate table.
fn fill_files_of_others() -> impl Drop {
    struct Full(Option<thread::JoinHandle<()>>, Option<mpsc::Sender<()>>);
    impl Drop for Full {
        fn drop(&mut self) {
            self.1 = None;
            self.0.take().unwrap().join().unwrap();
        }
    }
    let (release, released) = mpsc::channel::<()>();
    let (filled, full) = mpsc::channel();
    let (own, has_own) = mpsc::channel();
    let filler = thread::spawn(move || {
        has_own.recv().unwrap();
        let null = fs::File::open("/dev/null").unwrap();
        let files: Vec<fs::File> = std::iter::from_fn(|| null.try_clone().ok()).collect();
        filled.send(()).unwrap();
        released.recv().unwrap_err();
        drop(files);
    });
    unshare(CloneFlags::CLONE_FILES).unwrap();
    own.send(()).unwrap();
    full.recv().unwrap();
    Full(Some(filler), Some(release))
}

sandboxed! {
    fn an_interface_that_cannot_be_set_up_does_not_flap_until_it_can() {
        let world = World::new();
        furnish(&world);
        let before = world.snapshot();
        set_files(256);
        let injection = Injection::make(&world, &flap("1s", "1h"));
        let full = fill_files_of_others();
        let evidence = injection.evidence();
        assert_eq!((is_up("eth0"), evidence.in_force), (false, Seen::Yes), "{}", evidence.detail);
        wait_until("it could not be set up", || injection.evidence().in_force == Seen::No);
        let detail = injection.evidence().detail;
        assert!(detail.contains("does not flap any more: ") && detail.contains("open files"), "{detail}");
        assert!(!is_up("eth0"));
        drop(full);
        wait_until("it is up and flaps", || is_whole(&injection));
        let evidence = injection.evidence();
        assert_eq!(evidence.in_force, Seen::Yes, "{}", evidence.detail);
        undo_here(&world, &injection);
        assert!(is_up("eth0") && !flaps());
        world.assert_same(&before);
    }
}

sandboxed! {
    fn an_interface_that_cannot_be_looked_at_is_not_set_up() {
        let world = World::new();
        furnish(&world);
        let injection = Injection::make(&world, &flap("100ms", "1h"));
        wait_until("it is up", || is_whole(&injection));
        let undo = injection.again().unwrap().undo.unwrap();
        down(&world.host_ns, "eth0");
        let (before, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        set_files(0);
        let stopped = world.host.flaps.stop(&injection.live.ask.id);
        let undone = undo[0].apply(&world.host);
        set_files(before);
        stopped.unwrap_err();
        let error = undone.unwrap_err();
        assert!(error.passing && error.what.contains("whether somebody else has set it down"), "{error}");
        assert!(!is_up("eth0") && !flaps());
        let undone = undo_here(&world, &injection);
        assert!(undone.foreign[0].starts_with("link:eth0: ") && !is_up("eth0"), "{undone:?}");
    }
}
