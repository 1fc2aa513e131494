//! `etcd`: records in etcd, by the JSON gateway of its version 3.

use serde::{Deserialize, Serialize};

use super::refused;
use crate::probe::{
    HttpProbe, HttpTarget,
    kind::{About, Connections, Form, Hides, Kind, Reach, Read, Shows, Source},
    refused::{Field, Refusal},
};

/// etcd, by the JSON gateway of its version 3: `/v3/kv/put`, `/v3/kv/range`. Reads are linearizable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EtcdStore {
    /// The address of one member, `http://…` or `https://…`, without a path.
    pub url: String,
    /// A PEM file, on the vantage, of authorities to trust instead of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// Returns the place of a value.
fn at(key: &str) -> Field {
    Field::request(&["etcd", key])
}

impl EtcdStore {
    /// Returns the request of a call, without its body.
    #[must_use]
    pub fn call(&self, path: &str) -> HttpProbe {
        HttpProbe {
            method: "POST".to_owned(),
            headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
            ca_file: self.ca_file.clone(),
            ..HttpProbe::get(format!("{}{path}", self.url.trim_end_matches('/')))
        }
    }
}

impl Form for EtcdStore {
    const EXAMPLE: &'static str = "{ url = \"http://kv:2379\" }";
    const HIDES: &'static [(&'static str, Hides)] = &[("url", Hides::Url)];
    const AS_IT_IS: &'static [&'static str] = &[];

    fn without_secrets(&self) -> Self {
        Self { url: HttpProbe::get(self.url.clone()).without_secrets().url, ..self.clone() }
    }
}

impl Kind for EtcdStore {
    fn about(&self) -> About<'_> {
        let Self { url, ca_file } = self;
        let shown = self.without_secrets().url;
        let authorities =
            ca_file.iter().map(|path| Read { field: at("ca_file"), from: Source::File(path), secret: false });
        About {
            asks: format!("writes to etcd {shown}"),
            measures: format!("writes to etcd {shown}"),
            reach: Reach {
                field: at("url"),
                text: url,
                to: HttpTarget::new(url).ok().map(|target| (target.host, target.port)),
            },
            shows: Shows::Keeps,
            connections: Connections::Any,
            reads: authorities.collect(),
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: Vec::new(),
        }
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut wrong = refused("etcd", self.call("").parsed().err().unwrap_or_default());
        if let Ok(target) = HttpTarget::new(&self.url)
            && target.path != "/"
        {
            let what = "the url of etcd has a path or a query";
            wrong.push(Refusal::new(
                at("url"),
                what,
                "more than an address",
                "for example \"http://kv:2379\"",
            ));
        }
        wrong
    }

    fn vain(&self) -> Vec<Refusal> {
        refused("etcd", self.call("").vain())
    }
}
