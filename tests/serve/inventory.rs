//! Scenarios and fleets: files are checked and shown, plans are made, and hosts are asked. No drill is run.

use std::{net::TcpListener, os::unix::fs::symlink};

use firedrill::link::Identity;
use firedrill_wire::{
    api::{Finding, Grade},
    identity::Role,
};

use super::*;
use crate::house::{HOST, House, Recorder, Served};

/// Makes a folder with scenarios of one host and of two, a fleet, and a game day.
fn folder_with(fleet: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["reports", "gamedays", "scenarios"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("scenarios/fleet.toml"), format!("schema = 1\n{fleet}")).unwrap();
    fs::write(
        at("scenarios/stop.toml"),
        "schema = 1\nname = \"stop-one\"\nhypothesis = \"Nobody <b>notices</b>.\"\n\n[params]\n\
         hold = { type = \"duration\", default = \"20s\", about = \"how long\" }\n\
         api_token = { type = \"string\", default = \"D3F4ULT\", about = \"for the shop\" }\n\n\
         [probes.up]\nhttp = { url = \"http://10.9.0.9/\", headers = { X-Api-Key = \"S3CR3T-TOKEN\" } }\nrate = 10\ntimeout = \"500ms\"\nconnection = \"new\"\nfrom = [\"coordinator\"]\n\n\
         [objectives.open]\nprobe = \"up\"\ngood = \"95%\"\n\n\
         [[attack]]\nname = \"stop\"\non = \"app-1\"\nfault.service-stop = { service = \"shop\" }\nbaseline = \"5s\"\n\
         hold = { param = \"hold\" }\napprove = { people = 2 }\n\n\
         [[attack]]\nname = \"backup\"\ncheck = [\"curl\", \"-H\", \"Authorization: Bearer S3CR3T-STEP\", \"http://10.9.0.9/\"]\n\n\
         [[attack]]\nname = \"boot\"\non = \"app-2\"\nfault.host-reboot = { back_within = \"1m\" }\nbaseline = \"5s\"\n",
    )
    .unwrap();
    fs::write(
        at("gamedays/friday.toml"),
        "schema = 1\nname = \"friday\"\nscenarios = [{ file = \"scenarios/stop.toml\", params = { hold = \"40s\", api_token = \"S3CR3T-VALUE\" } }]\n\
         fleet = \"scenarios/fleet.toml\"\nschedule = { cron = \"0 14 * * *\", zone = \"UTC\" }\n",
    )
    .unwrap();
    folder
}

/// A fleet of two hosts.
const TWO: &str = "[[host]]\nname = \"app-1\"\nprovider = \"aws\"\nregion = \"us\"\naddress = \"10.9.0.1\"\nroles = [\"app\"]\n\n\
                   [[host]]\nname = \"app-2\"\nprovider = \"gce\"\nregion = \"eu\"\naddress = \"10.9.0.2\"\nroles = [\"app\"]\n";

/// Returns the address of the page that a list links with these words.
fn linked(list: &str, words: &str) -> String {
    let before =
        list.split_once(&format!(">{words}</a>")).unwrap_or_else(|| panic!("no {words} in {list}")).0;
    before.rsplit_once("href=\"").unwrap().1.split('"').next().unwrap().replace("&#x2f;", "/")
}

#[test]
fn a_scenario_is_shown_with_its_plan_and_no_host_is_asked() {
    let temp = folder_with(TWO);
    let folder = temp.path();
    let room = Room::start(FIREDRILL, folder, &[]);
    let admin = room.login(&room.link);
    let viewer = room.invite(&admin, "vera", "viewer");
    let list = room.get("/scenarios", &viewer).text();
    assert!(list.contains("1 is known") && list.contains("fine") && list.contains("friday"), "{list}");
    let address = linked(&list, "stop-one");
    let page = room.get(&address, &viewer).text();
    for part in [
        "Nobody &lt;b&gt;notices",
        "2 people must approve within 15m",
        "service-stop service=shop",
        "Touches 1 of 2 hosts: app-1",
        "put back by the host’s agent",
        ">CANNOT BE UNDONE</span>",
        "for 40s",
        "<span>20s</span>",
        "game day friday",
    ] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    assert!(
        !page.contains("S3CR3T") && !page.contains("D3F4ULT"),
        "a secret is in the text, in the plan or among the values of parameters: {page}"
    );
    for part in ["X-Api-Key", "api_token", "<span>***</span>", "curl"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    let token = crate::token(folder, "ci", &["--role", "viewer"]);
    let api = room
        .ask(&format!("GET /api/v1/gameday-files/friday HTTP/1.1\r\nAuthorization: Bearer {token}\r\n"), "");
    let api = api.text();
    assert!(api.contains("api_token=***, hold=40s") && !api.contains("S3CR3T"), "{api}");
    // The page has the words of the command `check`.
    let checked =
        firedrill(folder, &["check", "-v", "scenarios/stop.toml", "--fleet", "scenarios/fleet.toml"]);
    let plan = String::from_utf8(checked.stdout).unwrap();
    let line = plan.lines().find(|line| line.starts_with("stop-one: ")).unwrap();
    assert!(
        page.contains(&line.replace('<', "&lt;").replace('>', "&gt;").replace('/', "&#x2f;")),
        "{line}: {page}"
    );
    // A person can choose another plan: with the fleet alone, and without the game day.
    let option = page.split_once(">fleet scenarios").unwrap().0.rsplit_once("value=\"").unwrap().1;
    let option = option.split('"').next().unwrap();
    let other = room.get(&format!("{address}?with={option}"), &viewer).text();
    assert!(
        other.contains("for 20s") && !other.contains("for 40s"),
        "this plan has a parameter of the game day: {other}"
    );
    // The game day becomes a monkey, which draws one of the attacks for each slot.
    let drawn = fs::read_to_string(folder.join("gamedays/friday.toml")).unwrap();
    let drawn = drawn.lines().filter(|line| !line.starts_with("scenarios")).collect::<Vec<_>>().join("\n");
    let monkey = "\n[monkey]\nscenario = \"scenarios/stop.toml\"\nattacks = 1\n";
    fs::write(folder.join("gamedays/friday.toml"), format!("{drawn}{monkey}")).unwrap();
    let drawn = room.get(&address, &viewer).text();
    assert!(drawn.contains("Each slot draws 1 of these attacks"), "{drawn}");
    assert!(!page.contains("Each slot draws"), "{page}");
    for wrong in [format!("{address}?with=..%2Fnothing"), "/scenarios/..%2F..%2Fetc%2Fpasswd".to_owned()] {
        assert_eq!(room.get(&wrong, &viewer).status, 404, "{wrong}");
    }
}

#[test]
fn invalid_files_are_listed_and_links_to_other_files_are_not_followed() {
    let temp = folder_with(TWO);
    let folder = temp.path();
    fs::write(folder.join("scenarios/broken.toml"), "schema = 1\nname = \"broken\"\n[[attack]\n").unwrap();
    fs::write(folder.join("secret.toml"), "of = \"somebody-else\"\n").unwrap();
    symlink("../secret.toml", folder.join("scenarios/link.toml")).unwrap();
    let made = Command::new("mkfifo").arg(folder.join("scenarios/pipe.toml")).status().unwrap();
    assert!(made.success());
    let room = Room::start(FIREDRILL, folder, &[]);
    let cookie = room.login(&room.link);
    let list = room.get("/scenarios", &cookie).text();
    assert!(list.contains("2 are known") && list.contains("1 with errors"), "{list}");
    // The page shows the line with the error, and a caret below it.
    assert!(list.contains("[[attack]") && list.contains("^"), "{list}");
    assert!(list.contains("link.toml is not shown") && !list.contains("somebody-else"), "{list}");
    let broken = room.get(&linked(&list, "scenarios&#x2f;broken.toml"), &cookie);
    assert!(broken.status == 200 && broken.text().contains("[[attack]"), "{}", broken.text());
    // A corrected file and a newly invalid game day are shown as such at once.
    let right =
        fs::read_to_string(folder.join("scenarios/stop.toml")).unwrap().replace("stop-one", "put-right");
    fs::write(folder.join("scenarios/broken.toml"), right).unwrap();
    let list = room.get("/scenarios", &cookie).text();
    assert!(list.contains("put-right") && !list.contains("with errors"), "{list}");
    fs::write(folder.join("gamedays/friday.toml"), "schema = 1\n").unwrap();
    let fleets = room.get("/fleets", &cookie).text();
    assert!(
        fleets.contains("friday.toml has errors") && fleets.contains("no game day names one"),
        "{fleets}"
    );
}

#[test]
fn hosts_are_asked_on_request_and_one_without_an_answer_is_unknown() {
    let house = House::new();
    house.person("alice", Role::Operator);
    assert!(
        Identity::load_as(house.dir.path(), "alice").is_ok(),
        "the control room could not load it either"
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let recorder = Recorder::new();
    let finding = |what: &str, grade, detail: &str| Finding {
        what: what.to_owned(),
        grade,
        detail: detail.to_owned(),
        hint: String::new(),
    };
    *recorder.findings.lock().unwrap() = vec![
        finding("certificate", Grade::Note, "good until 2026-12-04 (in 6 days)"),
        finding("nftables", Grade::Bad, "tables of <b>somebody</b> else"),
        finding("kernel", Grade::Good, "good"),
    ];
    let served = runtime.block_on(Served::new(house.tls(None), recorder));
    // This server accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = |name: &str, at: std::net::SocketAddr| {
        format!("[[host]]\nname = \"{name}\"\nprovider = \"aws\"\naddress = \"10.9.0.1\"\nagent = \"{at}\"\n")
    };
    let fleet = format!("{}\n{}", host(HOST, served.at), host("app-2", silent.local_addr().unwrap()));
    // Two hosts must not have the same address.
    let temp = folder_with(&fleet.replacen("10.9.0.1", "10.9.0.7", 1));
    let folder = temp.path();
    let pki = house.dir.path().to_str().unwrap();
    let room = Room::start(FIREDRILL, folder, &["--pki", pki, "--as", "alice"]);
    let admin = room.login(&room.link);
    let viewer = room.invite(&admin, "vera", "viewer");
    let operator = room.invite(&admin, "olga", "operator");
    let list = room.get("/fleets", &viewer).text();
    let address = linked(&list, "scenarios&#x2f;fleet.toml");
    let before = room.get(&address, &viewer).text();
    assert!(before.contains("not asked") && !before.contains("Ask the hosts"), "{before}");
    assert_eq!(room.post(&format!("{address}/ask"), &viewer, "").status, 403);
    assert!(served.control.taken().is_empty(), "a host was asked although people only looked");
    let asked = room.post(&format!("{address}/ask"), &operator, "");
    assert_eq!(asked.status, 303, "{}", asked.text());
    let page = room.get(asked.header("location").unwrap(), &viewer).text();
    assert!(page.contains("1 of 2 answered") && page.contains("Unknown: app-2"), "{page}");
    let row_of = |name: &str| {
        let row = page.split_once(&format!("data-label=\"host\"><span>{name}")).unwrap().1;
        row.split_once("</tr>").unwrap().0.to_owned()
    };
    let (answered, unknown) = (row_of(HOST), row_of("app-2"));
    for part in
        ["nothing in force", "ends soon", "in 6 days", "tables of &lt;b&gt;somebody", "1 fine", "just now"]
    {
        assert!(answered.contains(part), "no `{part}` in {answered}");
    }
    for part in [">unknown<", "app-2", "never"] {
        assert!(unknown.contains(part), "no `{part}` in {unknown}");
    }
    assert!(!unknown.contains("nothing in force") && !unknown.contains("fine"), "{unknown}");
    let calls = served.control.taken();
    assert_eq!(calls, ["status", "doctor"], "the host was asked for something else");
    let list = room.get("/fleets", &viewer).text();
    assert!(
        list.contains("1 of 2 answered")
            && list.contains("1 unknown")
            && list.contains("something wrong on 1"),
        "{list}"
    );
    let audit = fs::read_to_string(folder.join("room/audit.jsonl")).unwrap();
    assert!(audit.contains("\"what\":\"ask\"") && audit.contains("1 of 2 hosts answered"), "{audit}");
}

#[test]
fn a_server_without_a_certificate_asks_nobody() {
    let folder = folder_with(TWO);
    let room = Room::start(FIREDRILL, folder.path(), &[]);
    let admin = room.login(&room.link);
    let address = linked(&room.get("/fleets", &admin).text(), "scenarios&#x2f;fleet.toml");
    let page = room.get(&address, &admin).text();
    assert!(page.contains("cannot ask the hosts: it was started without a certificate"), "{page}");
    let refused = room.post(&format!("{address}/ask"), &admin, "");
    assert!(refused.status == 409 && refused.text().contains("Nobody was asked"), "{}", refused.text());
}
