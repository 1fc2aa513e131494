//! Tests of real packets that go between namespaces through real queues: they are delayed, lost, duplicated, corrupted, reordered, held
//! and released.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

#[path = "helpers/queue_world.rs"]
mod queue_world;

use std::{
    io::{BufRead as _, BufReader, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use firedrill_agent::{
    host::{
        impair::{Chance, Distribution, Impair, Loss, Rate, Reorder},
        nft::table::Hook,
        queue::{Queues, Spec},
    },
    sandboxed,
    testing::{Netns, play, role, wait_until},
};
use queue_world::{NUMBER, World, sockets, spec};

const BOTH_WAYS: [Hook; 2] = [Hook::Output, Hook::Input];
const DELAY: Duration = Duration::from_millis(20);
/// A delay that no test waits for.
const AGES: Duration = Duration::from_secs(600);

fn chance(share: f64) -> Chance {
    Chance { share, correlation: 0.0 }
}

fn as_f64(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// Fails unless `count` of `total` is within five standard errors of `share`.
fn near(count: u64, total: u64, share: f64) {
    let margin = 5.0 * (share * (1.0 - share) / as_f64(total)).sqrt();
    let seen = as_f64(count) / as_f64(total);
    assert!((seen - share).abs() < margin, "{seen}, {share} ± {margin}");
}

sandboxed! {
    fn all_datagrams_arrive_after_the_delay() {
        let world = World::new();
        for hook in BOTH_WAYS {
            for v6 in [false, true] {
                let stream = world.with(hook, Impair { delay: DELAY, ..Impair::default() }, || {
                    let stream = world.stream(&world.sockets(hook, v6), 600, 100);
                    let counts = world.counts();
                    assert_eq!((counts.seen, counts.passed, counts.held), (600, 600, 0));
                    assert_eq!((counts.overflowed, counts.failed), (0, 0));
                    assert!(counts.delay_us / counts.passed >= 20_000, "{counts:?}");
                    stream
                });
                assert_eq!((stream.arrived, stream.overtaken), (600, 0));
                assert!(stream.latencies.iter().all(|latency| *latency >= DELAY));
                assert!(stream.tenth() < 2 * DELAY, "{hook:?} v6 {v6}: {:?}", stream.tenth());
            }
        }
    }
}

sandboxed! {
    fn delays_scatter_around_their_mean() {
        let world = World::new();
        for hook in BOTH_WAYS {
            let jitter = Duration::from_millis(4);
            let impair = Impair { delay: DELAY, jitter, distribution: Distribution::Normal, ..Impair::default() };
            let stream = world.with(hook, impair, || world.stream(&world.sockets(hook, false), 2_000, 100));
            assert_eq!(stream.arrived, 2_000);
            assert!(stream.overtaken > 500, "{}", stream.overtaken);
            let mut latencies: Vec<_> = stream.latencies.iter().map(Duration::as_secs_f64).collect();
            latencies.sort_by(f64::total_cmp);
            // A busy machine makes packets late, and never early: only the lower quantiles are certain. Number 317 of 2,000 is the quantile
            // Φ(-1) = 0.159, one sigma (4 ms) below the mean. Five standard errors of it are 5·√(0.159·0.841/2000)/0.242 = 0.17 sigmas.
            assert!(latencies[317] > 0.016 - 0.17 * 0.004, "{}", latencies[317]);
            assert!(latencies[0] < 0.016 && latencies[1_999] > 0.026, "{} {}", latencies[0], latencies[1_999]);
            assert!(stream.mean().as_secs_f64() > 0.02 - 5.0 * 0.004 / 2_000_f64.sqrt(), "{:?}", stream.mean());
            assert!(stream.tenth() < 2 * DELAY, "{:?}", stream.tenth());
        }
    }
}

sandboxed! {
    fn the_share_of_lost_packets_is_as_asked() {
        let world = World::new();
        for (hook, v6) in [(Hook::Output, false), (Hook::Input, true)] {
            let impair = Impair { loss: Loss::Random(chance(0.1)), ..Impair::default() };
            world.with(hook, impair, || {
                let stream = world.stream(&world.sockets(hook, v6), 5_000, 100);
                let counts = world.counts();
                near(counts.lost, 5_000, 0.1);
                assert_eq!(counts.passed + counts.lost, 5_000);
                assert_eq!(u64::try_from(stream.arrived).unwrap(), counts.passed);
            });
        }
    }
}

sandboxed! {
    fn the_share_of_duplicated_packets_is_as_asked() {
        let world = World::new();
        for v6 in [false, true] {
            for delay in [Duration::ZERO, Duration::from_millis(2)] {
                let impair = Impair { delay, duplicate: chance(0.2), ..Impair::default() };
                world.with(Hook::Output, impair, || {
                    let stream = world.stream(&world.sockets(Hook::Output, v6), 2_000, 100);
                    let counts = world.counts();
                    near(counts.duplicated, 2_000, 0.2);
                    assert_eq!(u64::try_from(stream.arrived).unwrap(), 2_000 + counts.duplicated);
                });
            }
        }
    }
}

sandboxed! {
    fn corrupted_packets_have_a_wrong_checksum() {
        let world = World::new();
        for hook in BOTH_WAYS {
            for (v6, delay) in [(false, Duration::ZERO), (true, Duration::from_millis(2))] {
                let impair = Impair { delay, corrupt: chance(0.2), ..Impair::default() };
                world.with(hook, impair, || {
                    // The kernel drops packets with a wrong checksum, so no socket gets them.
                    let stream = world.stream(&world.sockets(hook, v6), 2_000, 100);
                    let counts = world.counts();
                    near(counts.corrupted, 2_000, 0.2);
                    assert_eq!(u64::try_from(stream.arrived).unwrap(), 2_000 - counts.corrupted);
                });
            }
        }
    }
}

sandboxed! {
    fn the_share_of_reordered_packets_is_as_asked() {
        let world = World::new();
        for hook in BOTH_WAYS {
            let reorder = Reorder { chance: chance(0.25), gap: 0 };
            let impair = Impair { delay: Duration::from_millis(10), reorder, ..Impair::default() };
            world.with(hook, impair, || {
                let stream = world.stream(&world.sockets(hook, false), 2_000, 100);
                near(world.counts().reordered, 2_000, 0.25);
                assert!(stream.overtaken > 100, "{}", stream.overtaken);
            });
        }
    }
}

sandboxed! {
    fn packets_pass_at_the_asked_rate() {
        let world = World::new();
        for hook in BOTH_WAYS {
            let rate = Some(Rate { bits: 8_000_000, burst: 10_000 });
            world.with(hook, Impair { rate, ..Impair::default() }, || {
                let began = Instant::now();
                // A thousand bytes each, with 28 bytes of headers.
                world.stream(&world.sockets(hook, false), 500, 1_000 - 28);
                let took = began.elapsed();
                // 500,000 bytes less a burst of 10,000, at a million bytes a second, take 490 ms.
                assert!(took >= Duration::from_millis(489), "{took:?}");
                assert!(took < Duration::from_secs(5), "{took:?}");
            });
        }
    }
}

sandboxed! {
    fn tcp_streams_arrive_complete() {
        let world = World::new();
        for hook in BOTH_WAYS {
            for v6 in [false, true] {
                let delay = Duration::from_millis(5);
                world.with(hook, Impair { delay, ..Impair::default() }, || {
                    let took = world.tcp(hook, v6, 4 << 20);
                    let counts = world.counts();
                    assert!(took >= delay && counts.seen > 10, "{took:?} {counts:?}");
                    assert_eq!((counts.overflowed, counts.failed), (0, 0));
                });
            }
        }
        // TCP repairs corruption and loss.
        let impair = Impair { corrupt: chance(0.02), loss: Loss::Random(chance(0.01)), ..Impair::default() };
        for hook in BOTH_WAYS {
            world.with(hook, impair, || world.tcp(hook, false, 1 << 20));
        }
    }
}

sandboxed! {
    fn datagrams_beyond_the_mtu_and_loopback_are_late_too() {
        let world = World::new();
        world.with(Hook::Output, Impair { delay: DELAY, ..Impair::default() }, || {
            for v6 in [false, true] {
                let stream = world.stream(&world.sockets(Hook::Output, v6), 20, 5_000);
                assert!(stream.arrived == 20 && stream.latencies.iter().all(|latency| *latency >= DELAY));
            }
            let here = Netns::current();
            for to in ["127.0.0.1:9001", "[::1]:9001", "10.1.0.1:9002", "[fd00:1::1]:9002"] {
                let stream = world.stream(&sockets(&here, &here, to.parse().unwrap()), 20, 100);
                assert!(stream.arrived == 20 && stream.latencies.iter().all(|latency| *latency >= DELAY), "{to}");
            }
            assert_eq!(world.counts().failed, 0);
        });
    }
}

sandboxed! {
    fn held_packets_are_released_at_the_end() {
        let world = World::new();
        for hook in BOTH_WAYS {
            let (client, server) = world.sockets(hook, false);
            world.start(Impair { delay: AGES, ..Impair::default() });
            world.rules(hook);
            for _ in 0..50 {
                client.send(b"held").unwrap();
            }
            wait_until("all packets are held", || world.counts().held == 50);
            server.set_nonblocking(true).unwrap();
            assert!(server.recv(&mut [0; 9]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
            world.queues.stop(NUMBER);
            assert_eq!(world.queues.counts(NUMBER), None);
            server.set_nonblocking(false).unwrap();
            server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            for _ in 0..50 {
                assert_eq!(server.recv(&mut [0; 9]).unwrap(), 4);
            }
            // The rules still exist; without the queue they let packets pass.
            client.send(b"at once").unwrap();
            assert_eq!(server.recv(&mut [0; 9]).unwrap(), 7);
            world.no_rules();
        }
        world.queues.stop(NUMBER);
    }
}

sandboxed! {
    fn no_packet_is_lost_when_a_queue_ends_under_load() {
        let world = World::new();
        for hook in BOTH_WAYS {
            let (client, server) = world.sockets(hook, false);
            server.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            world.rules(hook);
            for _ in 0..20 {
                world.start(Impair { delay: Duration::from_millis(1), ..Impair::default() });
                let (stop, arrived) = (AtomicBool::new(false), AtomicU32::new(0));
                let sent = std::thread::scope(|scope| {
                    let sender = scope.spawn(|| {
                        let mut sent = 0;
                        while !stop.load(Ordering::Relaxed) {
                            // At most as many in transit as the receiver's buffer holds.
                            if sent - arrived.load(Ordering::Relaxed) < 100 {
                                client.send(b"load").unwrap();
                                sent += 1;
                            }
                        }
                        client.send(b"the end").unwrap();
                        sent
                    });
                    scope.spawn(|| {
                        while server.recv(&mut [0; 9]).unwrap() == 4 {
                            arrived.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    wait_until("the queue works", || world.counts().passed > 50);
                    world.queues.stop(NUMBER);
                    stop.store(true, Ordering::Relaxed);
                    sender.join().unwrap()
                });
                assert_eq!(sent, arrived.load(Ordering::Relaxed), "{hook:?}");
            }
            world.no_rules();
        }
    }
}

sandboxed! {
    fn no_more_is_held_than_memory_allows() {
        let world = World::new();
        for hook in BOTH_WAYS {
            let (client, _server) = world.sockets(hook, false);
            // Each packet counts as its 128 bytes (100 and headers) and one KiB.
            let memory = 40 * (128 + 1024);
            world.queues.start(Spec { memory, ..spec(Impair { delay: AGES, ..Impair::default() }) }).unwrap();
            world.rules(hook);
            for _ in 0..100 {
                client.send(&[0; 100]).unwrap();
            }
            wait_until("all packets have come", || world.counts().seen == 100);
            let counts = world.counts();
            assert_eq!((counts.held, counts.overflowed, counts.passed), (40, 60, 0));
            world.no_rules();
            world.queues.stop(NUMBER);
        }
    }
}

sandboxed! {
    fn when_the_process_dies_packets_pass() {
        if role().is_some() {
            let queues = Queues::default();
            queues.start(spec(Impair { delay: AGES, ..Impair::default() })).unwrap();
            println!("serving");
            // The test kills this process. If the test has died, the process ends by itself.
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        let world = World::new();
        let (client, server) = world.sockets(Hook::Output, false);
        let mut child = play("serve");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("serving")));
        world.rules(Hook::Output);
        server.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        client.send(b"held").unwrap();
        assert!(server.recv(&mut [0; 9]).is_err());
        child.kill().unwrap();
        child.wait().unwrap();
        wait_until("packets pass", || {
            client.send(b"pass").unwrap();
            server.recv(&mut [0; 9]).is_ok()
        });
    }
}

sandboxed! {
    fn a_queue_calls_back_regularly_and_has_one_owner() {
        let world = World::new();
        let calls = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&calls);
        let alive = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        world.queues.start(Spec { alive, ..spec(Impair::default()) }).unwrap();
        wait_until("the queue calls back", || calls.load(Ordering::Relaxed) > 5);
        let taken = world.queues.start(spec(Impair::default())).unwrap_err();
        assert!(taken.to_string().contains(&NUMBER.to_string()), "{taken}");
        // Another process sees the owner in the kernel's statistics.
        let busy = Queues::default().start(spec(Impair::default())).unwrap_err();
        assert!(busy.to_string().contains("another program serves it"), "{busy}");
        world.queues.stop(NUMBER);
        let after = calls.load(Ordering::Relaxed);
        world.start(Impair::default());
        assert_eq!(world.counts().seen, 0);
        drop(world);
        assert_eq!(calls.load(Ordering::Relaxed), after, "the first queue has ended");
    }
}
