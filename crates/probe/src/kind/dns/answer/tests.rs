use simple_dns::{
    RCODE,
    rdata::{A, CNAME, MX, SRV, TXT},
};

use super::*;

fn asked(record: DnsRecord) -> Question {
    Question { name: "shop.example".to_owned(), record }
}

fn answer(question: &Question, change: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
    let query = question.query(7).unwrap();
    let mut packet = Packet::parse(&query).unwrap().into_reply();
    change(&mut packet);
    packet.build_bytes_vec().unwrap()
}

fn add(packet: &mut Packet<'_>, data: RData<'static>) {
    packet.answers.push(ResourceRecord::new(Name::new_unchecked("Shop.Example"), CLASS::IN, 5, data));
}

fn wanted(expect: &[&str], matching: DnsMatch) -> Wanted {
    let expect = expect.iter().map(|text| (*text).to_owned()).collect();
    Wanted { rcode: Rcode::NoError, expect, matching }
}

#[test]
fn only_an_answer_to_this_question_with_this_id_counts() {
    let question = asked(DnsRecord::A);
    let good = answer(&question, |packet| add(packet, RData::A(A { address: 1 })));
    assert!(question.is_answered_by(7, &good));
    assert!(!question.is_answered_by(8, &good), "another id");
    assert!(!question.is_answered_by(7, &question.query(7).unwrap()), "a question");
    assert!(!asked(DnsRecord::Aaaa).is_answered_by(7, &good), "another type");
    let other = Question { name: "other.example".to_owned(), record: DnsRecord::A };
    assert!(!other.is_answered_by(7, &good), "another name");
    let mut capitals = good.clone();
    capitals[13] = b'S';
    assert!(question.is_answered_by(7, &capitals));
    for length in 0..12 {
        assert!(!question.is_answered_by(7, &good[..length]), "{length}");
    }
    // The records of an answer that is cut may be cut, too.
    assert!(question.is_answered_by(7, &good[..good.len() - 3]));
    let bare = |code| [0, 7, 0x80, code, 0, 0, 0, 0, 0, 0, 0, 0];
    assert!(question.is_answered_by(7, &bare(5)) && !question.is_answered_by(7, &bare(0)));
}

#[test]
fn codes_and_records_are_judged() {
    let question = asked(DnsRecord::A);
    let judge = |wanted: &Wanted, bytes: &[u8]| wanted.judge(&question, bytes);
    let empty = answer(&question, |packet| {
        add(packet, RData::CNAME(CNAME(Name::new_unchecked("edge.example"))));
    });
    let any = wanted(&[], DnsMatch::All);
    assert_eq!(judge(&any, &empty), Err(Cause::NoRecords));
    let two = answer(&question, |packet| {
        add(packet, RData::CNAME(CNAME(Name::new_unchecked("edge.example"))));
        add(packet, RData::A(Ipv4Addr::new(192, 0, 2, 1).into()));
        add(packet, RData::A(Ipv4Addr::new(192, 0, 2, 2).into()));
    });
    assert_eq!(judge(&any, &two), Ok(()));
    let (one, other) = ("192.0.2.1", "192.0.2.9");
    for (expect, matching, good) in [
        (&[one][..], DnsMatch::All, true),
        (&[one, other], DnsMatch::All, false),
        (&[one, other], DnsMatch::Any, true),
        (&[other], DnsMatch::Any, false),
        (&[one], DnsMatch::Exact, false),
        (&[one, "192.0.2.2"], DnsMatch::Exact, true),
    ] {
        let told = judge(&wanted(expect, matching), &two);
        assert_eq!(told, if good { Ok(()) } else { Err(Cause::Records) }, "{expect:?} {matching:?}");
    }
    let lost = answer(&question, |packet| *packet.rcode_mut() = RCODE::NameError);
    assert_eq!(judge(&any, &lost), Err(Cause::Rcode(3)));
    assert_eq!(judge(&Wanted { rcode: Rcode::NxDomain, ..wanted(&[], DnsMatch::All) }, &lost), Ok(()));
    assert_eq!(judge(&any, &two[..two.len() - 1]), Err(Cause::Protocol));
    assert_eq!(
        (Cause::Rcode(3).to_string(), Cause::Rcode(9).to_string()),
        ("rcode NXDOMAIN".into(), "rcode 9".into())
    );
}

#[test]
fn records_have_the_form_in_which_they_are_expected() {
    let target = || Name::new_unchecked("Sip.Example");
    for (record, data, text) in [
        (
            DnsRecord::Aaaa,
            RData::AAAA("2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().into()),
            "2001:DB8::7",
        ),
        (DnsRecord::Cname, RData::CNAME(CNAME(target())), "sip.example."),
        (DnsRecord::Ns, RData::NS(simple_dns::rdata::NS(target())), "sip.example"),
        (DnsRecord::Mx, RData::MX(MX { preference: 10, exchange: target() }), "10 sip.example"),
        (
            DnsRecord::Srv,
            RData::SRV(SRV { priority: 1, weight: 2, port: 3, target: target() }),
            "1 2 3 sip.example",
        ),
        (
            DnsRecord::Txt,
            RData::TXT(TXT::new().with_string("V=1 ").unwrap().with_string("x").unwrap()),
            "V=1 x",
        ),
    ] {
        let question = asked(record);
        let bytes = answer(&question, |packet| add(packet, data));
        let expected = record.canonical(text).unwrap();
        assert_eq!(wanted(&[&expected], DnsMatch::Exact).judge(&question, &bytes), Ok(()), "{record}");
    }
}
