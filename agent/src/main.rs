//! The agent's program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "stores")]
    let stores = &firedrill_stores::Clients;
    #[cfg(not(feature = "stores"))]
    let stores = &firedrill_agent::NoStores;
    firedrill_agent::cli::main(std::env::args_os(), stores)
}
