//! What may be done on this host, and by whom. The host's own word: it wins over every scenario.
//!
//! Pure: asks no clock and opens no file. Putting back and looking are never asked about.

mod blackout;
mod rule;

use std::path::Path;

use firedrill_wire::{
    Fault, Span,
    api::{Claim, Problem},
};
use serde::Deserialize;

pub use self::{blackout::Blackout, rule::Rule};

use self::rule::Touches;
use crate::{control::Caller, fault::refuse};

/// What may be done on this host.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// No injection may stay longer.
    pub max_hold: Span,
    /// No more may be open at a time.
    pub max_faults: usize,
    /// Services that no fault may name, whoever asks; `*` stands for any text.
    pub protected_services: Vec<String>,
    /// Times in which nothing is injected.
    pub blackout: Vec<Blackout>,
    /// Who may do what; one rule must match. None given: every operator may run every kind.
    pub allow: Vec<Rule>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_hold: Span::secs(3600),
            max_faults: 16,
            protected_services: Vec::new(),
            blackout: Vec::new(),
            allow: Vec::new(),
        }
    }
}

/// What is asked of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The scenario's environment.
    pub environment: Option<&'a str>,
    /// The fault.
    pub fault: &'a Fault,
    /// How long it is to stay.
    pub hold: Span,
    /// When it would start, microseconds since 1970 UTC.
    pub wall_us: u64,
}

impl Policy {
    /// Whether the values make sense.
    ///
    /// # Errors
    /// Which one does not, and what would be right.
    pub fn validate(&self) -> Result<(), String> {
        self.blackout.iter().try_for_each(Blackout::validate)?;
        self.allow.iter().try_for_each(Rule::validate)
    }

    /// Whether a fault may be done; `file` is where this policy stands, for messages.
    ///
    /// # Errors
    /// The refusal: it names the rule and the file.
    pub fn check(&self, ask: &Question<'_>, file: &Path) -> Result<(), Problem> {
        let kind = ask.fault.kind();
        let no = |rule: String, why: String| {
            Err(refuse(
                "not-allowed",
                format!("{kind}: {why}"),
                format!("{rule} in {} says so; ask who keeps this host's policy", file.display()),
            ))
        };
        if !ask.caller.may_harm {
            return Err(refuse(
                "not-allowed",
                format!("{} may look and heal, not harm", ask.caller.name),
                "use a certificate with the role operator",
            ));
        }
        if !ask.caller.environments.is_empty()
            && ask.environment.is_none_or(|env| !ask.caller.environments.iter().any(|own| own == env))
        {
            return Err(refuse(
                "not-allowed",
                format!(
                    "{}'s certificate is for {}, the scenario's environment is {}",
                    ask.caller.name,
                    ask.caller.environments.join(", "),
                    ask.environment.unwrap_or("not given")
                ),
                "set the scenario's environment, or use another certificate",
            ));
        }
        if ask.hold > self.max_hold {
            return no(
                "policy.max_hold".into(),
                format!("holds for {}, at most {} is allowed", ask.hold, self.max_hold),
            );
        }
        for blackout in &self.blackout {
            // The hold begins when the effect is made, which may be as late as that.
            if blackout.meets(ask.wall_us, ask.fault.ramp(ask.hold) + ask.hold) {
                return no(
                    format!("policy.blackout \"{}\"", blackout.name),
                    format!("nothing is injected {}", blackout.sentence()),
                );
            }
        }
        let touches = Touches::of(ask.fault);
        for service in &touches.services {
            if let Some(name) = self.protected(service) {
                return no(
                    format!("policy.protected_services \"{name}\""),
                    format!("{service} is protected"),
                );
            }
        }
        if self.allow.is_empty() {
            return Ok(());
        }
        let mut nearest: Option<(usize, String)> = None;
        for rule in &self.allow {
            match rule.allows(ask, &touches) {
                Ok(()) => return Ok(()),
                Err((depth, why)) => {
                    if nearest.as_ref().is_none_or(|(most, _)| depth > *most) {
                        nearest =
                            Some((depth, format!("policy.allow \"{}\" is nearest and {why}", rule.name)));
                    }
                }
            }
        }
        no(
            nearest.map_or_else(|| "policy.allow".to_owned(), |(_, text)| text),
            format!("no rule lets {} do this", ask.caller.name),
        )
    }

    /// Whether so many may be open at a time.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_count(&self, open: usize, file: &Path) -> Result<(), Problem> {
        if open <= self.max_faults {
            return Ok(());
        }
        Err(refuse(
            "not-allowed",
            format!("{open} injections would be open on this host, at most {} are allowed", self.max_faults),
            format!("policy.max_faults in {} says so; wait for others to end", file.display()),
        ))
    }

    /// Whether claims, which name what a fault really touches, spare what is protected.
    ///
    /// # Errors
    /// The refusal.
    pub fn check_claims(&self, claims: &[Claim], file: &Path) -> Result<(), Problem> {
        for claim in claims {
            let Some((class, name)) = claim.what.split_once(':') else { continue };
            if matches!(class, "unit" | "service")
                && let Some(rule) = self.protected(name)
            {
                return Err(refuse(
                    "not-allowed",
                    format!("{} is protected on this host", claim.what),
                    format!("policy.protected_services \"{rule}\" in {} says so", file.display()),
                ));
            }
        }
        Ok(())
    }

    fn protected(&self, service: &str) -> Option<&String> {
        let bare = |name: &str| name.strip_suffix(".service").unwrap_or(name).to_owned();
        // A service directory is known by its last part too.
        let last = service.rsplit('/').next().unwrap_or(service);
        self.protected_services
            .iter()
            .find(|name| rule::like(&bare(name), &bare(service)) || rule::like(&bare(name), &bare(last)))
    }
}

#[cfg(test)]
mod tests;
