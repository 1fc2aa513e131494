//! Runs the same test with each engine that shapes traffic.

use std::sync::OnceLock;

use firedrill_agent::{
    host::kinds::{has_ifb, has_qdisc},
    testing::skip,
};

/// The engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Kernel,
    UserSpace,
}

/// The engine of the test that this process runs. Each process runs one test.
static ENGINE: OnceLock<Engine> = OnceLock::new();

impl Engine {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::UserSpace => "user-space",
        }
    }
}

/// Returns the engine of this test; `None` if the test leaves it open.
pub(crate) fn engine() -> Option<Engine> {
    ENGINE.get().copied()
}

pub(crate) fn by_kernel() -> bool {
    engine() == Some(Engine::Kernel)
}

/// Runs a test with an engine, if this kernel has what it needs. In the emulated machine the kernel must have it.
pub(crate) fn by(engine: Engine, qdisc: &str, test: &str, body: impl FnOnce()) {
    ENGINE.set(engine).unwrap();
    let has = if engine == Engine::Kernel { has_qdisc(qdisc).and_then(|()| has_ifb()) } else { Ok(()) };
    match has {
        Ok(()) => body(),
        Err(why) if std::env::var_os("FIREDRILL_VM").is_none() => skip(&format!("{test}: {why}")),
        Err(why) => panic!("{why}"),
    }
}

/// Defines a test that runs once with each engine; the kernel's needs the named qdisc.
#[macro_export]
macro_rules! on_engines {
    ($qdisc:literal fn $name:ident() $body:block) => {
        mod $name {
            use super::*;
            use $crate::engine::{Engine, by};
            fn body() $body
            firedrill_agent::sandboxed! {
                fn in_the_kernel() {
                    by(Engine::Kernel, $qdisc, stringify!($name), body);
                }
            }
            firedrill_agent::sandboxed! {
                fn in_user_space() {
                    by(Engine::UserSpace, $qdisc, stringify!($name), body);
                }
            }
        }
    };
}
