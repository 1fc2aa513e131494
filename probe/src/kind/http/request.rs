//! The request that a probe repeats, checked once. Never in `Debug` output: it may carry a token.

use bytes::Bytes;
use firedrill_wire::probe::{Connection, HttpProbe, ProbeSpec};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE, USER_AGENT},
};
use http_body_util::Full;

use super::refuse;
use crate::{ProbeError, secret};

/// What goes over the line.
pub(super) type Sent = Request<Full<Bytes>>;

/// A probe's texts, checked.
pub(super) struct Parsed {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether it is `https`.
    pub(super) secure: bool,
    path: Uri,
    method: Method,
    headers: HeaderMap,
}

impl Parsed {
    /// Refuses what cannot be sent.
    pub(super) fn new(spec: &ProbeSpec, probe: &HttpProbe) -> Result<Self, ProbeError> {
        let wrong_url = |why: &str| refuse(spec, "url", &probe.url, why);
        let url: Uri = probe.url.parse().map_err(|why: http::uri::InvalidUri| wrong_url(&why.to_string()))?;
        let secure = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong_url("it must begin with http:// or https://")),
        };
        let authority = url.authority().ok_or_else(|| wrong_url("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong_url("it holds a user or password; use `bearer` or a header"));
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(wrong_url("it names no host"));
        }
        let port = match authority.as_str().rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some(_) => authority
                .port_u16()
                .filter(|port| *port > 0)
                .ok_or_else(|| wrong_url("the port must be a number from 1 to 65535"))?,
            None if secure => 443,
            None => 80,
        };
        let path = url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let method = Method::from_bytes(probe.method.as_bytes())
            .map_err(|_| refuse(spec, "method", &probe.method, "write a method such as GET or POST"))?;
        if method == Method::CONNECT {
            return Err(refuse(spec, "method", &probe.method, "a probe asks a service, not a proxy"));
        }
        if let Some(status) = probe.status {
            StatusCode::from_u16(status).ok().filter(|status| !status.is_informational()).ok_or_else(
                || refuse(spec, "status", &status.to_string(), "write a number from 200 to 999"),
            )?;
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            secure,
            path: path.parse().map_err(|why: http::uri::InvalidUri| wrong_url(&why.to_string()))?,
            method,
            headers: headers(spec, probe, authority.as_str())?,
        })
    }

    /// Reads the token, and has it all.
    pub(super) fn template(mut self, spec: &ProbeSpec, probe: &HttpProbe) -> Result<Template, ProbeError> {
        if let Some(bearer) = &probe.bearer {
            self.headers.insert(AUTHORIZATION, secret::bearer(&spec.name, bearer)?);
        }
        Ok(Template {
            method: self.method,
            path: self.path,
            headers: self.headers,
            body: probe.body.clone().unwrap_or_default().into(),
        })
    }
}

fn headers(spec: &ProbeSpec, probe: &HttpProbe, authority: &str) -> Result<HeaderMap, ProbeError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &probe.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refuse(spec, "header name", name, "write a name such as X-Drill"))?;
        if [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE].contains(&key) {
            return Err(refuse(spec, "header", name, "the prober sets it; for connections use `connection`"));
        }
        if key == AUTHORIZATION && probe.bearer.is_some() {
            return Err(refuse(spec, "header", name, "`bearer` sets it; leave one of them out"));
        }
        let value = HeaderValue::from_str(value).map_err(|_| {
            refuse(spec, "value of header", name, "it holds characters that a header cannot carry")
        })?;
        if headers.insert(key, value).is_some() {
            return Err(refuse(spec, "header", name, "it is there twice"));
        }
    }
    if !headers.contains_key(HOST) {
        let host = HeaderValue::from_str(authority)
            .map_err(|why| refuse(spec, "url", &probe.url, why.to_string()))?;
        headers.insert(HOST, host);
    }
    if !headers.contains_key(USER_AGENT) {
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("firedrill/", env!("CARGO_PKG_VERSION"))));
    }
    if spec.connection == Connection::New {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(headers)
}

/// Makes one request after another.
pub(super) struct Template {
    method: Method,
    path: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Template {
    /// A request as it is sent.
    pub(super) fn request(&self) -> Sent {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}
