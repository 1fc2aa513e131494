//! The control room as a server: opens its state, listens, and serves. Also makes login links for the command line.

use std::{fs::File, net::SocketAddr, path::Path, sync::Arc};

use firedrill_wire::origin::check_origin;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    app::App,
    audit::{Audit, Deed, Head},
    challenges::Challenges,
    clock::now_s,
    error::RoomError,
    live::{courses::Courses, feed::Feeds, places::Places},
    metrics,
    newest::Newest,
    options::Options,
    outside::Outside,
    role::Role,
    routes::router,
    runs::Runs,
    state::{self, ORIGIN, State},
    web::{accept::accept, tries::Tries, who::SLOW},
};

/// A control room that listens.
pub struct Room {
    pub(crate) app: Arc<App>,
    listener: TcpListener,
    /// The listener for metrics, and its address.
    metrics: Option<(TcpListener, SocketAddr)>,
    /// The address of `listener`.
    address: SocketAddr,
    /// The head of the audit log after the line about this start.
    head: Head,
    /// Keeps other servers from the state.
    _lock: File,
}

impl Room {
    /// Opens the state, reads the runs, and listens. Requests are answered only by [`Self::serve`].
    ///
    /// # Errors
    /// The state cannot be used, another server uses it, or the address cannot be listened on.
    pub async fn open(options: Options, outside: Arc<dyn Outside>) -> Result<Self, RoomError> {
        let State { store, audit } = State::open(&options.state)?;
        let lock = state::lock(&options.state)?;
        let failed = |source| RoomError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = match options.metrics {
            Some(address) => {
                let failed = |source| RoomError::Listen { address, source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Some((listener, address))
            }
            None => None,
        };
        let origin = options.public.clone().unwrap_or_else(|| format!("http://{address}"));
        // Browsers allow passkeys only for host names. So without a public name they work at `localhost`, and not at an IP address.
        let passkey_origin =
            options.public.clone().unwrap_or_else(|| format!("http://localhost:{}", address.port()));
        let passkey_origin = match check_origin(&passkey_origin) {
            Ok(()) => Ok(passkey_origin),
            Err(why) => Err(format!("There are no passkeys here: {why}.")),
        };
        // Browsers share cookies between all ports of a host, so the cookie's name has the port.
        let cookie = match options.public {
            Some(_) => "__Host-firedrill".to_owned(),
            None => format!("firedrill-{}", address.port()),
        };
        store.set(ORIGIN, &origin)?;
        let head = started(&audit, &address, metrics.as_ref().map(|(_, address)| address))?;
        let runs = Runs::of(&options.reports, options.reading);
        let (tries, newest, feeds, places) =
            (Tries::default(), Newest::default(), Feeds::default(), Places::default());
        let app = Arc::new(App {
            options,
            store,
            audit,
            runs,
            outside,
            tries,
            newest,
            courses: Courses::default(),
            feeds,
            places,
            slow: Arc::new(Semaphore::new(SLOW)),
            checks: Arc::default(),
            origin,
            passkey_origin,
            challenges: Challenges::new()?,
            cookie,
        });
        // Reads the runs now, so that the first page is fast. An error is ignored here, because the pages show it.
        let reader = Arc::clone(&app);
        let _read = tokio::task::spawn_blocking(move || reader.runs.with(|_| Ok(()))).await;
        Ok(Self { app, listener, metrics, address, head, _lock: lock })
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the metrics; `None` if they are shown nowhere.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Returns the origin of the pages.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.app.origin
    }

    /// Returns the head of the audit log at the start. A person who keeps it elsewhere can see later whether the log was cut.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// Serves until the future is dropped.
    pub async fn serve(self) {
        let pages = accept(self.listener, router(Arc::clone(&self.app)));
        match self.metrics {
            Some((listener, _)) => _ = tokio::join!(pages, accept(listener, metrics::router(self.app))),
            None => pages.await,
        }
    }
}

/// Writes the start of the server into the audit log, and returns the log's head.
fn started(audit: &Audit, address: &SocketAddr, metrics: Option<&SocketAddr>) -> Result<Head, RoomError> {
    let metrics = metrics.map_or_else(String::new, |metrics| format!(", metrics on {metrics}"));
    let deed = Deed {
        via: "server".to_owned(),
        what: "start",
        outcome: format!("firedrill {} listens on {address}{metrics}", env!("CARGO_PKG_VERSION")),
        ..Deed::default()
    };
    state::written(audit, &deed)
}

/// Makes a login link for a person and returns its address. `folder` is the state of a control room, which need not be running. `by` is the user of
/// this machine who asks for it.
///
/// # Errors
/// The state cannot be used, or no control room has used it yet.
pub fn login_link(folder: &Path, (name, role): (&str, Role), by: &str) -> Result<String, RoomError> {
    let (State { store, audit }, origin) = State::used(folder)?;
    let (via, on, outcome) =
        ("command line".to_owned(), name.to_owned(), format!("made, as {}", role.word()));
    state::written(&audit, &Deed { by: by.to_owned(), via, what: "link", on, outcome })?;
    let secret = store.make_link((name, role), by, now_s())?;
    Ok(format!("{origin}/login?link={secret}"))
}
