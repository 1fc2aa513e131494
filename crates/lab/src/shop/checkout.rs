//! `checkout`: an HTTP service that takes orders, stores them and returns them. It never talks to another host.
//!
//! `GET` or `POST /checkout` takes an order and answers `{"order": N, "host": …}`. `GET /orders/N` returns an order. `GET /health` answers
//! with status 200.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use serde_json::json;

use super::{
    http::{self, Body},
    orders::Orders,
};

/// The default port.
const PORT: u16 = 8080;
/// The default path of the order book.
const BOOK: &str = "/var/lib/shop/orders.jsonl";
/// Simulated time of a payment, which each order takes.
const BANK: Duration = Duration::from_millis(2);

/// Entry point. The arguments are `[--port N] [--book FILE]`.
pub(crate) fn main(words: &[String]) -> ExitCode {
    http::run("checkout", async {
        let (port, book) = settings(words)?;
        let orders = Orders::open(&book)
            .map_err(|e| format!("failed to open the order book {}: {e}", book.display()))?;
        let host: Arc<str> = nix::unistd::gethostname().map_or("?".into(), |n| n.to_string_lossy().into());
        println!("checkout: {} orders in {}; listening on port {port}", orders.count(), book.display());
        let orders = Arc::new(Mutex::new(orders));
        let answer = move |request: Request<Incoming>| answer(request, orders.clone(), host.clone());
        http::serve(port, answer).await.map_err(|e| format!("failed to listen on port {port}: {e}"))
    })
}

/// Parses the arguments. Returns the port and the path of the order book.
fn settings(words: &[String]) -> Result<(u16, PathBuf), String> {
    let (mut port, mut book) = (PORT, PathBuf::from(BOOK));
    for pair in words.chunks(2) {
        match pair {
            [name, value] if name == "--port" => {
                port = value.parse().map_err(|e| format!("port {value:?}: {e}"))?;
            }
            [name, value] if name == "--book" => book = Path::new(value).into(),
            _ => return Err(format!("{pair:?} is neither --port N nor --book FILE")),
        }
    }
    Ok((port, book))
}

/// Answers a request.
async fn answer(request: Request<Incoming>, orders: Arc<Mutex<Orders>>, host: Arc<str>) -> Response<Body> {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET, "/health") => http::json(StatusCode::OK, &json!({ "host": *host, "healthy": true })),
        (&Method::GET | &Method::POST, "/checkout") => {
            tokio::time::sleep(BANK).await;
            let taken = orders.lock().unwrap_or_else(PoisonError::into_inner).take();
            match taken {
                Ok(order) => http::json(
                    StatusCode::OK,
                    &json!({ "order": order.order, "host": *host, "cents": order.cents, "receipt": order.receipt }),
                ),
                Err(e) => {
                    http::error(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to write the order: {e}"))
                }
            }
        }
        (&Method::GET, _) if path.starts_with("/orders/") => {
            let number = path.trim_start_matches("/orders/").parse().unwrap_or(0);
            let found = orders.lock().unwrap_or_else(PoisonError::into_inner).find(number);
            match found {
                Ok(Some(order)) => http::json(StatusCode::OK, &order),
                Ok(None) => http::error(StatusCode::NOT_FOUND, "no such order on this host"),
                Err(e) => {
                    http::error(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to read the order: {e}"))
                }
            }
        }
        _ => http::error(StatusCode::NOT_FOUND, "there are /checkout, /orders/N and /health"),
    }
}
