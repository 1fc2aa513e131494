//! Answers that repeat what was sent.

use super::*;
use crate::reads::Anything;

fn request(token: &str) -> (tempfile::TempDir, HttpProbe) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("token");
    std::fs::write(&path, format!("{token}\n")).expect("a file");
    let text = format!(
        r#"{{"url":"http://bob:hunter22@h/","bearer":{{"secret_file":"{0}"}},"secrets":{{"k":{{"secret_file":"{0}"}}}},"headers":{{"X-Api-Key":"0123456789abcdef"}}}}"#,
        path.display()
    );
    (dir, serde_json::from_str(&text).expect("a request"))
}

#[test]
fn a_secret_is_hidden_in_every_form() {
    let token = "s3/cr&t <tok\"en>";
    let (_dir, request) = request(token);
    let echoes = Echoes::of(&request, &Anything);
    let base64 = |text: String| base64::prelude::BASE64_STANDARD.encode(text);
    for echoed in [
        token.to_owned(),
        filled::encoded(token),
        filled::encoded(token).to_ascii_lowercase(),
        serde_json::to_string(token).expect("JSON"),
        r#"s3/cr\u0026t \u003ctok\"en\u003e"#.to_owned(),
        r#"s3\/cr\u0026t\u0020\u003Ctok\u0022en\u003E"#.to_owned(),
        "s3/cr&#38;t&#x20;&lt;tok&#X22;en&gt;".to_owned(),
        "s3%2fcr&t+%3Ctok\\\"en>".to_owned(),
        "s3/cr&amp;t &lt;tok&quot;en&gt;".to_owned(),
        base64(token.to_owned()),
        "0123456789abcdef".to_owned(),
        "hunter22".to_owned(),
    ] {
        let shown = String::from_utf8(echoes.hide(format!("no: {echoed}!").as_bytes())).expect("text");
        assert!(shown.starts_with("no: ") && shown.contains("***"), "{echoed}: {shown}");
        assert!(!shown.contains("s3") && !shown.contains("tok") && !shown.contains(&echoed), "{shown}");
    }
    for login in ["a", "ab", "abc", "abcd"] {
        let shown =
            String::from_utf8(echoes.hide(base64(format!("{login}:{token}")).as_bytes())).expect("text");
        assert!(shown.contains("***") && shown.len() < 16, "{shown}");
    }
    assert_eq!(echoes.hide(b"status 401"), b"status 401");
    assert_eq!(format!("{echoes:?}"), "Echoes");
}

#[test]
fn a_login_in_base64_is_hidden_as_a_text_too() {
    let (_dir, request) = request("Ym9iOmNvcnJlY3QgaG9yc2U=");
    let echoes = Echoes::of(&request, &Anything);
    assert_eq!(echoes.hide(b"bob has no password 'correct horse'"), b"bob has no password '***'");
}

#[test]
fn what_stands_in_clear_is_hidden_as_it_is_and_decoded() {
    let of = |text: &str| Echoes::of(&serde_json::from_str(text).expect("a request"), &Anything);
    let shown = |echoes: &Echoes, text: &str| String::from_utf8(echoes.hide(text.as_bytes())).expect("text");
    let form =
        of(r#"{"url":"http://h/","method":"POST","body":"password=hunter%2B22%20x&q=sum(up)&from=10"}"#);
    for echoed in ["hunter%2B22%20x", "hunter+22 x", r"hunter\u002b22 x", r"hunter\u002B22 x"] {
        assert_eq!(
            shown(&form, &format!("bad login {echoed} in sum(up) from 10")),
            "bad login *** in sum(up) from 10"
        );
    }
    let json = of(
        r#"{"url":"http://h/","method":"POST","body":"{\"query\":\"sum(up)\",\"login\":{\"password\":\"hun\\\"ter22\",\"apiKey\":4711}}"}"#,
    );
    assert_eq!(shown(&json, r#"no: "hun\"ter22", 4711, sum(up)"#), r#"no: "***", ***, sum(up)"#);
    assert_eq!(shown(&of(r#"{"url":"http://h/","body":"hunter22\n"}"#), "what is hunter22?"), "what is ***?");
    let url = of(r#"{"url":"http://bob:hunter%2322@h/?token=a%2Bb%3Dc+d&x={k}"}"#);
    for echoed in ["hunter%2322", "hunter#22", "a%2Bb%3Dc+d", "a+b=c d", r"a\u002Bb\u003dc d"] {
        assert_eq!(shown(&url, &format!("no {echoed}!")), "no ***!");
    }
}

#[test]
fn each_part_that_a_plan_hides_is_hidden_in_an_answer() {
    let text = r#"{"url":"http://h/hooks/T0aB1cD2eF3gH4iJ5kL6/x?from=10","headers":{"Referer":"http://al:pw4711@r/?token=t0k%2Ben"}}"#;
    let echoes = Echoes::of(&serde_json::from_str(text).expect("a request"), &Anything);
    for echoed in ["T0aB1cD2eF3gH4iJ5kL6", "pw4711", "t0k%2Ben", "t0k+en"] {
        let shown = String::from_utf8(echoes.hide(format!("no {echoed}!").as_bytes())).expect("text");
        assert_eq!(shown, "no ***!", "{echoed}");
    }
}
