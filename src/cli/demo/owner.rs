//! The claim of `demo --serve` on its lab: a file beside the lab's files, locked while the demo runs. If the demo is killed, the lab stays, so
//! that its run can put everything back; the next demo takes the lab away.

use std::{
    fs::{self, File, TryLockError},
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use firedrill_lab::Lab;

use super::stop::stop;
use crate::cli::{
    failure::{Failure, Result, Wrap as _},
    lab::files::{DEMO as NAME, folder, forget},
    serve::Programs,
};

/// The name of the claim's file. It contains the path of the directory of runs.
const OWNER: &str = "demo";

/// Returns the path of the claim's file.
fn path() -> PathBuf {
    folder(NAME).join(OWNER)
}

/// Claims the demo's lab: writes the file with the path `reports`, and keeps it locked until the returned file is dropped.
pub(super) fn claim(reports: &Path) -> Result<File> {
    let path = path();
    let claimed = || {
        let mut file = File::options().create_new(true).write(true).open(&path)?;
        file.try_lock()?;
        file.write_all(reports.as_os_str().as_bytes())?;
        Ok::<File, std::io::Error>(file)
    };
    claimed().wrap(format!("cannot write {}", path.display()))
}

/// Removes the lab that a killed demo left, if there is one. First stops the runs there, which put everything back.
///
/// # Errors
/// Another demo lives, or the lab cannot be taken away.
pub(super) fn clear() -> Result<()> {
    let path = path();
    // A lab without the file does not belong to a `demo --serve`.
    let (Ok(lab), Ok(claim)) = (Lab::attach(NAME), File::open(&path)) else { return Ok(()) };
    match claim.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Failure::new("another `firedrill demo --serve` of this user is up")
                .help(format!("end it with Ctrl-C, or with `firedrill lab down --name {NAME}`")));
        }
        Err(TryLockError::Error(error)) => {
            return Err(Failure::from(error).wrap(format!("cannot lock {}", path.display())));
        }
    }
    errln!("a killed demo has left its lab; the lab of a demo that was killed is taken away first");
    let reports = fs::read(&path).wrap(format!("cannot read {}", path.display()))?;
    let reports = Path::new(std::ffi::OsStr::from_bytes(&reports));
    // The runtime has no threads of its own and is dropped here: a demo enters its lab's network afterwards, which a process with several
    // threads cannot.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stop(reports, &Programs::default(), "the next demo", std::future::pending::<()>()));
    drop(runtime);
    lab.down().wrap("the lab that a killed demo left cannot be taken away")?;
    forget(NAME);
    Ok(())
}
