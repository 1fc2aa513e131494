//! DNS answers that are chosen, falsified or left alone.

use super::*;
use proptest::prelude::*;

/// Returns an answer over UDP and IPv4 to a question about the name with these labels. It has these records, each with its type and its
/// data, whose names point to the question's name.
fn answer(labels: &[&str], records: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = vec![7, 7, 0x85, 0x80, 0, 1, 0, u8::try_from(records.len()).expect("few"), 0, 0, 0, 0];
    for label in labels {
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

fn zones(names: &[&str]) -> Zones {
    Zones::new(&names.iter().map(|zone| (*zone).to_owned()).collect::<Vec<_>>())
}

#[test]
fn names_are_in_zones_by_whole_labels() {
    let two = zones(&["Example.COM.", "b.test"]);
    assert!(two.contain("example.com") && two.contain("a.example.com") && two.contain("b.test"));
    assert!(!two.contain("anexample.com") && !two.contain("com") && !two.contain("test"));
    assert!(zones(&["."]).contain("anything.at.all"));
}

#[test]
fn only_answers_about_the_zones_are_chosen() {
    let about = answer(&["Db", "example"], &[(A, &[10, 0, 0, 9])]);
    assert_eq!(inspect(&about, &zones(&["example"]), None), Some(Looked::Meant));
    assert_eq!(inspect(&about, &zones(&["other"]), None), Some(Looked::Other));
    // Without the flag of answers, in byte 2 of the message, it is a question.
    let mut asked = about;
    asked[28 + 2] &= 0x7f;
    assert_eq!(inspect(&asked, &zones(&["example"]), None), None);
}

#[test]
fn an_error_has_no_records_and_the_lengths_are_right() {
    let about = answer(&["db", "example"], &[(A, &[10, 0, 0, 9]), (A, &[10, 0, 0, 8])]);
    let Some(Looked::Falsified(falsified)) = inspect(&about, &zones(&["example"]), Some(&Falsify::Code(3)))
    else {
        panic!("falsified");
    };
    // The headers of IPv4, UDP and DNS have 20, 8 and 12 bytes. The question has 3 + 8 + 1 for the name and 4 for type and class.
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
    // A class of 1 and a TTL of one second.
    let short_lived = falsified.windows(6).filter(|bytes| *bytes == [0, 1, 0, 0, 0, 1]);
    assert_eq!(short_lived.count(), 2, "both falsified records live for a second");
    let replaced = falsified.windows(4).filter(|bytes| *bytes == [192, 0, 2, 7]).count();
    assert!(replaced == 2 && !falsified.ends_with(&[10, 0, 0, 8]));
    // Without a record the answer has no address to falsify.
    let none = answer(&["db", "example"], &[]);
    assert_eq!(inspect(&none, &zones(&["example"]), Some(&wrong)), Some(Looked::Other));
    // If no false address of a family is given, an answer with addresses of this family loses all records.
    let about = answer(&["db", "example"], &[(AAAA, &v6)]);
    let Some(Looked::Falsified(falsified)) = inspect(&about, &zones(&["example"]), Some(&wrong)) else {
        panic!("falsified");
    };
    assert_eq!((falsified.len(), falsified[31] & 0xf, falsified[35]), (56, 0, 0));
}

proptest! {
    #[test]
    fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), udp: bool, code: bool) {
        // Most random bytes are no IPv4 packet, so this makes one, over UDP an answer with one question.
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
