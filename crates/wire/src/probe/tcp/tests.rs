use super::*;

fn said(rest: &str) -> Vec<String> {
    let json = format!(r#"{{"address":"db1:6379"{rest}}}"#);
    let probe: TcpProbe = serde_json::from_str(&json).expect(rest);
    probe.invalid().iter().map(ToString::to_string).collect()
}

#[test]
fn each_value_that_cannot_be_is_told_once() {
    let long = "x".repeat(TcpProbe::ANSWER_MOST + 1);
    for (rest, why) in [
        (r#","send":"PING""#, "nothing says which answer"),
        (r#","send_hex":"00""#, "nothing says which answer"),
        (r#","send":"","expect":"x""#, "`send` is empty"),
        (r#","send_hex":"","expect":"x""#, "`send_hex` is empty"),
        (r#","send_hex":"0","expect":"x""#, "pairs of hexadecimal"),
        (r#","send_hex":"0g","expect":"x""#, "pairs of hexadecimal"),
        (r#","send_hex":"+1","expect":"x""#, "pairs of hexadecimal"),
        (r#","send":"a","send_hex":"00","expect":"x""#, "both `send`"),
        (r#","expect":"""#, "in every answer"),
        (r#","expect":"a","matches":"b""#, "both `expect`"),
        (r#","matches":"(""#, "no regular expression"),
        (r#","matches":"a*""#, "every answer is good"),
        (r#","tls":true,"ca_file":"""#, "no file"),
        (r#","tls":true,"server_name":"a b""#, "no certificate"),
        (&format!(r#","expect":"{long}""#), "is not found in"),
        (&format!(r#","send":"{long}","expect":"x""#), "at most 16384"),
    ] {
        let said = said(rest);
        assert!(said.len() == 1 && said[0].contains(why), "{why}: {said:?}");
    }
    assert_eq!(said(""), [""; 0]);
    assert_eq!(said(r#","send_hex":"00fF","matches":"^[SN]","tls":true"#), [""; 0]);
}

#[test]
fn what_is_sent_is_shown_nowhere_and_the_rest_is_told() {
    let probe = TcpProbe {
        send: Some("AUTH hunter2\r\n".to_owned()),
        expect: Some("+OK".to_owned()),
        ..TcpProbe::opens("db1:6379")
    };
    let about = probe.about();
    assert_eq!(about.asks, "tcp db1:6379, sends a text, expects \"+OK\"");
    assert_eq!((about.shows, about.clear.len()), (Shows::Answers, 1));
    assert!(!format!("{probe:?} {}", about.asks).contains("hunter2"));
    let probe = TcpProbe { ca_file: Some("/ca".to_owned()), ..TcpProbe::opens("db1:1") };
    assert_eq!((probe.about().shows, probe.vain().len(), probe.about().reads.len()), (Shows::Opens, 1, 1));
}
