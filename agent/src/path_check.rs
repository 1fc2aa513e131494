//! Checks the path to another host with a few packets, for the coordinator: times answers that every host gives. On the
//! wire this is an exchange.
//!
//! Opens no port, needs nothing on the other side, sends only the requested packets, and only within limits. Judges
//! nothing.

mod answer;
mod connect;
mod echo;

use firedrill_wire::{
    RefusalCode, Span,
    api::Problem,
    exchange::{Exchange, Exchanged, Way},
};

use crate::injection::refuse;
use answer::Answer;

/// Sends the packets and waits for the answers; blocks for the time of [`Exchange::takes`].
///
/// # Errors
/// A refusal: more than is allowed, or the sockets cannot be opened on this host.
pub fn check(ask: &Exchange) -> Result<Exchanged, Problem> {
    let wrong =
        |what: String| refuse(RefusalCode::BadExchange, format!("exchange with {}: {what}", ask.to), "");
    if ask.count == 0 || ask.count > Exchange::MOST {
        return Err(wrong(format!("{} packets; from 1 to {} are sent", ask.count, Exchange::MOST)));
    }
    if ask.within > Exchange::LONGEST || ask.every > Span::secs(1) {
        return Err(wrong(format!(
            "{} apart and {} of waiting; 1s and {} are the most",
            ask.every,
            ask.within,
            Exchange::LONGEST
        )));
    }
    let answers = match ask.way {
        Way::Echo => echo::all(ask).map_err(|error| {
            refuse(
                RefusalCode::NoEcho,
                format!("exchange with {} by ICMP echo: {error}", ask.to),
                "raw sockets need CAP_NET_RAW",
            )
        })?,
        Way::Connect(port) => connect::all(ask, port),
    };
    Ok(count(ask, answers))
}

fn count(ask: &Exchange, answers: Vec<Answer>) -> Exchanged {
    let mut all = Exchanged { sent: ask.count, ..Exchanged::default() };
    for answer in answers {
        match answer {
            Answer::Answered(after) => {
                all.answered += 1;
                all.times_us.push(Span::from(after).as_micros());
            }
            Answer::Refused(after) => {
                all.refused += 1;
                all.times_us.push(Span::from(after).as_micros());
            }
            Answer::Failed(why) => {
                all.failed += 1;
                all.why.get_or_insert(why);
            }
            Answer::Silent => {}
        }
    }
    all.times_us.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4, TcpListener},
        os::fd::AsRawFd,
    };

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};

    use super::*;

    fn ask(to: IpAddr, way: Way) -> Exchange {
        Exchange { to, way, count: 5, every: Span::millis(2), within: Span::millis(500) }
    }

    #[test]
    fn a_port_that_listens_answers_and_one_that_does_not_refuses() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let met = check(&ask(Ipv4Addr::LOCALHOST.into(), Way::Connect(port))).unwrap();
        assert_eq!((met.answered, met.refused, met.failed), (5, 0, 0), "{met:?}");
        assert!(met.times_us.is_sorted() && met.times_us.len() == 5);
        // Held without listening: nobody else can get the port and listen there.
        let held = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(held.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = getsockname::<SockaddrIn>(held.as_raw_fd()).unwrap().port();
        let met = check(&ask(Ipv4Addr::LOCALHOST.into(), Way::Connect(port))).unwrap();
        assert_eq!((met.answered, met.refused, met.failed), (0, 5, 0), "{met:?}");
    }

    #[test]
    fn echoes_come_back_in_both_families() {
        for to in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            match check(&ask(to, Way::Echo)) {
                Ok(met) => assert_eq!((met.answered, met.failed), (5, 0), "{to}: {met:?}"),
                // The test's user may have no rights.
                Err(problem) => {
                    assert!(!nix::unistd::geteuid().is_root(), "{problem:?}");
                    eprintln!("skipped: {}", problem.title);
                }
            }
        }
    }

    #[test]
    fn what_would_be_a_flood_is_refused() {
        for wrong in [
            Exchange { count: 0, ..ask(Ipv4Addr::LOCALHOST.into(), Way::Echo) },
            Exchange { count: 51, ..ask(Ipv4Addr::LOCALHOST.into(), Way::Echo) },
            Exchange { within: Span::secs(11), ..ask(Ipv4Addr::LOCALHOST.into(), Way::Echo) },
            Exchange { every: Span::secs(2), ..ask(Ipv4Addr::LOCALHOST.into(), Way::Echo) },
        ] {
            assert_eq!(check(&wrong).unwrap_err().code, RefusalCode::BadExchange);
        }
    }
}
