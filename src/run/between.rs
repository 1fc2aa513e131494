//! The wishes of people about the time between attacks: to pause before the next attack, to end a pause, to skip the next attack. Decides
//! whether a wish is accepted; `phases/turn.rs` acts on it.
//!
//! The next attack is the first one for which nothing was armed. So a wish neither prolongs nor ends a fault.

use firedrill_wire::Span;

use super::{
    clock::signed,
    wish::{PAUSES_MOST, Reply, Wants, Wish},
};
use crate::{log::Event, plan::Plan};

/// Minimum of a pause.
const PAUSE_LEAST: Span = Span::secs(1);

/// A pause that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) by: String,
    /// Its maximum length.
    pub(super) longest: Span,
    /// The time at which it began, in microseconds on the run's clock.
    began_us: i64,
    /// The time at which the run ends if nobody ends the pause, in microseconds on the run's clock.
    pub(super) until_us: i64,
}

/// The wishes that were accepted.
#[derive(Debug, Default)]
pub(super) struct Between {
    /// The next attack, by its place in the plan.
    next: usize,
    /// The pause before the next attack that somebody wants: the person, and its maximum length.
    wanted: Option<(String, Span)>,
    paused: Option<Pause>,
    /// Length of the pauses that are over, in microseconds.
    spent_us: i64,
    /// The attack to skip, and the person who wants that.
    skip: Option<(usize, String)>,
    /// Whether an attack was skipped.
    skipped: bool,
}

impl Between {
    /// Notes that an attack gets its turn.
    pub(super) fn comes(&mut self, attack: usize) {
        self.next = attack;
    }

    /// Notes that the hosts of an attack are armed from now on. Wishes are then about the attack after it.
    pub(super) fn arms(&mut self, attack: usize) {
        self.next = attack + 1;
    }

    /// Accepts or refuses a wish. Returns its record (`None` if nothing changes), and the reply. `wall` converts a time on the run's clock into
    /// a text with the time of day.
    pub(super) fn take(
        &mut self,
        Wish { by, wants }: Wish,
        now_us: i64,
        plan: &Plan,
        wall: impl Fn(i64) -> String,
    ) -> (Option<Event>, Reply) {
        let attack = self.next;
        let Some(name) = named(plan, attack) else {
            return (None, Reply::Refused("no attack is left to come".to_owned()));
        };
        match wants {
            Wants::Pause { longest } if longest < PAUSE_LEAST || longest > self.left(now_us) => {
                let left = self.left(now_us);
                let why = format!(
                    "a pause takes at least {PAUSE_LEAST}, and all pauses of a run {PAUSES_MOST} at most; {left} is left"
                );
                (None, Reply::Refused(why))
            }
            Wants::Pause { longest } if let Some(Pause { began_us, .. }) = self.paused => {
                let pause = Pause { until_us: now_us + signed(longest.as_micros()), by, longest, began_us };
                let event = paused(attack, &pause, wall);
                self.paused = Some(pause);
                (Some(event), Reply::Taken(format!("it stays paused before {name} for at most {longest}")))
            }
            Wants::Pause { longest } => {
                self.wanted = Some((by.clone(), longest));
                let reply = format!("it pauses before {name}, for at most {longest}");
                (Some(Event::PauseAsked { attack, by, longest }), Reply::Taken(reply))
            }
            Wants::Resume => {
                let reply = match (self.paused.take(), self.wanted.take()) {
                    (None, None) => return (None, Reply::Refused("it does not pause".to_owned())),
                    (Some(pause), _) => {
                        self.spent_us += now_us - pause.began_us;
                        format!("it goes on with {name}")
                    }
                    (None, Some(_)) => format!("it does not pause before {name}"),
                };
                (Some(Event::Resumed { attack, by }), Reply::Taken(reply))
            }
            Wants::Skip { attack: Some(meant) } if meant != attack => {
                let meant =
                    named(plan, meant).unwrap_or_else(|| format!("attack {}", meant.saturating_add(1)));
                (None, Reply::Refused(format!("{name} is next, and not {meant}; nothing is skipped")))
            }
            Wants::Step { .. } => (None, Reply::Refused("it waits for no step by hand".to_owned())),
            Wants::Skip { .. } => {
                let reply = Reply::Taken(format!("it skips {name}"));
                if self.skips(attack).is_some() {
                    return (None, reply);
                }
                self.skip = Some((attack, by.clone()));
                (Some(Event::SkipAsked { attack, by }), reply)
            }
        }
    }

    /// Returns the longest time that the run may pause from now on, in whole seconds.
    fn left(&self, now_us: i64) -> Span {
        let goes_on_us = self.paused.as_ref().map_or(0, |pause| now_us - pause.began_us);
        let left_us = signed(PAUSES_MOST.as_micros()) - self.spent_us - goes_on_us;
        Span::secs(u64::try_from(left_us / 1_000_000).unwrap_or(0))
    }

    /// Returns the person who wants an attack to be skipped; `None` if nobody does.
    pub(super) fn skips(&self, attack: usize) -> Option<&str> {
        self.skip.as_ref().filter(|(skipped, _)| *skipped == attack).map(|(_, by)| by.as_str())
    }

    /// Skips an attack if somebody wants that. Returns the reason why it does not run; `None` if it runs.
    pub(super) fn skip(&mut self, attack: usize) -> Option<String> {
        let why = format!("skipped by {}", self.skips(attack)?);
        self.skipped = true;
        Some(why)
    }

    /// Whether an attack was skipped. Then the run is not tried again.
    pub(super) const fn has_skipped(&self) -> bool {
        self.skipped
    }

    /// Whether an attack for which nothing was armed yet must not go on now: the run has to pause, or the attack is to be skipped.
    pub(super) fn holds_up(&self, attack: usize) -> bool {
        self.is_to_pause() || self.skips(attack).is_some()
    }

    /// Whether the run pauses, or has to pause before the next attack.
    pub(super) const fn is_to_pause(&self) -> bool {
        self.wanted.is_some() || self.paused.is_some()
    }

    /// Returns the pause that goes on.
    pub(super) const fn pause(&self) -> Option<&Pause> {
        self.paused.as_ref()
    }

    /// Begins the pause that somebody wants. If the run paused before an attack that was skipped, the pause goes on before the next attack.
    /// Returns the record; `None` if there is no pause.
    pub(super) fn begin(&mut self, now_us: i64, wall: impl Fn(i64) -> String) -> Option<Event> {
        if let Some((by, longest)) = self.wanted.take() {
            let until_us = now_us + signed(longest.as_micros());
            self.paused = Some(Pause { by, longest, until_us, began_us: now_us });
        }
        Some(paused(self.next, self.paused.as_ref()?, wall))
    }
}

/// Returns the record of a pause before an attack.
fn paused(attack: usize, pause: &Pause, wall: impl Fn(i64) -> String) -> Event {
    let Pause { by, until_us, .. } = pause;
    Event::Paused { attack, by: by.clone(), until_us: *until_us, until: wall(*until_us) }
}

/// Returns an attack's number and name for people; `None` if the plan has no such attack.
fn named(plan: &Plan, attack: usize) -> Option<String> {
    Some(format!("attack {}, \"{}\"", attack + 1, plan.attacks.get(attack)?.name))
}

#[cfg(test)]
mod tests {
    use firedrill_judge::testing::{Drill, S};

    use super::*;

    /// The wishes about a run of two attacks.
    struct Trial(Between, Plan);

    impl Trial {
        fn new() -> Self {
            Self(Between::default(), Drill::good().plan())
        }

        fn take(&mut self, by: &str, wants: Wants, second: i64) -> (Option<Event>, Reply) {
            self.0.take(Wish { by: by.to_owned(), wants }, second * S, &self.1, wall)
        }

        fn pause(&mut self, by: &str, minutes: u64, second: i64) -> (Option<Event>, Reply) {
            self.take(by, Wants::Pause { longest: Span::secs(60 * minutes) }, second)
        }
    }

    fn wall(us: i64) -> String {
        format!("second {}", us / S)
    }

    fn taken(text: &str) -> Reply {
        Reply::Taken(text.to_owned())
    }

    fn refused(text: &str) -> Reply {
        Reply::Refused(text.to_owned())
    }

    #[test]
    fn a_pause_is_before_the_next_attack_and_counted_from_its_beginning() {
        let mut trial = Trial::new();
        trial.0.arms(0);
        let (event, reply) = trial.pause("bob", 10, 5);
        assert_eq!(reply, taken("it pauses before attack 2, \"lose fremont\", for at most 10m"));
        let asked = Event::PauseAsked { attack: 1, by: "bob".to_owned(), longest: Span::secs(600) };
        assert_eq!(event, Some(asked));
        assert!(trial.0.pause().is_none() && trial.0.holds_up(1));
        trial.0.comes(1);
        let paused = |by: &str, second: i64| {
            Some(Event::Paused {
                attack: 1,
                by: by.to_owned(),
                until_us: second * S,
                until: wall(second * S),
            })
        };
        assert_eq!(trial.0.begin(100 * S, wall), paused("bob", 700));
        // A second pause replaces the end of the first.
        let (event, reply) = trial.pause("ann", 1, 130);
        assert_eq!(event, paused("ann", 190));
        assert_eq!(reply, taken("it stays paused before attack 2, \"lose fremont\" for at most 1m"));
        let (event, reply) = trial.take("carol", Wants::Resume, 140);
        assert_eq!(event, Some(Event::Resumed { attack: 1, by: "carol".to_owned() }));
        assert_eq!(reply, taken("it goes on with attack 2, \"lose fremont\""));
        assert!(!trial.0.holds_up(1) && trial.0.begin(150 * S, wall).is_none());
        assert_eq!(trial.take("carol", Wants::Resume, 160), (None, refused("it does not pause")));
    }

    #[test]
    fn a_wish_for_a_pause_can_be_taken_back_and_has_limits() {
        let mut trial = Trial::new();
        trial.pause("bob", 10, 0);
        let (event, reply) = trial.take("bob", Wants::Resume, 1);
        assert_eq!(reply, taken("it does not pause before attack 1, \"stop checkout\""));
        assert!(matches!(event, Some(Event::Resumed { attack: 0, .. })) && !trial.0.is_to_pause());
        for minutes in [0, 61] {
            let (event, reply) = trial.pause("bob", minutes, 2);
            let why = "a pause takes at least 1s, and all pauses of a run 1h at most; 1h is left";
            assert_eq!((event, reply), (None, refused(why)));
        }
        assert!(!trial.0.is_to_pause());
    }

    #[test]
    fn all_pauses_of_a_run_together_have_a_limit() {
        let mut trial = Trial::new();
        trial.pause("bob", 30, 0);
        trial.0.begin(10 * S, wall);
        // 20 minutes of the pause are over, so 40 are left, also if another person asks.
        let late = 10 + 20 * 60;
        assert!(trial.pause("bob", 41, late).0.is_none());
        assert!(trial.pause("bob", 40, late).0.is_some());
        trial.take("bob", Wants::Resume, late + 60);
        trial.0.comes(1);
        assert!(trial.pause("ann", 40, late + 99).0.is_none());
        assert!(trial.pause("ann", 39, late + 99).0.is_some());
    }

    #[test]
    fn only_the_next_attack_is_skipped_and_only_once() {
        let mut trial = Trial::new();
        trial.0.comes(0);
        let skip = |attack| Wants::Skip { attack };
        let other =
            "attack 1, \"stop checkout\" is next, and not attack 2, \"lose fremont\"; nothing is skipped";
        assert_eq!(trial.take("bob", skip(Some(1)), 0), (None, refused(other)));
        assert!(matches!(trial.take("bob", skip(Some(7)), 0), (None, Reply::Refused(_))));
        assert_eq!(trial.0.skip(0), None);
        let (event, reply) = trial.take("bob", skip(None), 0);
        assert_eq!(event, Some(Event::SkipAsked { attack: 0, by: "bob".to_owned() }));
        assert_eq!(reply, taken("it skips attack 1, \"stop checkout\""));
        let again = trial.take("ann", skip(Some(0)), 1);
        assert_eq!(again, (None, reply), "two people who ask at the same time skip only one attack");
        assert!(!trial.0.has_skipped(), "the attack had no turn yet");
        assert_eq!(trial.0.skip(0).as_deref(), Some("skipped by bob"));
        assert!(trial.0.has_skipped());
        trial.0.comes(1);
        assert_eq!(trial.0.skip(1), None);
        trial.0.arms(1);
        for wants in [skip(None), Wants::Resume, Wants::Pause { longest: Span::secs(60) }] {
            assert_eq!(trial.take("bob", wants, 9), (None, refused("no attack is left to come")));
        }
    }

    #[test]
    fn a_pause_goes_on_after_a_skip_and_keeps_its_end() {
        let mut trial = Trial::new();
        trial.pause("bob", 1, 0);
        trial.0.begin(10 * S, wall);
        trial.take("ann", Wants::Skip { attack: Some(0) }, 20);
        assert!(trial.0.skip(0).is_some());
        trial.0.comes(1);
        let Some(Event::Paused { attack: 1, until_us, .. }) = trial.0.begin(30 * S, wall) else {
            panic!("it does not pause before the next attack")
        };
        assert_eq!(until_us, 70 * S);
    }
}
