//! Does the damage of a trial to files and mounts. Never hits a process.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use firedrill_agent::{config::Config, journal, testing::remove_live_dir};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{host::root, plan::Damage};

/// Does the damage. `rng` chooses where a journal is torn.
pub(crate) fn make(damage: Damage, rng: &mut fastrand::Rng) {
    let root = root();
    let (state, run, config) = (root.join("state"), root.join("run"), root.join("agent.toml"));
    let journal = state.join("journal");
    let none = None::<&str>;
    match damage {
        Damage::None => {}
        Damage::MachineId => fs::write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").unwrap(),
        Damage::UnknownKey => {
            let text = fs::read_to_string(&config).unwrap();
            fs::write(config, format!("nonsense = 1\n{text}")).unwrap();
        }
        Damage::NoConfiguration => fs::remove_file(config).unwrap(),
        Damage::EmptyConfiguration => fs::write(config, "").unwrap(),
        Damage::OtherPaths => {
            let text = fs::read_to_string(&config).unwrap();
            let text = text.replace("/state\"", "/new-state\"").replace("/run\"", "/new-run\"");
            fs::write(config, text).unwrap();
        }
        Damage::StateReadOnly => {
            mount(Some(&state), &state, none, MsFlags::MS_BIND, none).unwrap();
            let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(none, &state, none, flags, none).unwrap();
        }
        Damage::StateFull => {
            // The space that is reserved after the journal's end is given back.
            let text = fs::read(&journal).unwrap();
            let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
            File::options().write(true).open(&journal).unwrap().set_len(end.try_into().unwrap()).unwrap();
            let full = io::copy(&mut io::repeat(1), &mut File::create(state.join("ballast")).unwrap());
            assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        Damage::StateIsAFile => {
            umount2(&state, MntFlags::MNT_DETACH).unwrap();
            // A live agent may make the directory again meanwhile.
            while let Err(error) = File::create_new(&state) {
                assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
                remove_live_dir(&state).unwrap();
            }
        }
        Damage::StateRemoved => {
            umount2(&state, MntFlags::MNT_DETACH).unwrap();
            remove_live_dir(&state).unwrap();
        }
        Damage::JournalUnreadable => {
            fs::rename(&journal, state.join("journal.away")).unwrap();
            fs::create_dir(journal).unwrap();
        }
        Damage::JournalCut => cut(&journal, |text, after| {
            let lines: Vec<usize> = text[after..].match_indices('\n').map(|(at, _)| after + at + 1).collect();
            lines.get(rng.usize(..=lines.len())).copied().unwrap_or(text.len())
        }),
        Damage::JournalTorn => cut(&journal, |text, after| rng.usize(after..=text.len())),
        Damage::CopyRemoved => {
            let _ = fs::remove_file(run.join("open.json"));
        }
        Damage::CopyDamaged => fs::write(run.join("open.json"), "{").unwrap(),
    }
}

/// Whether the copy in `/run` has all open injections of the journal. Then one of the two files may be lost.
pub(crate) fn is_copied(config: &Config) -> bool {
    let Ok(replayed) = journal::read(&config.paths()) else { return false };
    let copy = fs::read_to_string(config.paths.run.join("open.json")).unwrap_or_default();
    replayed.open().all(|found| copy.contains(&format!("\"{}\"", found.intent.live.ask.id)))
}

/// Cuts a journal after its last intent. `place` chooses the offset from the text and the offset after that intent.
fn cut(journal: &Path, place: impl FnOnce(&str, usize) -> usize) {
    let text = fs::read_to_string(journal).unwrap();
    let text = text.trim_end_matches('\0');
    let intent = text.rfind("{\"intent\":").unwrap();
    let after = intent + text[intent..].find('\n').unwrap() + 1;
    let at = place(text, after);
    let file = File::options().write(true).open(journal).unwrap();
    file.set_len(at.try_into().unwrap()).unwrap();
}
