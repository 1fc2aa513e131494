//! The things that a probe may read and run where it is: secrets, authorities, programs. The process that runs the probe supplies the reader, which may refuse.

use std::{
    collections::BTreeMap,
    env::VarError,
    fs::File,
    io::Read as _,
    sync::{Mutex, PoisonError},
};

use crate::writes::Place;

/// Maximum size of a secret's file in bytes: it becomes one header.
pub(crate) const SECRET_MOST: u64 = 16 * 1024;
/// Maximum size of a file of authorities in bytes. A system's whole list has a quarter of a megabyte.
pub(crate) const AUTHORITIES_MOST: u64 = 4 * 1024 * 1024;

/// The purpose of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It holds a secret, which is sent.
    Secret,
    /// It holds certificates of authorities, which are trusted and not sent.
    Authorities,
}

impl Use {
    /// Returns the maximum size of a file, in bytes. A larger file is refused.
    #[must_use]
    pub const fn most(self) -> u64 {
        match self {
            Self::Secret => SECRET_MOST,
            Self::Authorities => AUTHORITIES_MOST,
        }
    }
}

/// A user of this machine, as whom a program runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user's name.
    pub name: String,
    /// The user's home.
    pub home: String,
    /// The user's number.
    pub user: u32,
    /// The number of the user's first group.
    pub group: u32,
    /// The numbers of all groups.
    pub groups: Vec<u32>,
}

/// Reads for probes, and allows programs. Errors are clauses for people, and hold nothing of what was read.
pub trait Reads: Sync {
    /// Reads a whole file, of at most [`Use::most`] bytes.
    ///
    /// # Errors
    /// The file may not be read, cannot be read, or is larger.
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String>;

    /// Reads an environment variable.
    ///
    /// # Errors
    /// The variable may not be read, is not set, or is not Unicode.
    fn variable(&self, name: &str) -> Result<String, String>;

    /// Returns the user as whom a program runs; `None` for the user of this process. `command` is the program's argument vector.
    ///
    /// # Errors
    /// The program may not be run, or its user cannot be had.
    fn program(&self, _command: &[String]) -> Result<Option<Account>, String> {
        Err("no program is run here".to_owned())
    }

    /// Returns the place of write records.
    ///
    /// # Errors
    /// This process keeps no write records.
    fn records(&self) -> Result<Place, String> {
        Err("this process keeps no write records".to_owned())
    }
}

/// Reads whatever the process may read, and keeps write records at a place.
#[derive(Clone, Debug)]
pub struct Keeping(pub Place);

impl Reads for Keeping {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        Anything.file(path, what_for)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        Anything.variable(name)
    }

    fn program(&self, command: &[String]) -> Result<Option<Account>, String> {
        Anything.program(command)
    }

    fn records(&self) -> Result<Place, String> {
        Ok(self.0.clone())
    }
}

/// Reads whatever the process may read, and runs whatever it may run. For probes that belong to the user who runs the process.
#[derive(Clone, Copy, Debug)]
pub struct Anything;

impl Reads for Anything {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        read_whole(&mut File::open(path).map_err(|why| why.to_string())?, what_for)
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        std::env::var(name).map_err(|why| match why {
            VarError::NotPresent => "it is not set".to_owned(),
            // The error's own text would print the value.
            VarError::NotUnicode(_) => "it is not Unicode".to_owned(),
        })
    }

    fn program(&self, _command: &[String]) -> Result<Option<Account>, String> {
        Ok(None)
    }
}

/// Reads each file and each variable once, so that each read gives the same.
pub(crate) struct Once<'r> {
    reads: &'r dyn Reads,
    files: Mutex<BTreeMap<String, Result<Vec<u8>, String>>>,
    variables: Mutex<BTreeMap<String, Result<String, String>>>,
}

impl<'r> Once<'r> {
    pub(crate) const fn new(reads: &'r dyn Reads) -> Self {
        Self { reads, files: Mutex::new(BTreeMap::new()), variables: Mutex::new(BTreeMap::new()) }
    }
}

impl Reads for Once<'_> {
    fn file(&self, path: &str, what_for: Use) -> Result<Vec<u8>, String> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.entry(path.to_owned()).or_insert_with(|| self.reads.file(path, what_for)).clone()
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        let mut variables = self.variables.lock().unwrap_or_else(PoisonError::into_inner);
        variables.entry(name.to_owned()).or_insert_with(|| self.reads.variable(name)).clone()
    }

    fn program(&self, command: &[String]) -> Result<Option<Account>, String> {
        self.reads.program(command)
    }

    fn records(&self) -> Result<Place, String> {
        self.reads.records()
    }
}

/// Reads an open file to its end.
///
/// # Errors
/// It cannot be read, or has more than [`Use::most`] bytes.
pub fn read_whole(file: &mut File, what_for: Use) -> Result<Vec<u8>, String> {
    let most = what_for.most();
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|why| why.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(format!("it is larger than {most} bytes, the most that are read"));
    }
    Ok(bytes)
}
