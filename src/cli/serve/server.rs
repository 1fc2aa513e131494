//! Opens and serves the control room, together with the part that only this program can do (`outside.rs`), and starts game days.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, sync::Arc};

use firedrill_room::{ChatFile, Head, Options, Role, Room, login_link, person};

use super::{
    inventory::Stock, messages::Counted, outside::Program, programs::Programs, schedule::Schedule,
    starter::Starter, tellers::Tellers,
};
use crate::cli::{
    args::IdentityArgs,
    failure::{Result, Wrap as _},
    login::login_name,
    runs::begun,
};

/// The settings of a control room.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Settings {
    /// The address to listen on.
    pub(in crate::cli) listen: SocketAddr,
    /// The address on which metrics are served; `None` if they are not.
    pub(in crate::cli) metrics: Option<SocketAddr>,
    /// The directory of runs.
    pub(in crate::cli) reports: PathBuf,
    /// The folder of game days.
    pub(in crate::cli) gamedays: PathBuf,
    /// The folders of scenarios.
    pub(in crate::cli) scenarios: Vec<PathBuf>,
    /// The certificate with which hosts of fleets are asked, or the reason why they are not.
    pub(in crate::cli) asks: Result<IdentityArgs, String>,
    /// The folder of the state.
    pub(in crate::cli) state: PathBuf,
    /// The address that people type, if a proxy with TLS is in front of the server.
    pub(in crate::cli) public: Option<String>,
    /// The chats from which people act, if any.
    pub(in crate::cli) chat: Option<ChatFile>,
    /// The options of `gameday start`; `None` if the server starts no game days.
    pub(in crate::cli) starts: Option<Vec<OsString>>,
}

/// A control room that listens.
pub(in crate::cli) struct Server {
    room: Room,
    settings: Settings,
    tellers: Tellers,
    programs: Programs,
    starter: Option<Starter>,
}

impl Server {
    /// Opens the state and listens. Requests are answered only by [`Self::serve`].
    pub(in crate::cli) async fn open(settings: Settings) -> Result<Self> {
        let options = Options {
            listen: settings.listen,
            metrics: settings.metrics,
            reports: settings.reports.clone(),
            state: settings.state.clone(),
            public: settings.public.clone(),
            chat: settings.chat.clone(),
            reading: begun,
        };
        let tellers = Tellers::of(&settings.reports);
        let programs = Programs::default();
        let starter = starter(&settings, &tellers, &programs);
        let program = Program {
            gamedays: settings.gamedays.clone(),
            reports: settings.reports.clone(),
            starter: starter.clone(),
            tellers: tellers.clone(),
            messages: Counted::of(&settings.reports),
            stock: Stock::of(&settings.gamedays, &settings.scenarios, settings.asks.clone()),
        };
        Ok(Self { room: Room::open(options, Arc::new(program)).await?, settings, tellers, programs, starter })
    }

    /// Returns the address that it listens on.
    pub(in crate::cli) const fn address(&self) -> SocketAddr {
        self.room.address()
    }

    /// Returns the address that people type.
    pub(super) fn origin(&self) -> &str {
        self.room.origin()
    }

    /// Returns the address of the metrics.
    pub(super) fn metrics(&self) -> Option<SocketAddr> {
        self.room.metrics()
    }

    /// Returns the head of the audit log when the server was opened.
    pub(super) const fn head(&self) -> &Head {
        self.room.head()
    }

    /// Makes a link that logs the person at the terminal in as an admin. Returns the name and the link.
    pub(in crate::cli) fn link(&self) -> Result<(String, String)> {
        let name = login_name().and_then(|name| person(&name).ok()).unwrap_or_else(|| "admin".to_owned());
        let link = login_link(&self.settings.state, (&name, Role::Admin), &name)?;
        Ok((name, link))
    }

    /// Starts game days at their time from now on, if the settings say so. Returns the programs that hold them, and the senders of messages to
    /// their channels. The state is locked, so that of two servers with the same state only one starts slots.
    pub(in crate::cli) fn start_gamedays(&self) -> Result<(Programs, Tellers)> {
        if let Some(starter) = self.starter.clone() {
            let schedule = Schedule { gamedays: self.settings.gamedays.clone(), starter };
            schedule.start().wrap("game days cannot be started at their time")?;
        }
        Ok((self.programs.clone(), self.tellers.clone()))
    }

    /// Serves until the future is dropped.
    pub(in crate::cli) async fn serve(self) {
        self.room.serve().await;
    }
}

/// Returns the starter of game days; `None` if the settings start none.
fn starter(settings: &Settings, tellers: &Tellers, programs: &Programs) -> Option<Starter> {
    Some(Starter {
        reports: settings.reports.clone(),
        tellers: tellers.clone(),
        options: settings.starts.clone()?,
        programs: programs.clone(),
        live: Arc::default(),
    })
}
