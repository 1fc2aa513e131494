//! The files of a write record: their header, their names, and how one is read. Never writes to an existing file, and never judges.
//!
//! Each start of a probe has a file of its own, so that nobody writes behind a torn end. The file's number stands in the upper half of the numbers
//! of its writes, so that a number is never used twice, also where the end of an earlier file was lost.

use std::{
    fs::File,
    io::{self, Read as _},
    ops::Range,
    path::{Path, PathBuf},
};

use firedrill_wire::writes::Author;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, LENGTH};

/// The first bytes of each file: the format and its version.
const MAGIC: &[u8; 8] = b"FDWRITE1";

/// Maximum length of a name that is part of a file's name, in bytes.
const NAME_MOST: usize = 200;

/// Maximum length of a header's text in bytes.
const HEADER_MOST: u32 = 4096;

/// Maximum length of a file in bytes, which is enough for 800,000 writes. Reading a record back takes some four times as much memory, and an
/// agent has a limit of 1 GiB.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// The number of lower bits of a write's number, which count within its file.
const WITHIN: u32 = 32;

/// The beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The run, and the vantage that writes.
    pub author: Author,
    /// The probe's name.
    pub probe: String,
    /// The beginning of all keys.
    pub prefix: String,
    /// The boot that the times belong to.
    pub boot_id: String,
    /// The number of the file, counted from 1.
    pub number: u32,
}

impl Header {
    /// Returns the number of the first write of the file.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        u64::from(self.number) << WITHIN
    }

    /// Returns the numbers of all writes that the file may have.
    #[must_use]
    pub fn seqs(&self) -> Range<u64> {
        self.first_seq()..u64::from(self.number).saturating_add(1) << WITHIN
    }

    /// Returns its bytes: magic, length, text, sum.
    ///
    /// # Errors
    /// The header is longer than one that is read.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        let length = u32::try_from(text.len()).ok().filter(|length| *length <= HEADER_MOST);
        let length = length.ok_or_else(|| io::Error::other("its names are too long"))?;
        let sum = crc32fast::hash(&text);
        Ok([MAGIC.as_slice(), &length.to_le_bytes(), &text, &sum.to_le_bytes()].concat())
    }
}

/// Returns the beginning of all keys of a probe at a vantage: `RUN:PROBE:VANTAGE:`.
#[must_use]
pub fn prefix(author: &Author, probe: &str) -> String {
    format!("{}:{probe}:{}:", author.run, author.vantage)
}

/// Returns the path of a file. Names in it have been checked by [`fits`].
pub(super) fn path(folder: &Path, author: &Author, probe: &str, number: u32) -> PathBuf {
    folder.join(format!("{}-{probe}.{number}", author.run))
}

/// Whether a name can be a part of a file's name and of a key.
#[must_use]
pub fn fits(name: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=NAME_MOST).contains(&name.len()) && name.bytes().all(sign) && !name.starts_with('.')
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The beginning of the file.
    pub header: Header,
    /// The entries up to the first one that is not whole.
    pub entries: Vec<Entry>,
    /// Whether more than one torn entry follows. Then it is not known which writes are missing.
    pub damaged: bool,
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, or has no sound header.
pub fn read(path: &Path) -> io::Result<Contents> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    of_bytes(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not a write record"))
}

/// Reads the bytes of a file; `None` if they have no sound header.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> Option<Contents> {
    let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length);
    let (text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == crc32fast::hash(text)).then_some(())?;
    let header = serde_json::from_slice(text).ok()?;
    let (whole, torn) = rest.as_chunks::<LENGTH>();
    let entries: Vec<Entry> = whole.iter().map_while(Entry::read).collect();
    let left = (whole.len() - entries.len()) * LENGTH + torn.len();
    Some(Contents { header, entries, damaged: left > LENGTH })
}

/// Reads all files of a probe of a run, in their order.
///
/// # Errors
/// A file cannot be read, has no sound header, or is missing between others.
pub fn read_all(folder: &Path, author: &Author, probe: &str) -> io::Result<Vec<Contents>> {
    let mut all = Vec::new();
    for number in 1..=newest(folder, author, probe)? {
        let path = path(folder, author, probe, number);
        let contents =
            read(&path).map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display())))?;
        // The names of another run and its probe can lead to the same name of a file.
        if contents.header.author == *author && contents.header.probe == probe {
            all.push(contents);
        }
    }
    Ok(all)
}

/// Returns the number of the newest file of a probe of a run; 0 without one.
pub(super) fn newest(folder: &Path, author: &Author, probe: &str) -> io::Result<u32> {
    let begins = format!("{}-{probe}.", author.run);
    let mut newest = 0;
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&begins)?.parse::<u32>().ok());
        newest = newest.max(number.unwrap_or(0));
    }
    Ok(newest)
}
