//! The process that keeps the coordinator's network namespace open. The coordinator has its own addresses in the lab, and is neither a
//! host nor the router. The process does nothing else.

use std::{fs::File, io::Read as _, net::IpAddr, process::ExitCode};

use crate::{
    LabError,
    error::Doing as _,
    report::{Report, inherited},
    root::configure_own_end,
    sys::process,
};

/// Entry point of the process. Its two arguments are file descriptors: one to read the addresses from, one for the report.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let Some([addresses, report]) = inherited(words).and_then(|f| <[_; 2]>::try_from(f).ok()) else {
        eprintln!("the coordinator's place in a lab is made by the lab itself");
        return ExitCode::from(2);
    };
    process::set_name("lab-coordinator");
    let configured = (|| -> Result<(), LabError> {
        process::die_with_parent().doing("tie the coordinator's namespace to the lab")?;
        let mut json = Vec::new();
        File::from(addresses).read_to_end(&mut json).doing("read the coordinator's addresses")?;
        let addresses: Vec<IpAddr> =
            serde_json::from_slice(&json).doing("read the coordinator's addresses")?;
        configure_own_end(&addresses)
    })();
    match configured {
        Err(error) => {
            Report::of(&error).send(report);
            ExitCode::FAILURE
        }
        Ok(()) => {
            Report::default().send(report);
            loop {
                nix::unistd::pause();
            }
        }
    }
}
