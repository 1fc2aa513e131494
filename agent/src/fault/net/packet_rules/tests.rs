//! The whole life of a fault on traffic, with rules that exist in memory only.

use firedrill_probe::clock;
use firedrill_wire::{Fault, Span, evidence::Seen};

use crate::{
    fault::of,
    host::{Host, Paths},
    injection::{Ask, Inject, Live, RuleEngine},
    undo::{
        Undo,
        null::{NullKernel, NullRules},
    },
};

/// A prepared fault on traffic, and the host on which it lives.
struct Life {
    host: Host,
    live: Live,
}

impl Life {
    fn prepare(id: &str, json: &str) -> Self {
        let host = Host::new("here", Paths::default(), 7790, vec![22]);
        let fault: Fault = serde_json::from_str(json).unwrap();
        let ask = Ask { id: id.parse().unwrap(), fault, hold: Span::secs(60) };
        let prepared = of(&ask.fault).prepare(&host, &ask).unwrap();
        assert_eq!(prepared.basis.packets().unwrap().rules, RuleEngine::Null, "chosen once, at prepare");
        let ends_boot_us = clock::boot_us() + 60_000_000;
        let life = Self { host, live: Live { ask, prepared, ends_boot_us, lease: Span::secs(10) } };
        assert_eq!(life.rules(), None, "prepare reads only");
        life
    }

    fn kind(&self) -> &dyn Inject {
        of(&self.live.ask.fault)
    }

    fn rules(&self) -> Option<NullRules> {
        NullKernel::of(&self.host).rules().get(&self.live.ask.id).cloned()
    }

    fn lease(&self) -> Option<Span> {
        self.rules().and_then(|found| found.lease)
    }

    fn in_force(&self) -> Seen {
        self.kind().evidence(&self.host, &self.live).in_force
    }

    /// Undoes the fault as any process of the agent does: by the data alone, from the last undo to the first.
    fn undo(&self) {
        for undo in self.live.prepared.undo.iter().rev() {
            undo.apply(&self.host).unwrap();
        }
    }

    /// Goes through all steps of the fault's life, whose rules shall have these peers. Makes and undoes it twice.
    fn live_and_end(&self, peers: &[&str]) {
        let kind = self.kind();
        kind.stage(&self.host, &self.live).unwrap();
        let staged = self.rules().expect("staged");
        assert_eq!(staged.peers.iter().map(ToString::to_string).collect::<Vec<_>>(), peers);
        assert_eq!((staged.lease, self.in_force()), (None, Seen::No), "staged rules have no effect");
        for _ in 0..2 {
            kind.inject(&self.host, &self.live).unwrap();
            assert_eq!((self.lease(), self.in_force()), (Some(Span::secs(10)), Seen::Yes));
        }
        kind.renew(&self.host, &self.live, Span::secs(25)).unwrap();
        assert_eq!(self.lease(), Some(Span::secs(25)), "a renewal moves the gate of the lease");
        for _ in 0..2 {
            self.undo();
            assert_eq!((self.rules(), self.in_force()), (None, Seen::No), "undone, and absent is success");
        }
        kind.renew(&self.host, &self.live, Span::secs(25)).unwrap_err();
    }
}

#[test]
fn a_block_lives_and_is_put_back() {
    let life = Life::prepare("null-block-1", r#"{"net-block":{"to":["10.9.0.2","fd00::/64"]}}"#);
    life.live_and_end(&["10.9.0.2/32", "fd00::/64"]);
}

#[test]
fn an_isolated_host_lives_and_is_put_back() {
    Life::prepare("null-isolate-1", r#"{"host-isolate":{"except":["10.9.0.3"]}}"#).live_and_end(&[]);
}

#[test]
fn a_start_that_was_not_staged_installs_the_rules() {
    let life = Life::prepare("null-block-2", r#"{"net-block":{"to":"10.9.0.2"}}"#);
    life.kind().inject(&life.host, &life.live).unwrap();
    assert_eq!(life.in_force(), Seen::Yes);
    life.undo();
    assert_eq!(life.rules(), None);
}

#[test]
fn staged_rules_are_removed_if_the_start_never_comes() {
    let life = Life::prepare("null-block-3", r#"{"net-block":{"to":"10.9.0.2"}}"#);
    life.kind().stage(&life.host, &life.live).unwrap();
    assert!(life.live.prepared.undo.iter().all(Undo::takes_away_staged));
    life.undo();
    assert_eq!(life.rules(), None);
}

#[test]
fn nothing_is_made_after_the_hold() {
    let mut life = Life::prepare("null-block-4", r#"{"net-block":{"to":"10.9.0.2"}}"#);
    life.live.ends_boot_us = clock::boot_us();
    life.kind().inject(&life.host, &life.live).unwrap_err();
    assert_eq!(life.rules(), None);
}
