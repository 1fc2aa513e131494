//! Health checks by gRPC against servers that serve, do not, do not know the call, or speak something else.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use firedrill_wire::probe::{GrpcHealthProbe, ProbeKind, ProbeSpec};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::common::{always, answer, http, outcome, server};

/// A server that answers by the service that is asked about.
async fn health() -> SocketAddr {
    let (address, _) = server(|stream, _| async move {
        let service = service_fn(reply);
        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http2.serve_connection(TokioIo::new(stream), service).await;
    })
    .await;
    address
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn reply(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let asked = request.uri().path() == "/grpc.health.v1.Health/Check"
        && request.headers()["te"] == "trailers"
        && request.headers()["content-type"] == "application/grpc";
    let body = request.into_body().collect().await.expect("a message").to_bytes();
    let service = String::from_utf8(body[(body.len().min(7))..].to_vec()).expect("a name");
    let (status, serving) = match service.as_str() {
        _ if !asked => (3, None),
        "" | "shop.v1.Checkout" => (0, Some(1)),
        "down" => (0, Some(2)),
        "lost" => (0, Some(3)),
        "old" => (12, None),
        "odd" => (99, None),
        _ => (5, None),
    };
    let message: Vec<u8> = serving.map(|serving| vec![0, 0, 0, 0, 2, 8, serving]).unwrap_or_default();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    // As gRPC servers do: an error has its status in the head, and no body.
    let mut response = Response::new(match serving {
        Some(_) => Full::new(message.into()).with_trailers(async move { Some(Ok(trailers)) }).boxed(),
        None => Full::default().boxed(),
    });
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    if serving.is_none() {
        response.headers_mut().insert("grpc-status", HeaderValue::from(status));
    }
    if service == "broken" {
        *response.status_mut() = http::StatusCode::BAD_GATEWAY;
    }
    Ok(response)
}

fn check(address: SocketAddr, service: &str) -> ProbeSpec {
    let table = serde_json::json!({ "address": address.to_string(), "service": service });
    ProbeSpec {
        kind: ProbeKind::GrpcHealth(serde_json::from_value::<GrpcHealthProbe>(table).unwrap()),
        ..http("")
    }
}

#[tokio::test]
async fn only_a_server_that_serves_is_good() {
    let address = health().await;
    for service in ["", "shop.v1.Checkout"] {
        let (good, causes) = outcome(check(address, service)).await;
        assert!(good > 0 && causes.is_empty(), "{service}: {good} {causes:?}");
    }
    for (service, cause) in [
        ("down", "NOT_SERVING"),
        ("lost", "SERVICE_UNKNOWN"),
        ("old", "grpc UNIMPLEMENTED"),
        ("odd", "grpc UNKNOWN"),
        ("other", "grpc NOT_FOUND"),
        ("broken", "status 502"),
    ] {
        assert_eq!(outcome(check(address, service)).await, (0, vec![cause.to_owned()]), "{service}");
    }
}

#[tokio::test]
async fn what_speaks_something_else_or_nothing_is_bad() {
    let (plain, _) = server(|stream, _| always(stream, answer("400 Bad Request", ""))).await;
    assert_eq!(outcome(check(plain, "")).await, (0, vec!["protocol".to_owned()]));
    let (gone, _) = server(|stream, _| async move { drop(stream) }).await;
    assert_eq!(outcome(check(gone, "")).await, (0, vec!["reset".to_owned()]));
    let (silent, _) = server(|stream, _| async move {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        drop(stream);
    })
    .await;
    assert_eq!(outcome(check(silent, "")).await, (0, vec!["timeout".to_owned()]));
}
