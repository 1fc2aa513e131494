//! Lists and details from a control room are those that the same command prints on its machine.

use super::*;
use crate::{output::said, violated};

/// Runs a command with a token for a control room, in an empty folder: it stands for a machine that has no runs and no
/// game days.
fn there(room: &Room, token: &str, words: &[&str]) -> Output {
    let nothing = tempfile::tempdir().unwrap();
    let server = format!("http://{}", room.address);
    let output = Command::new(FIREDRILL)
        .args(words)
        .args(["--server", &server])
        .env("FIREDRILL_TOKEN", token)
        .current_dir(nothing.path())
        .output()
        .unwrap();
    assert!(fs::read_dir(nothing.path()).unwrap().next().is_none(), "nothing is made there");
    output
}

/// Checks that a command prints the same here and there, and ends with the same exit code. `words_there` is the command
/// there: it gives a game day by its name, where `words` has a file.
fn same(folder: &Path, room: &Room, token: &str, words: &[&str], words_there: &[&str]) -> String {
    let own = firedrill(folder, words);
    let other = there(room, token, words_there);
    assert_eq!(own.status.code(), other.status.code(), "{words:?}: {}{}", said(&own), said(&other));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(&own.stdout), text(&other.stdout), "{words:?}");
    assert_eq!(text(&own.stderr), text(&other.stderr), "{words:?}");
    text(&own.stdout)
}

#[test]
fn runs_are_listed_as_on_the_machine_of_the_control_room() {
    let (folder, room) = start();
    let home = folder.path();
    let later = violated(home);
    // A folder without a log is listed as a damaged run.
    fs::create_dir(home.join("reports/none")).unwrap();
    let token = token(home, "look", &["--role", "viewer"]);
    let all = same(home, &room, &token, &["history"], &["history"]);
    assert!(all.contains(RUN) && all.contains(later), "{all}");
    for words in [
        "history --json",
        "history --limit 1",
        "history --limit 0 --json",
        "history --verdict violated --json",
        "history --verdict damaged",
        "history --since 2026-11-27 --json",
        "history --flaky",
        "history --flaky --json",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        same(home, &room, &token, &words, &words);
    }
    let list = same(
        home,
        &room,
        &token,
        &["history", "--verdict", "violated"],
        &["history", "--verdict", "violated"],
    );
    assert!(list.contains(later) && !list.contains(RUN), "{list}");
    let none = there(&room, &token, &["history", "--scenario", "nothing"]);
    assert!(said(&none).contains("none of the 3 runs in the control room matches"), "{}", said(&none));
    for (token, words, told) in [
        (&token[..], &["history", "--reports", "elsewhere"][..], "--reports does not go with --server"),
        ("fdr_x", &["history", "--json"][..], "This is no whole token"),
    ] {
        let refused = there(&room, token, words);
        assert!(refused.status.code() == Some(2) && said(&refused).contains(told), "{}", said(&refused));
    }
}

#[test]
fn game_days_are_listed_and_shown_as_on_the_machine_of_the_control_room() {
    let folder = new_folder();
    let home = folder.path();
    let fridays = r#"schedule = { cron = "0 14 * * FRI", zone = "Europe/Berlin" }
not_on = ["2030-01-11"]"#;
    gameday(home, "friday", fridays);
    gameday(home, "once", &once("2030-01-04T13:30"));
    has_record(home, "friday", "2026-11-27T14:00", "\"event\":\"missed\",\"why\":\"nobody started it\"");
    let room = Room::start(FIREDRILL, home, &[]);
    let token = token(home, "look", &["--role", "viewer"]);
    for more in ["", " --next 2", " --json"] {
        let words = format!("gameday list --from 2030-01-01{more}");
        let words: Vec<&str> = words.split(' ').collect();
        let listed = same(home, &room, &token, &words, &words);
        // A slot on a day off is listed, too.
        assert!(listed.contains("2030-01-04T13:30") && listed.contains("2030-01-11T14:00"), "{listed}");
    }
    // In Berlin this moment is 14:00, the slot of that Friday. Only slots after the moment are listed.
    let words = ["gameday", "list", "--from", "2030-01-04T13:00:00Z", "--next", "1"];
    assert!(same(home, &room, &token, &words, &words).contains("2030-01-11"), "the next Friday is listed");
    let show = |named: &'static str| ["gameday", "show", named, "--from", "2030-01-01"];
    let shown = same(home, &room, &token, &show("gamedays/friday.toml"), &show("friday"));
    assert!(shown.contains("last start, 2026-11-27T14:00") && shown.contains("missed"), "{shown}");
    // A file with errors: the others are listed all the same.
    fs::write(home.join("gamedays/wrong.toml"), "schema = 1\nname = \"wrong\"\n").unwrap();
    for more in ["", " --json"] {
        let words = format!("gameday list --from 2030-01-01{more}");
        let words: Vec<&str> = words.split(' ').collect();
        assert!(same(home, &room, &token, &words, &words).contains("2030-01-04T13:30"));
    }
    for (words, told) in [
        (&["gameday", "show", "wrong"][..], "no game day of that name is without errors"),
        (&["gameday", "show", "none"][..], "no game day of that name is without errors"),
        (&["gameday", "list", "gamedays/friday.toml"][..], "files do not go with --server"),
        (&["gameday", "list", "--next", "101"][..], "`next` is 101"),
    ] {
        let refused = there(&room, &token, words);
        assert!(refused.status.code() == Some(2) && said(&refused).contains(told), "{}", said(&refused));
    }
}

/// `gameday halt` and `gameday note` take the name of a game day, and find its running run, here and there.
#[test]
fn the_run_of_a_game_day_that_goes_on_is_found_by_its_name() {
    let (folder, room) = start();
    let home = folder.path();
    let (looks, acts) =
        (token(home, "look", &["--role", "viewer"]), token(home, "act", &["--role", "operator"]));
    let outcome = |output: &Output| (output.status.code(), said(output));
    for words in [&["gameday", "halt", "friday"][..], &["gameday", "note", "friday", "hello"]] {
        for (code, told) in [outcome(&firedrill(home, words)), outcome(&there(&room, &acts, words))] {
            assert!(
                code == Some(2) && told.contains("no start of the game day friday goes on"),
                "{code:?} {told}"
            );
        }
    }
    let begun = "\"event\":\"begun\",\"by\":\"alice\",\"file\":\"gamedays/friday.toml\",\"agreed\":[]";
    let record = has_record(home, "friday", "2026-11-20T14:00", begun);
    let run = format!(
        "{{\"v\":1,\"at\":\"2026-11-27T14:00:01.000Z\",\"event\":\"run-begun\",\"scenario\":1,\"name\":\"demo\",\"run\":\"{RUN}\"}}\n"
    );
    let text = fs::read_to_string(&record).unwrap() + &run;
    fs::write(&record, text).unwrap();
    // The lock says that a program holds this game day now.
    let held = fs::File::open(&record).unwrap();
    held.lock().unwrap();
    for (output, author) in [
        (firedrill(home, &["gameday", "note", "friday", "here", "--by", "bob"]), "\"bob\""),
        (there(&room, &acts, &["gameday", "note", "friday", "there"]), "token act of"),
    ] {
        let (code, told) = outcome(&output);
        assert_eq!(code, Some(0), "{told}");
        let notes = fs::read_to_string(home.join("reports").join(RUN).join("notes.jsonl")).unwrap();
        assert!(notes.contains(author), "{author}: {notes}");
    }
    let (code, told) = outcome(&there(&room, &looks, &["gameday", "note", "friday", "no"]));
    assert!(code == Some(2) && told.contains("takes the role operator"), "{told}");
    // The run has no coordinator, so nobody can say that everything was put back.
    for output in
        [firedrill(home, &["gameday", "halt", "friday"]), there(&room, &acts, &["gameday", "halt", "friday"])]
    {
        let (code, told) = outcome(&output);
        assert!(
            code == Some(6) && told.to_lowercase().contains("no program on this machine"),
            "{code:?} {told}"
        );
    }
}
