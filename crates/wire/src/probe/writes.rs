//! `writes`: numbered records that are written to a store, and read back from it. One list ([`stores!`]) makes everything that goes over all
//! stores.

mod etcd;
mod http;
mod postgres;
mod redis;

use serde::{Deserialize, Serialize};

pub use etcd::EtcdStore;
pub use http::HttpStore;
pub use postgres::PostgresStore;
pub use redis::RedisStore;

use super::{
    kind::{About, Form, Hides, Kind, Read},
    refused::Refusal,
};

/// Puts the fields of refusals into the table of their store.
fn refused(store: &str, all: Vec<Refusal>) -> Vec<Refusal> {
    all.into_iter().map(|one| Refusal { field: one.field.within(store), ..one }).collect()
}

/// Puts the fields of what is read into the table of their store.
fn reading<'p>(store: &str, all: Vec<Read<'p>>) -> Vec<Read<'p>> {
    all.into_iter().map(|one| Read { field: one.field.within(store), ..one }).collect()
}

/// The list of the stores, given to a macro: the store's doc comment, its variant, the type of its parameters, and its key: as a name of Rust and as it stands in files.
macro_rules! stores {
    ($then:ident) => {
        $then! {
            /// A server that takes and gives one record by each request of HTTP.
            Http(HttpStore): http, "http";
            /// etcd, by the JSON gateway of its version 3.
            Etcd(EtcdStore): etcd, "etcd";
            /// Rows of a table in a PostgreSQL database.
            Postgres(PostgresStore): postgres, "postgres";
            /// Keys of a Redis server.
            Redis(RedisStore): redis, "redis";
        }
    };
}

/// Generates the enum, and every match over all stores.
macro_rules! enumerate {
    ($($(#[$about:meta])* $store:ident($params:ident): $key:ident, $name:literal;)*) => {
        /// Numbered records that are written to a store at the probe's rate, and read back from it. Exactly one store is needed, by its key.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum WritesProbe {
            $($(#[$about])* #[serde(rename = $name)] $store($params),)*
        }

        /// Numbered records that are written to a store at the probe's rate, and read back from it. Exactly one store is needed, by its key.
        #[derive(schemars::JsonSchema)]
        #[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
        #[expect(dead_code, reason = "only its schema is used")]
        struct Table {
            $($(#[$about])* #[schemars(rename = $name)] $key: Option<$params>,)*
        }

        /// A table with a key for each store, like that of a probe.
        impl schemars::JsonSchema for WritesProbe {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                "WritesProbe".into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                Table::json_schema(generator)
            }
        }

        impl WritesProbe {
            /// All stores' names, as they stand in files.
            pub const STORES: [&'static str; [$($name),*].len()] = [$($name),*];

            /// The store's name as it stands in files.
            #[must_use]
            pub const fn store(&self) -> &'static str {
                match self {
                    $(Self::$store(_) => $name,)*
                }
            }
        }

        impl Form for WritesProbe {
            const EXAMPLE: &'static str = "{ etcd = { url = \"http://kv:2379\" } }";
            const HIDES: &'static [(&'static str, Hides)] =
                &[$(($name, Hides::Table(<$params as Form>::HIDES))),*];
            const AS_IT_IS: &'static [&'static str] = &[];

            fn without_secrets(&self) -> Self {
                match self {
                    $(Self::$store(store) => Self::$store(store.without_secrets()),)*
                }
            }
        }

        impl Kind for WritesProbe {
            fn about(&self) -> About<'_> {
                match self {
                    $(Self::$store(store) => store.about(),)*
                }
            }

            fn destinations(&self) -> Vec<(String, u16)> {
                match self {
                    $(Self::$store(store) => store.destinations(),)*
                }
            }

            fn invalid(&self) -> Vec<Refusal> {
                match self {
                    $(Self::$store(store) => store.invalid(),)*
                }
            }

            fn vain(&self) -> Vec<Refusal> {
                match self {
                    $(Self::$store(store) => store.vain(),)*
                }
            }
        }
    };
}

stores!(enumerate);

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> WritesProbe {
        serde_json::from_str(json).expect(json)
    }

    fn said(json: &str) -> String {
        let all: Vec<String> = of(json).invalid().iter().map(ToString::to_string).collect();
        all.join("\n")
    }

    #[test]
    fn one_store_is_wanted() {
        for wrong in
            ["{}", r#"{"http":{"url":"http://kv/{key}"},"etcd":{"url":"http://kv"}}"#, r#"{"disk":{}}"#]
        {
            assert!(serde_json::from_str::<WritesProbe>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(WritesProbe::STORES, ["http", "etcd", "postgres", "redis"]);
    }

    #[test]
    fn values_are_named_within_the_table_of_their_store() {
        let probe = of(r#"{"http":{"url":"http://kv/x","ca_file":"","headers":{"a b":"c"}}}"#);
        let paths: Vec<Vec<String>> = (probe.invalid().iter())
            .map(|one| one.field.path("writes").into_iter().map(str::to_owned).collect())
            .collect();
        assert!(!paths.is_empty());
        for path in paths {
            assert_eq!(path[..2], ["writes", "http"], "{path:?}");
        }
        assert_eq!(probe.about().reach.field.path("writes"), ["writes", "http", "url"]);
    }

    #[test]
    fn a_url_without_the_key_and_a_request_without_the_value_are_refused() {
        assert_eq!(said(r#"{"http":{"url":"http://kv/o/{key}"}}"#), "");
        assert!(said(r#"{"http":{"url":"http://kv/o"}}"#).contains("`{key}`"));
        assert!(said(r#"{"http":{"url":"http://{key}/o"}}"#).contains("cannot be asked"));
        assert!(said(r#"{"http":{"url":"http://kv/o/{key}","body":"1"}}"#).contains("`{value}`"));
        assert!(said(r#"{"http":{"url":"http://kv/o/{key}","method":"GET"}}"#).contains("GET"));
        assert!(
            said(r#"{"http":{"url":"http://kv/o/{key}","read":"http://other/{key}"}}"#)
                .contains("same server")
        );
        assert!(said(r#"{"http":{"url":"http://kv/o/{key}","read":"http://kv/o"}}"#).contains("`{key}`"));
        assert_eq!(said(r#"{"http":{"url":"http://kv/o/{key}","read":"http://kv/raw/{key}?quorum=1"}}"#), "");
        assert_eq!(said(r#"{"etcd":{"url":"https://kv:2379"}}"#), "");
        assert!(said(r#"{"etcd":{"url":"http://kv:2379/v3"}}"#).contains("path"));
    }

    #[test]
    fn no_secret_is_shown() {
        let probe = of(
            r#"{"http":{"url":"http://kv/o/{key}?token=s3cret","headers":{"x-api-key":"s3cret"},"body":"{value} s3cret"}}"#,
        );
        let hidden = serde_json::to_string(&probe.without_secrets()).expect("prints");
        assert!(!hidden.contains("s3cret") && hidden.contains("{key}"), "{hidden}");
        let about = probe.about();
        assert!(!about.asks.contains("s3cret"), "{}", about.asks);
        assert!(!format!("{probe:?}").contains("s3cret"), "{probe:?}");
        for clear in about.clear {
            assert_eq!(clear.field.path("writes")[..2], ["writes", "http"]);
        }
    }
}
