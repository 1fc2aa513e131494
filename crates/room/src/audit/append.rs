//! Appends to the audit log, and reads its end. Several programs may append at once: the server, and commands on its machine.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use firedrill_wire::text::{NAME_MOST, clean};

use super::{
    head::Head,
    line::{Deed, Line, VERSION},
};
use crate::{clock::stamp, secret::sha256};

/// The file's name in the folder of the state.
const FILE: &str = "audit.jsonl";
/// Maximum length of an outcome, in characters.
const OUTCOME_MOST: usize = 1_000;
/// Number of bytes that are read from the end to find the last line. The longest line is several times shorter.
const END: u64 = 64 << 10;

/// The audit log in a folder of state.
#[derive(Debug)]
pub(crate) struct Audit(PathBuf);

impl Audit {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// Returns the file.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Appends a line, and returns the new head. The line is on the disk when this returns.
    ///
    /// # Errors
    /// The file cannot be read or written, or its last line does not belong to an audit log.
    pub(crate) fn write(&self, deed: &Deed) -> io::Result<Head> {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).mode(0o600).open(&self.0)?;
        file.lock()?;
        let (mut head, torn) = end(&mut file)?;
        if torn > 0 {
            // A crash left an unfinished line. It is cut off, and a line that says so follows the last whole line.
            let length = file.metadata()?.len();
            file.set_len(length - torn)?;
            let outcome = format!("{torn} bytes of a line that was not finished were taken away");
            let repair = Deed { via: "audit log".to_owned(), what: "repair", outcome, ..Deed::default() };
            head = put(&mut file, &head, &repair)?;
        }
        let head = put(&mut file, &head, deed)?;
        file.sync_all()?;
        Ok(head)
    }

    /// Returns at most `most` lines from the last `bytes` bytes of the file, the newest first, and the head. Lines that cannot be read are left
    /// out; [`super::check`] finds them.
    pub(crate) fn newest(&self, bytes: u64, most: usize) -> io::Result<(Vec<Line>, Head)> {
        let mut file = match File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Vec::new(), Head::default()));
            }
            Err(error) => return Err(error),
        };
        file.lock_shared()?;
        let (head, _) = end(&mut file)?;
        let text = tail(&mut file, bytes)?;
        let lines = text.rsplit(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        Ok((lines.take(most).collect(), head))
    }
}

/// Appends one line for a deed after the line of `head`, and returns the new head.
fn put(file: &mut File, head: &Head, deed: &Deed) -> io::Result<Head> {
    let short = |text: &str, most| clean(text, most).into_owned();
    let line = Line {
        v: VERSION,
        n: head.n + 1,
        at: stamp(),
        by: short(&deed.by, NAME_MOST),
        via: short(&deed.via, NAME_MOST),
        what: deed.what.to_owned(),
        on: short(&deed.on, NAME_MOST),
        outcome: short(&deed.outcome, OUTCOME_MOST),
        prev: head.digest.clone(),
    };
    let mut bytes = serde_json::to_vec(&line)?;
    let head = Head { n: line.n, digest: sha256(&bytes) };
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    Ok(head)
}

/// Returns the head, and the length in bytes of an unfinished line behind it (0 if there is none).
fn end(file: &mut File) -> io::Result<(Head, u64)> {
    let text = tail(file, END)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    let torn = (text.len() - whole) as u64;
    let Some(last) = text[..whole].strip_suffix(b"\n") else {
        if text.len() as u64 >= END {
            return Err(io::Error::other("its last line is too long for one of an audit log"));
        }
        // The log has no whole line.
        return Ok((Head::default(), torn));
    };
    let last = last.rsplit(|byte| *byte == b'\n').next().unwrap_or(last);
    let line: Line = serde_json::from_slice(last).map_err(|error| {
        io::Error::other(format!(
            "its last line is none of an audit log ({error}); `firedrill audit verify` tells more"
        ))
    })?;
    Ok((Head { n: line.n, digest: sha256(last) }, torn))
}

/// Returns the last `most` bytes of a file, or the whole of a shorter one.
fn tail(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut text = Vec::new();
    file.take(most).read_to_end(&mut text)?;
    Ok(text)
}
