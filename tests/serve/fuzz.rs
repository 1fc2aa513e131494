//! Tests the API against its OpenAPI document, by schemathesis, with valid and almost valid requests. No request may make the server fail. No
//! request that the document forbids may be accepted. All answers must be as the document allows.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{RUN, gamedays::has_record, output::said, room::Room, start, token};

/// The address of the document.
const DOCUMENT: &str = "/api/v1/openapi.json";
/// Number of requests for each address and phase.
const EXAMPLES: &str = "10";
/// A fixed seed, so that the requests are the same each time.
const SEED: &str = "20261128";

/// Returns the path of the program. Prints a message and returns `None` if it is not installed.
fn schemathesis() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/venv/bin/schemathesis");
    if program.exists() {
        return Some(program);
    }
    assert!(std::env::var_os("CI").is_none(), "schemathesis is not installed (tests/packages.sh fuzz)");
    eprintln!("skipped: schemathesis is not installed (tests/packages.sh fuzz)");
    None
}

/// Sends the requests of some phases of schemathesis, with further options for it. Panics with its findings.
fn fuzz(program: &Path, folder: &Path, room: &Room, token: &str, (phases, options): (&str, &[&str])) {
    let output = Command::new(program)
        .arg("--no-color")
        .args(options)
        .arg("run")
        .arg(format!("http://{}{DOCUMENT}", room.address))
        .args(["--header", &format!("Authorization: Bearer {token}"), "--workers", "2", "--warnings", "off"])
        // The server limits the tries with wrong tokens, so their answer is not always 401.
        .args(["--exclude-checks", "ignored_auth"])
        .args(["--phases", phases, "--max-examples", EXAMPLES, "--seed", SEED])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // All addresses were tested, except that of the document.
    let document: serde_json::Value = serde_json::from_slice(&room.get(DOCUMENT, "").body).unwrap();
    let paths = document["paths"].as_object().unwrap().iter().filter(|(path, _)| *path != DOCUMENT);
    let count: usize = paths.map(|(_, methods)| methods.as_object().unwrap().len()).sum();
    assert!(said(&output).contains(&format!("Tested: {count}\n")), "{count}: {}", said(&output));
}

#[test]
fn no_request_makes_the_api_contradict_its_document() {
    let Some(program) = schemathesis() else { return };
    let (folder, room) = start();
    let home = folder.path();
    has_record(home, "friday", "2026-11-27T14:00", "\"event\":\"missed\",\"why\":\"nobody started it\"");
    let token = token(home, "fuzz", &["--role", "operator", "--start", "friday"]);
    fuzz(&program, home, &room, &token, ("coverage,fuzzing", &[]));
    // Once more with names that exist.
    let known = format!(
        "[parameters]\n\"path.id\" = \"{RUN}\"\n\"path.gameday\" = \"friday\"\n\"path.slot\" = \"2026-11-27T14:00\"\n"
    );
    std::fs::write(home.join("known.toml"), known).unwrap();
    fuzz(&program, home, &room, &token, ("fuzzing", &["--config-file", "known.toml"]));
}
