use super::*;
use proptest::prelude::*;

/// Returns an answer over UDP and IPv4 whose records point to the question's name.
fn answer(name: &[&str], records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = vec![7, 7, 0x85, 0x80, 0, 1, 0, u8::try_from(records.len()).expect("few"), 0, 0, 0, 0];
    for label in name {
        message.push(u8::try_from(label.len()).expect("short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    for (kind, data) in records {
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).expect("short")]);
        message.extend(*data);
    }
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend([0, 53, 0x90, 0, 0, 0, 0, 0]);
    with_message(&[&packet[..], &message].concat(), 20, 28, UDP, &message).expect("a packet")
}

fn zones(all: &[&str]) -> Zones {
    Zones::new(&all.iter().map(|zone| (*zone).to_owned()).collect::<Vec<_>>())
}

#[test]
fn names_are_in_zones_by_whole_labels() {
    let some = zones(&["Example.COM.", "b.test"]);
    assert!(some.contain("example.com") && some.contain("a.example.com") && some.contain("b.test"));
    assert!(!some.contain("anexample.com") && !some.contain("com") && !some.contain("test"));
    assert!(zones(&["."]).contain("anything.at.all"));
}

#[test]
fn only_answers_about_the_zones_are_meant() {
    let about = answer(&["Db", "example"], &[(A, &[10, 0, 0, 9])]);
    assert_eq!(inspect(&about, &zones(&["example"]), None), Some(Looked::Meant));
    assert_eq!(inspect(&about, &zones(&["other"]), None), Some(Looked::Other));
    let mut asked = about;
    asked[30] &= 0x7f;
    assert_eq!(inspect(&asked, &zones(&["example"]), None), None);
}

#[test]
fn an_error_has_no_records_and_the_lengths_are_right() {
    let about = answer(&["db", "example"], &[(A, &[10, 0, 0, 9]), (A, &[10, 0, 0, 8])]);
    let Some(Looked::Falsified(falsified)) = inspect(&about, &zones(&["example"]), Some(&Falsify::Code(3)))
    else {
        panic!("falsified");
    };
    // 20 + 8 + 12 + the question: 3 + 8 + 1 + 4.
    assert_eq!(falsified.len(), 56);
    assert_eq!(falsified[2..4], [0, 56]);
    assert_eq!(falsified[24..26], [0, 36]);
    assert_eq!(falsified[28..40], [7, 7, 0x85, 0x83, 0, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn only_addresses_are_replaced_and_only_by_their_own_family() {
    let v6: Vec<u8> = (0..16).collect();
    let about = answer(&["db", "example"], &[(5, b"\x01x\x00"), (A, &[10, 0, 0, 9]), (A, &[10, 0, 0, 8])]);
    let wrong = Falsify::Addresses(vec!["192.0.2.7".parse().expect("an address")]);
    let Some(Looked::Falsified(falsified)) = inspect(&about, &zones(&["example"]), Some(&wrong)) else {
        panic!("falsified");
    };
    assert_eq!(falsified.len(), about.len());
    let ttls = falsified.windows(6).filter(|six| six[2..] == [0, 0, 0, 1] && six[..2] == [0, 1]);
    assert_eq!(ttls.count(), 2, "believed for a second, both of them");
    assert!(
        falsified.windows(4).filter(|four| *four == [192, 0, 2, 7]).count() == 2
            && !falsified.ends_with(&[10, 0, 0, 8])
    );
    // Without a record the answer has no address to falsify.
    let none = answer(&["db", "example"], &[]);
    assert_eq!(inspect(&none, &zones(&["example"]), Some(&wrong)), Some(Looked::Other));
    // Without a false address of the other family, the answer has no record rather than the right one.
    let about = answer(&["db", "example"], &[(AAAA, &v6)]);
    let Some(Looked::Falsified(falsified)) = inspect(&about, &zones(&["example"]), Some(&wrong)) else {
        panic!("falsified");
    };
    assert_eq!((falsified.len(), falsified[31] & 0xf, falsified[35]), (56, 0, 0));
}

proptest! {
    #[test]
    fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), udp: bool, code: bool) {
        if bytes.len() > 40 {
            (bytes[0], bytes[9]) = (0x45, if udp { UDP } else { TCP });
            if udp { bytes[30] |= 0x80; (bytes[32], bytes[33]) = (0, 1); }
        }
        let wrong = if code { Falsify::Code(2) } else { Falsify::Addresses(vec!["2001:db8::1".parse().expect("an address")]) };
        if let Some(Looked::Falsified(falsified)) = inspect(&bytes, &zones(&["."]), Some(&wrong)) {
            prop_assert!(falsified.len() <= bytes.len());
        }
    }
}
