//! A control room for tests, without a server.

use std::{path::Path, sync::Arc};

use firedrill_wire::{RunId, api::Signed};
use serde_json::Value;

use crate::{
    app::App,
    chat::ChatFile,
    inventory::{FleetFacts, Fleets, Inventory, ScenarioFacts, Scenarios},
    options::Options,
    outside::{
        Calendar, Decision, Halted, HeldSlot, Later, Messages, NotShown, NotStarted, Outside, Proposal,
        Slots, Told, Wants,
    },
    role::Role,
    room::Room,
    store::Session,
};

/// An `Outside` whose runs do all that they are told, and whose chats accept all answers. It has no plans and no game days.
pub(crate) struct Willing;

impl Outside for Willing {
    fn halt<'a>(&'a self, _: &'a RunId, _: &'a str) -> Later<'a, Halted> {
        Box::pin(async { Halted::Ends })
    }

    fn tell<'a>(&'a self, _: &'a RunId, _: &'a str, _: Wants) -> Later<'a, Told> {
        Box::pin(async { Told::Taken("it does so".to_owned()) })
    }

    fn proposal(&self, _: &Path) -> Result<Proposal, String> {
        Err("there are no plans".to_owned())
    }

    fn approve(&self, _: &Path, _: &Signed) -> Result<String, String> {
        Err("there are no plans".to_owned())
    }

    fn calendar(&self) -> Calendar {
        Calendar::default()
    }

    fn gameday_files(&self, _: &Slots) -> Result<Value, NotShown> {
        Ok(Value::Null)
    }

    fn gameday_file(&self, _: &str, _: &Slots) -> Result<Value, NotShown> {
        Err(NotShown::Unknown("there are no game days".to_owned()))
    }

    fn inventory(&self) -> &dyn Inventory {
        &Empty
    }

    fn held(&self) -> Result<Vec<HeldSlot>, String> {
        Ok(Vec::new())
    }

    fn start(&self, _: &str, _: &str) -> Result<(HeldSlot, bool), NotStarted> {
        Err(NotStarted::Off)
    }

    fn held_slot(&self, _: &str, _: &str) -> Result<Option<HeldSlot>, String> {
        Ok(None)
    }

    fn looked_s(&self) -> Option<i64> {
        None
    }

    fn messages(&self) -> Result<Messages, String> {
        Ok(Messages::default())
    }

    fn post<'a>(&'a self, _: &'a str, _: String) -> Later<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn decide(&self, _: &str, _: &str, _: &str, _: &Decision) -> Result<String, String> {
        Err("there are no game days".to_owned())
    }
}

/// An inventory without scenarios and fleets.
pub(crate) struct Empty;

impl Inventory for Empty {
    fn scenarios(&self) -> Scenarios {
        Scenarios::default()
    }

    fn scenario(&self, _: &str, _: Option<&str>) -> Option<Arc<ScenarioFacts>> {
        None
    }

    fn fleets(&self) -> Fleets {
        Fleets::default()
    }

    fn fleet(&self, _: &str) -> Option<FleetFacts> {
        None
    }

    fn ask<'a>(&'a self, _: &'a str, _: &'a str) -> Later<'a, Result<String, String>> {
        Box::pin(async { Err("there are no fleets".to_owned()) })
    }
}

/// Implements the named part of [`Outside`] as [`Willing`] does. So a test has to write only the functions that it is about. `decisions` are all functions
/// that no other part has.
macro_rules! as_willing {
    (calendar) => {
        fn calendar(&self) -> crate::outside::Calendar {
            crate::testing::Willing.calendar()
        }
    };
    (halt) => {
        fn halt<'a>(
            &'a self,
            run: &'a firedrill_wire::RunId,
            by: &'a str,
        ) -> crate::outside::Later<'a, crate::outside::Halted> {
            crate::testing::Willing.halt(run, by)
        }
    };
    (wishes) => {
        fn tell<'a>(
            &'a self,
            run: &'a firedrill_wire::RunId,
            by: &'a str,
            wants: crate::outside::Wants,
        ) -> crate::outside::Later<'a, crate::outside::Told> {
            crate::testing::Willing.tell(run, by, wants)
        }
    };
    (posts) => {
        fn post<'a>(&'a self, url: &'a str, body: String) -> crate::outside::Later<'a, Result<(), String>> {
            crate::testing::Willing.post(url, body)
        }
    };
    (inventory) => {
        fn inventory(&self) -> &dyn crate::inventory::Inventory {
            &crate::testing::Empty
        }
    };
    (decisions) => {
        fn proposal(&self, folder: &std::path::Path) -> Result<crate::outside::Proposal, String> {
            crate::testing::Willing.proposal(folder)
        }

        fn approve(
            &self,
            folder: &std::path::Path,
            signed: &firedrill_wire::api::Signed,
        ) -> Result<String, String> {
            crate::testing::Willing.approve(folder, signed)
        }

        fn gameday_files(
            &self,
            slots: &crate::outside::Slots,
        ) -> Result<serde_json::Value, crate::outside::NotShown> {
            crate::testing::Willing.gameday_files(slots)
        }

        fn gameday_file(
            &self,
            gameday: &str,
            slots: &crate::outside::Slots,
        ) -> Result<serde_json::Value, crate::outside::NotShown> {
            crate::testing::Willing.gameday_file(gameday, slots)
        }

        fn held(&self) -> Result<Vec<crate::outside::HeldSlot>, String> {
            crate::testing::Willing.held()
        }

        fn start(
            &self,
            gameday: &str,
            key: &str,
        ) -> Result<(crate::outside::HeldSlot, bool), crate::outside::NotStarted> {
            crate::testing::Willing.start(gameday, key)
        }

        fn held_slot(&self, gameday: &str, slot: &str) -> Result<Option<crate::outside::HeldSlot>, String> {
            crate::testing::Willing.held_slot(gameday, slot)
        }

        fn looked_s(&self) -> Option<i64> {
            crate::testing::Willing.looked_s()
        }

        fn messages(&self) -> Result<crate::outside::Messages, String> {
            crate::testing::Willing.messages()
        }

        fn decide(
            &self,
            gameday: &str,
            slot: &str,
            by: &str,
            decision: &crate::outside::Decision,
        ) -> Result<String, String> {
            crate::testing::Willing.decide(gameday, slot, by, decision)
        }
    };
}
pub(crate) use as_willing;

/// Opens a control room in a folder.
pub(crate) async fn app(home: &Path, outside: Arc<dyn Outside>) -> Arc<App> {
    app_with_chat(home, outside, None).await
}

/// Opens a control room that has chats.
pub(crate) async fn app_with_chat(
    home: &Path,
    outside: Arc<dyn Outside>,
    chat: Option<ChatFile>,
) -> Arc<App> {
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        metrics: None,
        reports: home.join("reports"),
        state: home.join("room"),
        public: None,
        chat,
        reading: |_| {},
    };
    Room::open(options, outside).await.unwrap().app
}

/// Returns a session of alice with a role.
pub(crate) fn session(role: Role) -> Session {
    Session { id: 1, name: "alice".to_owned(), role, agent: String::new(), began_s: 0, seen_s: 0 }
}
