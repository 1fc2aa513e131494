//! The API is usable with curl and a client certificate.

use firedrill_wire::{api::AgentStatus, identity::Role};
use tokio::process::Command;

use super::house::{HOST, House};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_can_call_an_agent() {
    match Command::new("curl").arg("--version").output().await {
        Ok(version) if String::from_utf8_lossy(&version.stdout).contains("HTTP2") => {}
        Ok(_) => return eprintln!("skipped: the installed curl does not speak HTTP/2"),
        Err(error) => return eprintln!("skipped: curl is not installed ({error})"),
    }
    let house = House::new();
    let served = house.serve().await;
    house.person("olga", Role::Viewer);
    let people = house.dir.path().join("people");
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--http2"]);
        command.arg("--resolve").arg(format!("{HOST}:{}:127.0.0.1", served.at.port()));
        command.arg("--cacert").arg(house.ca());
        command.arg("--cert").arg(people.join("olga.pem")).arg("--key").arg(people.join("olga.key"));
        command.args(arguments);
        command
    };
    let url = |path: &str| format!("https://{HOST}:{}{path}", served.at.port());

    let answer = curl(&[&url("/v1/status")]).output().await.unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let status: AgentStatus = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(status.host, HOST);

    // People call it like this, without the content type of JSON.
    let answer = curl(&["--data", "{\"scope\":\"all\"}", &url("/v1/undo")]).output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout), "{\"injections\":[],\"stuck\":[]}");

    served.control.events.send_replace(2);
    let answer =
        curl(&["--max-time", "2", "--no-buffer", &url("/v1/events?after=1")]).output().await.unwrap();
    let text = String::from_utf8_lossy(&answer.stdout);
    assert!(text.contains("id: 2\n") && !text.contains("id: 1\n"), "{text}");
}
