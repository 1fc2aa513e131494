//! `[targets.X.pick_by]`: the question that tells which host of a target is the leader. Reads the keys and checks no value.

use firedrill_wire::{
    Span,
    probe::{Arrivals, Connection, ProbeKind, ProbeSpec},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::probe::request;
use crate::{diagnostic::Spot, plan::model::Ask};

/// Default time for each answer.
const TIMEOUT: Span = Span::secs(2);

/// Generates the table, with one key for each kind of request.
macro_rules! table {
    ($($(#[$about:meta])* $kind:ident($params:ident): $key:ident, $name:literal;)*) => {
        /// The question that tells the leader: exactly one request, which the coordinator sends to each host that matches `where`, or one
        /// program. `{host}` in a request stands for the first address of the host that is asked. The host whose answer is good is the leader.
        /// If none or several are, the attack is not run.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(transform = asks_only)]
        pub struct PickBy {
            $(
                $(#[$about])*
                #[serde(default, rename = $name)]
                pub $key: Option<Spot<firedrill_wire::probe::$params>>,
            )*
            /// A program that the coordinator runs, and its arguments. It prints the leader on one line: the name of a host, or one of its
            /// addresses. A program with another exit code than 0 names nobody.
            #[serde(default)]
            pub command: Option<Spot<Vec<String>>>,
            /// Time for each answer, and for the program.
            #[serde(default = "PickBy::two")]
            #[schemars(extend("default" = TIMEOUT))]
            pub timeout: Spot<Span>,
        }

        impl PickBy {
            /// Returns all requests that the file gives, each with its place in the file.
            #[must_use]
            pub fn requests(&self) -> Vec<Spot<ProbeKind>> {
                [$(request(self.$key.as_ref(), ProbeKind::$kind),)*].into_iter().flatten().collect()
            }
        }
    };
}

firedrill_wire::probe_kinds!(table);

/// Takes requests that write out of the schema: `check` refuses them as questions.
fn asks_only(schema: &mut schemars::Schema) {
    if let Some(keys) = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut) {
        keys.remove("writes");
    }
}

impl PickBy {
    fn two() -> Spot<Span> {
        Spot { value: TIMEOUT, at: 0..0 }
    }

    /// Returns the question; `None` unless exactly one is given.
    #[must_use]
    pub fn ask(&self) -> Option<Ask> {
        let requests = self.requests().into_iter().map(|one| Ask::Request(one.value));
        let command = self.command.iter().map(|argv| Ask::Command(argv.value.clone()));
        let mut all = requests.chain(command);
        all.next().filter(|_| all.next().is_none())
    }
}

/// Returns a request as the prober gets it, to ask it once.
#[must_use]
pub fn spec(target: &str, kind: ProbeKind, timeout: Span) -> ProbeSpec {
    ProbeSpec {
        name: target.to_owned(),
        kind,
        rate: 1.0,
        arrivals: Arrivals::Even,
        key: 0,
        timeout,
        connection: Connection::New,
        names: std::collections::BTreeMap::new(),
    }
}
