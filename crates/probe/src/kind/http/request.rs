//! The request that a probe repeats, made once. Never in `Debug` output: it may carry a token.

use bytes::Bytes;
use firedrill_wire::probe::{Connection, Field, HttpProbe, HttpRequest, ProbeSpec, Refusal};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{AUTHORIZATION, CONNECTION, HOST, USER_AGENT},
};
use http_body_util::Full;

use super::{
    filled::{self, Filled},
    ids::Ids,
};
use crate::{reads::Reads, secret};

/// Returns the refusals of secrets that cannot be read on this machine, or that cannot stand where they are named.
pub(super) fn unreadable(probe: &HttpProbe, reads: &dyn Reads) -> Vec<Refusal> {
    let read = |name: &String, secret| {
        secret::text(&Field::request(&["secrets", name]), &filled::called(name), secret, reads).err()
    };
    let mut wrong: Vec<Refusal> =
        probe.secrets.iter().filter_map(|(name, secret)| read(name, secret)).collect();
    if wrong.is_empty()
        && let (Ok(filled), Ok(mut parsed)) = (Filled::new(probe, reads), probe.parsed())
    {
        wrong.extend(filled.headers(&mut parsed.headers).err());
        wrong.extend(filled.path(parsed.target.path).err());
    }
    wrong
}

/// Makes one request after another.
pub(crate) struct Template {
    method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
    ids: Option<(HeaderName, Ids)>,
}

impl Template {
    /// Adds the headers that a probe does not give, and reads the secrets.
    pub(super) fn new(
        spec: &ProbeSpec,
        probe: &HttpProbe,
        parsed: HttpRequest,
        reads: &dyn Reads,
    ) -> Result<Self, Refusal> {
        Self::over(spec.connection, probe, parsed, reads)
    }

    /// Makes the requests that are sent over connections of that kind.
    ///
    /// # Errors
    /// It cannot be sent, or its secrets cannot be read.
    pub(crate) fn by(
        connection: Connection,
        probe: &HttpProbe,
        reads: &dyn Reads,
    ) -> Result<Self, Vec<Refusal>> {
        Self::over(connection, probe, probe.parsed()?, reads).map_err(|one| vec![one])
    }

    /// Makes the requests that are sent each over a connection of its own.
    ///
    /// # Errors
    /// It cannot be sent, or its secrets cannot be read.
    pub(crate) fn once(probe: &HttpProbe, reads: &dyn Reads) -> Result<Self, Vec<Refusal>> {
        Self::over(Connection::New, probe, probe.parsed()?, reads).map_err(|one| vec![one])
    }

    fn over(
        connection: Connection,
        probe: &HttpProbe,
        parsed: HttpRequest,
        reads: &dyn Reads,
    ) -> Result<Self, Refusal> {
        let HttpRequest { target, method, mut headers, id_header, matches: _ } = parsed;
        if !headers.contains_key(HOST) {
            // An authority that was parsed can be the value of a header. One that could not be parsed was refused before.
            headers.extend(HeaderValue::from_str(&target.authority).map(|host| (HOST, host)));
        }
        if !headers.contains_key(USER_AGENT) {
            headers.insert(
                USER_AGENT,
                HeaderValue::from_static(concat!("firedrill/", env!("CARGO_PKG_VERSION"))),
            );
        }
        if connection == Connection::New {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(bearer) = &probe.bearer {
            headers.insert(AUTHORIZATION, secret::bearer(bearer, reads)?);
        }
        let filled = Filled::new(probe, reads)?;
        filled.headers(&mut headers)?;
        Ok(Self {
            method,
            path: filled.path(target.path)?,
            headers,
            body: filled.text(probe.body.as_deref().unwrap_or_default()).into(),
            ids: id_header.map(|name| (name, Ids::default())),
        })
    }

    /// Returns a request in whose path and body texts are replaced: `fill` has each text, and the one that takes its place. `None` if the path
    /// is not valid then.
    pub(crate) fn with(&self, fill: &[(&str, &str)]) -> Option<Request<Full<Bytes>>> {
        let filled =
            |text: &str| fill.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        let mut request = self.request();
        *request.uri_mut() = filled(&self.path.to_string()).parse().ok()?;
        *request.body_mut() = Full::new(filled(std::str::from_utf8(&self.body).ok()?).into());
        Some(request)
    }

    /// Returns the same request with another body.
    pub(crate) fn with_body(&self, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let mut request = self.request();
        *request.body_mut() = Full::new(body.into());
        request
    }

    /// Returns a request as it is sent.
    pub(super) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some((name, ids)) = &self.ids {
            request.headers_mut().insert(name.clone(), ids.next());
        }
        request
    }
}
