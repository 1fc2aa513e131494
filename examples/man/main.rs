//! Writes the man pages of `firedrill` and `firedrill-agent` into a folder, for packages:
//!
//!     cargo run --example man -- target/man
//!
//! They lie in `man1` and `man8` of that folder, as in `/usr/share/man`.
//!
//! An example, so that what makes them is no part of the programs.

mod pages;

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: cargo run --example man -- FOLDER");
        return ExitCode::from(2);
    };
    match pages::write(&folder) {
        Ok(names) => {
            println!("{} pages in {}", names.len(), folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("man: cannot write the pages into {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
