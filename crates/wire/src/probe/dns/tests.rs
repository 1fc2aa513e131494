use super::*;

fn probe(rest: &str) -> DnsProbe {
    serde_json::from_str(&format!(r#"{{"server":"ns1","name":"Shop.example."{rest}}}"#)).expect(rest)
}

#[test]
fn each_value_that_cannot_be_is_told_once() {
    let many = (0..65).map(|number| format!("\"10.0.0.{number}\"")).collect::<Vec<_>>().join(",");
    for (rest, why) in [
        (r#","expect":["x"]"#, "no A record is `x`"),
        (r#","type":"AAAA","expect":["192.0.2.1"]"#, "no AAAA record"),
        (r#","type":"CNAME","expect":["a b"]"#, "no CNAME record"),
        (r#","type":"NS","expect":[""]"#, "no NS record"),
        (r#","type":"MX","expect":["mail.example"]"#, "no MX record"),
        (r#","type":"MX","expect":["70000 mail.example"]"#, "no MX record"),
        (r#","type":"SRV","expect":["1 2 sip.example"]"#, "no SRV record"),
        (r#","rcode":"NXDOMAIN","expect":["192.0.2.1"]"#, "has no records"),
        (&format!(r#","expect":[{many}]"#), "at most 64"),
        (&format!(r#","type":"TXT","expect":["{}"]"#, "x".repeat(4097)), "at most 4096"),
    ] {
        let said: Vec<String> = probe(rest).invalid().iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains(why), "{why}: {said:?}");
    }
    for (server, name, why) in [
        ("ns1:0", "a.example", "no name server"),
        ("", "a.example", "no name server"),
        ("ns1", "", "no name that"),
        ("ns1", "a..b", "no name that"),
        ("ns1", "192.0.2.1", "is an address"),
        ("ns1", "fd00::1", "is an address"),
    ] {
        let probe = DnsProbe { server: server.to_owned(), name: name.to_owned(), ..probe("") };
        let said: Vec<String> = probe.invalid().iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains(why), "{why}: {said:?}");
    }
    assert!(serde_json::from_str::<DnsProbe>(r#"{"server":"a","name":"b","type":"ANY"}"#).is_err());
}

#[test]
fn records_are_compared_in_one_form() {
    for (record, text, same) in [
        (DnsRecord::Aaaa, "2001:DB8:0::7", "2001:db8::7"),
        (DnsRecord::Cname, "Edge.Example.", "edge.example"),
        (DnsRecord::Mx, "010  Mail.example.", "10 mail.example"),
        (DnsRecord::Srv, "0 5 5060 .", "0 5 5060 "),
        (DnsRecord::Txt, " V=1 ", " V=1 "),
    ] {
        assert_eq!(record.canonical(text), Ok(same.to_owned()));
    }
    for code in (0..16).filter_map(Rcode::of) {
        let name = serde_json::to_value(code).expect("prints");
        assert_eq!((name.as_str(), Rcode::of(code.number())), (Some(code.to_string().as_str()), Some(code)));
    }
}

#[test]
fn the_plan_says_what_is_asked_and_wanted() {
    let asks = |rest: &str| probe(rest).about().asks;
    assert_eq!(asks(""), "dns A Shop.example. at ns1");
    assert_eq!(
        asks(r#","type":"MX","transport":"tcp","expect":["1 a","2 b"],"match":"exact""#),
        "dns MX Shop.example. at ns1 by TCP, expects 1 a, 2 b only"
    );
    assert_eq!(asks(r#","rcode":"NXDOMAIN""#), "dns A Shop.example. at ns1, expects NXDOMAIN");
    assert_eq!(probe("").checked().expect("valid").name, "shop.example");
    assert_eq!((probe(r#","match":"any""#).vain().len(), probe("").vain().len()), (1, 0));
}
