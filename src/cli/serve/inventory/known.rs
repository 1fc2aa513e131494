//! The files of scenarios and fleets that a control room shows: those that its game days name, and those in its folders of scenarios.
//! Requests name a file by its id, so that a path from a request is never opened.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use firedrill_files::text::hex;
use firedrill_gameday::{Gameday, is_gameday};
use firedrill_notify::is_channels;
use firedrill_room::is_chat;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};

use super::cached::{Cached, Made, WRONG};
use crate::{
    cli::{calendar, days},
    diagnostic::plural,
    fleet::is_fleet,
};

/// The folder of scenarios, unless another is named.
pub(in crate::cli) const FOLDER: &str = "scenarios";
/// Maximum number of files of a folder that are shown.
const FILES: usize = 1_000;
/// Maximum length of the readable part of an id, in characters.
const READABLE: usize = 40;
/// Number of hexadecimal digits of a path's digest in an id.
const DIGITS: usize = 10;

/// The folders, and what was read there last.
#[derive(Debug, Default)]
pub(super) struct Folders {
    gamedays: PathBuf,
    scenarios: Vec<PathBuf>,
    /// The game days that were read; `None` for a file with errors.
    read: Cached<PathBuf, Option<Arc<Gameday>>>,
    /// The kinds of the files in the folders of scenarios.
    kinds: Cached<PathBuf, Kind>,
}

/// The kind of a file in a folder of scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Scenario,
    Fleet,
    Other,
}

/// A scenario.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) id: String,
    pub(super) path: PathBuf,
    /// The game days that run it, each with the index among the game day's scenarios.
    pub(super) used: Vec<(Arc<Gameday>, usize)>,
}

/// A fleet.
#[derive(Debug)]
pub(super) struct FleetFile {
    pub(super) id: String,
    pub(super) path: PathBuf,
    /// The names of the game days that name it; empty for a fleet that is only found in a folder of scenarios.
    pub(super) gamedays: Vec<String>,
}

/// All files that are known.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) fleets: Vec<FleetFile>,
    /// The problems of files and folders, one line each.
    pub(super) problems: Vec<String>,
}

impl Folders {
    /// Names the folders. Reads nothing.
    pub(super) fn of(gamedays: &Path, scenarios: &[PathBuf]) -> Self {
        Self { gamedays: gamedays.to_owned(), scenarios: scenarios.to_vec(), ..Self::default() }
    }

    /// Lists the files in the folders, and those that game days name. Files that have not changed are not read again.
    pub(super) fn look(&self) -> Known {
        let mut found = Found::default();
        self.gamedays(&mut found);
        for folder in &self.scenarios {
            self.folder(folder, &mut found);
        }
        found.finish()
    }

    /// Adds the files that game days name.
    fn gamedays(&self, found: &mut Found) {
        if !self.gamedays.exists() {
            return;
        }
        let files = match calendar::found(std::slice::from_ref(&self.gamedays)) {
            Ok(files) => files,
            Err(failure) => return found.problems.push(failure.to_string()),
        };
        for file in files {
            match &*self.read.get(file.clone(), || read(&file)) {
                Some(gameday) => found.gameday(gameday),
                None => found
                    .problems
                    .push(format!("{} has errors, which the page Calendar shows", file.display())),
            }
        }
    }

    /// Adds the files of a folder of scenarios.
    fn folder(&self, folder: &Path, found: &mut Found) {
        let listed = fs::canonicalize(folder).and_then(|real| Ok((real, fs::read_dir(folder)?)));
        let (real, entries) = match listed {
            Ok(listed) => listed,
            // The default folder need not exist.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder == Path::new(FOLDER) => {
                return;
            }
            Err(error) => {
                let problem = format!("the folder {} cannot be read: {error}", folder.display());
                return found.problems.push(problem);
            }
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|end| end == "toml"))
            .collect();
        files.sort();
        if let Some(more @ 1..) = files.len().checked_sub(FILES) {
            files.truncate(FILES);
            let (folder, s) = (folder.display(), plural(more));
            found.problems.push(format!("{folder} has {more} more file{s}, which are not looked at"));
        }
        for path in files {
            // A link may lead to any file of the server's user, which pages must not show.
            if !fs::canonicalize(&path).is_ok_and(|own| own.starts_with(&real) && own.is_file()) {
                found.problems.push(format!("{} is not shown: it is no file of that folder", path.display()));
                continue;
            }
            match *self.kinds.get(path.clone(), || Made {
                value: kind(&path),
                files: vec![path.clone()],
                fresh: None,
            }) {
                Kind::Scenario => _ = found.scenario(&path),
                Kind::Fleet => _ = found.fleet(&path),
                Kind::Other => {}
            }
        }
    }
}

/// Reads a game day; `None` if it has errors.
fn read(file: &Path) -> Made<Option<Arc<Gameday>>> {
    let (gameday, report) = days::read(file, &firedrill_gameday::zones(), Timestamp::now());
    let value = gameday.filter(|_| !report.failed()).map(Arc::new);
    // The errors may be about other files that it names, whose changes the cache does not notice.
    let fresh = value.is_none().then_some(WRONG);
    Made { value, files: vec![file.to_owned()], fresh }
}

/// Returns the kind of a file, by its content.
fn kind(file: &Path) -> Kind {
    if is_fleet(file) {
        Kind::Fleet
    } else if is_gameday(file) || is_channels(file) || is_chat(file) {
        Kind::Other
    } else {
        Kind::Scenario
    }
}

/// Returns the id of a file: a readable part, and digits of its path's digest, which differ for each file.
pub(super) fn id(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let fits = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let readable: String = stem.chars().filter(fits).take(READABLE).collect();
    let digest = hex(digest(&SHA256, path.as_os_str().as_encoded_bytes()).as_ref());
    format!("{readable}-{}", &digest[..DIGITS])
}

/// The files while they are collected, by their real paths: a file that is named in two ways is one file.
#[derive(Default)]
struct Found {
    scenarios: BTreeMap<PathBuf, Scenario>,
    fleets: BTreeMap<PathBuf, FleetFile>,
    problems: Vec<String>,
}

/// Returns a path without links; the path itself if there is no such file.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

impl Found {
    /// Adds the scenarios and the fleet of a game day.
    fn gameday(&mut self, gameday: &Arc<Gameday>) {
        for (index, drill) in gameday.drills.iter().enumerate() {
            self.scenario(&drill.file).used.push((Arc::clone(gameday), index));
        }
        let fleet = self.fleet(&gameday.fleet);
        if !fleet.gamedays.contains(&gameday.name) {
            fleet.gamedays.push(gameday.name.clone());
        }
    }

    /// Returns the entry of a scenario; adds it if it is new.
    fn scenario(&mut self, path: &Path) -> &mut Scenario {
        let real = real(path);
        let id = id(&real);
        self.scenarios.entry(real).or_insert_with(|| Scenario { id, path: path.to_owned(), used: Vec::new() })
    }

    /// Returns the entry of a fleet; adds it if it is new.
    fn fleet(&mut self, path: &Path) -> &mut FleetFile {
        let real = real(path);
        let id = id(&real);
        self.fleets.entry(real).or_insert_with(|| FleetFile {
            id,
            path: path.to_owned(),
            gamedays: Vec::new(),
        })
    }

    /// Returns the files in the order of their paths.
    fn finish(self) -> Known {
        let mut scenarios: Vec<Scenario> = self.scenarios.into_values().collect();
        scenarios.sort_by(|one, other| one.path.cmp(&other.path));
        let mut fleets: Vec<FleetFile> = self.fleets.into_values().collect();
        fleets.sort_by(|one, other| one.path.cmp(&other.path));
        Known { scenarios, fleets, problems: self.problems }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_outside_of_the_folder_are_not_known_and_one_file_is_known_once() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for folder in ["scenarios/lib", "gamedays", "elsewhere"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("scenarios/one.toml"), "schema = 1\nname = \"one\"\n").unwrap();
        fs::write(at("scenarios/fleet.toml"), "schema = 1\n[[host]]\nname = \"a\"\n").unwrap();
        fs::write(at("scenarios/broken.toml"), "schema = \n").unwrap();
        fs::write(at("scenarios/lib/part.toml"), "schema = 1\n").unwrap();
        fs::write(at("elsewhere/secret.toml"), "schema = 1\n").unwrap();
        symlink("../elsewhere/secret.toml", at("scenarios/link.toml")).unwrap();
        symlink("nowhere.toml", at("scenarios/dangling.toml")).unwrap();
        fs::create_dir(at("scenarios/folder.toml")).unwrap();
        fs::write(
            at("gamedays/friday.toml"),
            "schema = 1\nname = \"friday\"\nscenarios = [\"scenarios/./one.toml\", \"scenarios/gone.toml\"]\n\
             fleet = \"scenarios/fleet.toml\"\nschedule = { cron = \"0 14 * * *\", zone = \"UTC\" }\n",
        )
        .unwrap();
        fs::write(at("gamedays/wrong.toml"), "schema = 1\nname = \"wrong\"\n").unwrap();
        let known = Folders::of(&at("gamedays"), &[at("scenarios"), at("nothing")]).look();
        let names: Vec<_> = known.scenarios.iter().filter_map(|one| one.path.file_name()?.to_str()).collect();
        assert_eq!(names, ["broken.toml", "gone.toml", "one.toml"]);
        let one = known.scenarios.iter().find(|one| one.path.ends_with("one.toml")).unwrap();
        assert_eq!(one.used.len(), 1, "{one:?}");
        let [fleet] = known.fleets.as_slice() else { panic!("{:?}", known.fleets) };
        assert_eq!(fleet.gamedays, ["friday"]);
        let problems = known.problems.join("\n");
        for part in [
            "link.toml is not shown",
            "dangling.toml is not shown",
            "folder.toml is not shown",
            "wrong.toml has errors",
            "nothing cannot be read",
        ] {
            assert!(problems.contains(part), "no `{part}` in {problems}");
        }
        assert_eq!(problems.lines().count(), 5, "{problems}");
    }

    #[test]
    fn an_id_is_safe_in_an_address_and_differs_for_each_path() {
        let (one, other) = (id(Path::new("/a/b c<>.toml")), id(Path::new("/b/b c<>.toml")));
        assert!(one.starts_with("bc-") && one != other, "{one} {other}");
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{one}");
    }
}
