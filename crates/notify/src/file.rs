//! The structure of a file of channels, and the list of all kinds. It is used to read the file, and its doc comments are part of the JSON Schema and of
//! docs/channels.md.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    kind::{
        Kind, email::Email, grafana::Grafana, pagerduty::PagerDuty, slack::Slack, statsd::Statsd,
        syslog::Syslog, webhook::Webhook,
    },
    message::What,
};

/// Channels by which people are told.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelsFile {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// The channels, by their names: lower-case letters, digits and `-`. Runs that share a directory of runs share the names: a waiting message is
    /// delivered by the channel with the same name.
    pub channel: BTreeMap<String, Channel>,
}

/// Generates the table of a channel, with a key for each kind, and the functions that need the list of all kinds.
macro_rules! kinds {
    ($($(#[$about:meta])* $key:ident($params:ident);)*) => {
        /// A channel: exactly one kind.
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Channel {
            $($(#[$about])* #[serde(default)] pub $key: Option<$params>,)*
            /// The events for which it gets messages. Without it, all events for which its kind has a form.
            #[serde(default)]
            pub events: Option<Vec<What>>,
        }

        impl Channel {
            /// The names of all kinds.
            pub const KINDS: [&'static str; [$(stringify!($key)),*].len()] = [$(stringify!($key)),*];

            /// Returns the kinds that the table names. In a valid file there is exactly one.
            #[must_use]
            pub fn kinds(&self) -> Vec<(&'static str, &dyn Kind)> {
                let mut kinds: Vec<(&'static str, &dyn Kind)> = Vec::new();
                $(if let Some(kind) = &self.$key { kinds.push((stringify!($key), kind)); })*
                kinds
            }
        }
    };
}

kinds! {
    /// Your own program, which gets signed JSON.
    webhook(Webhook);
    /// An incoming webhook of Slack, or of Mattermost.
    slack(Slack);
    /// E-mail. The messages about one run are one thread.
    email(Email);
    /// Change events of PagerDuty, for the beginning and the end. They page nobody.
    pagerduty(PagerDuty);
    /// Annotations of Grafana: a region for each run and each game day, and moments in it.
    grafana(Grafana);
    /// Lines of syslog (RFC 5424).
    syslog(Syslog);
    /// Counters of StatsD, and events of DogStatsD.
    statsd(Statsd);
}

impl Channel {
    /// Returns its kind, with the kind's name; `None` if it has none.
    #[must_use]
    pub fn kind(&self) -> Option<(&'static str, &dyn Kind)> {
        self.kinds().into_iter().next()
    }

    /// Whether it gets messages about an event. It always gets those of a test, if its kind has a form for them.
    #[must_use]
    pub fn tells(&self, what: What) -> bool {
        let wanted = what == What::Test || self.events.as_ref().is_none_or(|events| events.contains(&what));
        wanted && self.kind().is_some_and(|(_, kind)| kind.takes(what))
    }
}
