//! Checks the path to another host with a few packets, when the coordinator asks for it, and measures the times of the answers. In the
//! messages of the coordinator this is called an exchange.
//!
//! Needs no program on the other host: the kernel answers. Never opens a port, never sends more than the limits allow, and never judges.

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

/// Counts the answers of each sort, and sorts their times.
fn count(ask: &Exchange, answers: Vec<Answer>) -> Exchanged {
    let mut counted = Exchanged { sent: ask.count, ..Exchanged::default() };
    for answer in answers {
        match answer {
            Answer::Answered(after) => {
                counted.answered += 1;
                counted.times_us.push(Span::from(after).as_micros());
            }
            Answer::Refused(after) => {
                counted.refused += 1;
                counted.times_us.push(Span::from(after).as_micros());
            }
            Answer::Failed(why) => {
                counted.failed += 1;
                counted.why.get_or_insert(why);
            }
            Answer::Silent => {}
        }
    }
    counted.times_us.sort_unstable();
    counted
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
        let exchanged = check(&ask(Ipv4Addr::LOCALHOST.into(), Way::Connect(port))).unwrap();
        assert_eq!((exchanged.answered, exchanged.refused, exchanged.failed), (5, 0, 0), "{exchanged:?}");
        assert!(exchanged.times_us.is_sorted() && exchanged.times_us.len() == 5);
        // This socket has the port without listening, so that no other program can listen there.
        let held = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(held.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = getsockname::<SockaddrIn>(held.as_raw_fd()).unwrap().port();
        let exchanged = check(&ask(Ipv4Addr::LOCALHOST.into(), Way::Connect(port))).unwrap();
        assert_eq!((exchanged.answered, exchanged.refused, exchanged.failed), (0, 5, 0), "{exchanged:?}");
    }

    #[test]
    fn echoes_come_back_in_both_families() {
        for to in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            match check(&ask(to, Way::Echo)) {
                Ok(exchanged) => {
                    assert_eq!((exchanged.answered, exchanged.failed), (5, 0), "{to}: {exchanged:?}");
                }
                // Only root may open raw sockets.
                Err(problem) => {
                    assert!(!nix::unistd::geteuid().is_root(), "{problem:?}");
                    eprintln!("skipped: {}", problem.title);
                }
            }
        }
    }

    #[test]
    fn exchanges_beyond_the_limits_are_refused() {
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
