//! `[sources.X]`: systems that the coordinator asks for metrics, or listens to.

use firedrill_sources::SourceKind;
use firedrill_wire::Span;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::diagnostic::Spot;

/// Default time-out of a question.
const TIMEOUT: Span = Span::secs(5);

/// Generates the table with a key for each kind of source.
macro_rules! table {
    ($($(#[$about:meta])* $kind:ident($params:ident): $key:ident, $name:literal;)*) => {
        /// A system that the coordinator asks for metrics by HTTP, or listens to. Exactly one kind is needed, by its key.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct Source {
            $(
                $(#[$about])*
                #[serde(default, rename = $name)]
                pub $key: Option<Spot<firedrill_sources::$params>>,
            )*
            /// A question that takes longer has no answer.
            #[serde(default = "Source::five")]
            #[schemars(extend("default" = TIMEOUT))]
            pub timeout: Spot<Span>,
        }

        impl Source {
            /// Returns all kinds that are given, with their places.
            #[must_use]
            pub fn kinds(&self) -> Vec<Spot<SourceKind>> {
                let all = [$(
                    self.$key.as_ref().map(|one| Spot { value: SourceKind::$kind(one.value.clone()), at: one.at.clone() }),
                )*];
                all.into_iter().flatten().collect()
            }
        }
    };
}

firedrill_sources::source_kinds!(table);

impl Source {
    fn five() -> Spot<Span> {
        Spot { value: TIMEOUT, at: 0..0 }
    }

    /// Returns the kind; `None` unless exactly one is given.
    #[must_use]
    pub fn kind(&self) -> Option<SourceKind> {
        let mut all = self.kinds().into_iter();
        all.next().filter(|_| all.next().is_none()).map(|one| one.value)
    }
}
