//! Blocks are read as they were written, and other bytes are refused.

use firedrill_wire::{
    Span,
    probe::{Arrivals, Connection, ProbeKind, ProbeSpec, TcpProbe},
};
use proptest::prelude::*;

use super::*;
use crate::simulate::{Answer, simulate};

fn spec(rate: f64) -> ProbeSpec {
    ProbeSpec {
        name: "buy".to_owned(),
        kind: ProbeKind::Tcp(TcpProbe::opens("edge:80")),
        rate,
        arrivals: Arrivals::Poisson,
        key: 7,
        timeout: Span::secs(1),
        connection: Connection::New,
        names: BTreeMap::new(),
    }
}

fn pace(rate: f64) -> Pace {
    Pace { rate, arrivals: Arrivals::Poisson, key: 7 }
}

/// Some seconds of a made-up system.
fn bins(rate: f64, answer: impl FnMut(u64) -> Answer) -> Vec<Bin> {
    simulate(&spec(rate), 1_000_000, 21_000_000, answer).expect("a probe")
}

fn stream(bins: &[Bin], rate: f64, cuts: &[u64]) -> Stream {
    let grid = Grid::new(cuts);
    let mut stream = Stream {
        probe: "buy".to_owned(),
        vantage: "client1".to_owned(),
        boot_id: "made-up".to_owned(),
        cuts: grid.cuts().to_vec(),
        ..Stream::default()
    };
    for bin in bins {
        stream.push(bin, bin.start_boot_us.cast_signed() - 5_000_321, &grid, Some(pace(rate)));
    }
    stream
}

#[test]
fn good_seconds_take_some_bytes_and_outages_few_more() {
    let mut number = 0_u64;
    let quick = |number: &mut u64| {
        *number += 1;
        Answer::Good(8000 + *number * 7919 % 4000)
    };
    let good = bins(100.0, |_| quick(&mut number));
    let bytes = encode(&[stream(&good, 100.0, &[10_000])]);
    let each = bytes.len() / good.len();
    assert!(each < 40, "{each} bytes a second");
    let bad = bins(100.0, |due| if due > 10_000_000 { Answer::Bad } else { quick(&mut number) });
    let with_outage = encode(&[stream(&bad, 100.0, &[10_000])]);
    assert!(with_outage.len() < bytes.len(), "{} {}", with_outage.len(), bytes.len());
}

#[test]
fn texts_of_a_block_are_cleaned() {
    let mut strange = stream(&bins(50.0, |_| Answer::Bad), 50.0, &[]);
    strange.vantage = "a\u{1b}[2Jb\u{202e}c".to_owned();
    let read = decode(&encode(&[strange]), BINS_MOST).expect("its own");
    assert!(read[0].vantage.chars().all(firedrill_wire::text::is_plain), "{:?}", read[0].vantage);
}

#[test]
fn bytes_that_were_changed_or_cut_off_are_no_block() {
    let all = bins(50.0, |due| if due % 3 == 0 { Answer::Bad } else { Answer::Good(due % 90_000) });
    let bytes = encode(&[stream(&all, 50.0, &[])]);
    assert!(decode(&bytes, BINS_MOST).is_ok());
    for place in 0..bytes.len() {
        assert!(decode(&bytes[..place], BINS_MOST).is_err(), "cut at {place}");
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        let same = decode(&flipped, BINS_MOST).ok().is_none_or(|read| read == [stream(&all, 50.0, &[])]);
        assert!(same, "flipped at {place}: read as something else");
    }
}

#[test]
fn a_block_takes_no_more_memory_than_its_bins_can() {
    let all = bins(50.0, |_| Answer::Bad);
    let bytes = encode(&[stream(&all, 50.0, &[])]);
    let count = all.len() as u64;
    assert!(decode(&bytes, count).is_ok());
    let told = |bytes: &[u8], count| decode(bytes, count).expect_err("too much").to_string();
    assert!(told(&bytes, count - 1).contains("its record says"), "{}", told(&bytes, count - 1));
    assert!(told(&bytes, BINS_MOST + 1).contains("larger than"));
    // Few bytes that inflate to many, and streams with long names and no seconds.
    let zeros = deflated(&[0; 2 << 20]);
    assert!(told(&zeros, 1).contains("larger than"), "{}", told(&zeros, 1));
    let (name, heads) = ([b'x'; 8000], vec![0; 13 * 100_000]);
    let streams = deflated(&[&[1, 1, 192, 62], &name[..], &[160, 141, 6], &heads].concat());
    assert!(told(&streams, 100).contains("larger than"), "{}", told(&streams, 100));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_was_written_is_read(
        rate in 0.3_f64..300.0,
        script in proptest::collection::vec((0_u8..4, 1_u64..3_000_000), 1..9),
        cuts in proptest::collection::vec(1_u64..2_000_000, 0..3),
        strange in any::<[u64; 6]>(),
    ) {
        let mut place = 0;
        let mut all = bins(rate, |_| {
            place += 1;
            match script[place % script.len()] {
                (0, _) => Answer::Bad,
                (1, _) => Answer::Silent,
                (_, after) => Answer::Good(after),
            }
        });
        // One bin like no prober's.
        if let Some(odd) = all.get_mut(3) {
            (odd.due, odd.good, odd.slipped) = (strange[0], strange[1], strange[2]);
            (odd.length_us, odd.start_boot_us) = (strange[3], strange[4]);
            odd.bad.insert("odd".to_owned(), strange[5]);
        }
        let two = [stream(&all, rate, &cuts), stream(&all[..2], rate, &[])];
        let read = decode(&encode(&two), BINS_MOST).expect("its own");
        prop_assert_eq!(read, two);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = seconds_of(&bytes);
    }
}

/// Reads what is not deflated.
fn seconds_of(bytes: &[u8]) -> bool {
    decode(&deflated(&[&[1], bytes].concat()), BINS_MOST).is_ok()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}
