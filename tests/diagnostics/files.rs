//! The files that may be read, and encodings in messages.

use std::{fs, path::Path};

use firedrill::{fleet::FleetSource, plan::inspect};

use super::{PLAIN, WIDTH};

/// Returns the messages about a scenario.
fn rendered(file: &Path, fleet: Option<&FleetSource>) -> String {
    inspect(file, fleet, &[], Some(1)).report.render(PLAIN, WIDTH)
}

/// The required keys of a scenario.
const REST: &str = "schema = 1\nname = \"any\"\nhypothesis = \"Files are read with care.\"\n";

#[test]
fn only_files_below_the_scenario_are_included() {
    let folder = tempfile::tempdir().expect("a folder");
    let (inside, outside) = (folder.path().join("scenarios"), folder.path().join("secret.toml"));
    fs::create_dir(&inside).expect("made");
    fs::write(&outside, "root:$6$hash:19000:0:99999:7:::\n").expect("written");
    std::os::unix::fs::symlink(&outside, inside.join("link.toml")).expect("linked");
    fs::write(inside.join("near.toml"), "schema = 1\n").expect("written");
    let file = inside.join("any.toml");
    for include in ["../secret.toml", "link.toml", outside.to_str().expect("text"), "/dev/zero"] {
        fs::write(&file, format!("{REST}include = [\"near.toml\", \"{include}\"]\n")).expect("written");
        let text = rendered(&file, None);
        assert!(text.contains("is outside of the scenario's folder and was not read"), "{text}");
        assert!(text.contains("any.toml:4:25") && !text.contains("hash"), "{text}");
    }
}

#[test]
fn pipes_and_folders_are_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    nix::unistd::mkfifo(&folder.path().join("pipe.toml"), nix::sys::stat::Mode::S_IRUSR).expect("made");
    let file = folder.path().join("any.toml");
    for (include, why) in [("pipe.toml", "it is a device, a pipe"), (".", "it is a directory")] {
        fs::write(&file, format!("{REST}include = \"{include}\"\n")).expect("written");
        let text = rendered(&file, None);
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn encodings_of_files_and_of_output_of_commands_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("any.toml");
    let wide: Vec<u8> = format!("\u{feff}{REST}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&file, wide).expect("written");
    assert!(rendered(&file, None).contains("it is UTF-16; save it as UTF-8"));
    fs::write(&file, format!("\u{feff}{REST}")).expect("written");
    let text = rendered(&file, None);
    assert!(
        text.contains("a byte-order mark (U+FEFF) stands before the text") && !text.contains("not TOML"),
        "{text}"
    );
    let printed = folder.path().join("fleet.json");
    let fleet = r#"{"schema": 1, "host": [{"name": "app1", "address": "10.0.0.1"}]}"#;
    let command = FleetSource::Command(vec!["cat".to_owned(), printed.display().to_string()]);
    fs::write(&printed, format!("\u{feff}{fleet}")).expect("written");
    let text = rendered(&file, Some(&command));
    assert!(text.contains("the fleet: a byte-order mark") && !text.contains("not a fleet"), "{text}");
    fs::write(&printed, fleet.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>())
        .expect("written");
    assert!(rendered(&file, Some(&command)).contains("printed cannot be read: it is UTF-16"));
}
