//! The claim of a demo that serves on its lab: a file beside the lab's files, locked as long as the demo lives. The lab outlives a demo that
//! was killed, so that its run can put everything back; the next demo takes it away.

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

/// The file. It has the path of the directory of runs.
const OWNER: &str = "demo";

fn path() -> PathBuf {
    folder(NAME).join(OWNER)
}

/// Claims the lab that was just started, until the file is dropped.
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

/// Takes the lab of a demo away that was killed. What goes on there is stopped and put back first.
///
/// # Errors
/// Another demo lives, or the lab cannot be taken away.
pub(super) fn clear() -> Result<()> {
    let path = path();
    // A lab without the file is no demo's that serves.
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
    errln!("the lab of a demo that was killed is still up; it is taken away first");
    let reports = fs::read(&path).wrap(format!("cannot read {}", path.display()))?;
    let reports = Path::new(std::ffi::OsStr::from_bytes(&reports));
    // No thread may be left, because a demo may enter its lab's network.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(stop(reports, &Programs::default(), "the next demo", std::future::pending::<()>()));
    drop(runtime);
    lab.down().wrap("the lab of a demo that was killed cannot be taken away")?;
    forget(NAME);
    Ok(())
}
