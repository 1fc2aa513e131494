//! The parts of IP packets that reinjection needs: the ends of headers, the addresses, and the checksum that a network
//! card would have computed.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The protocol number of TCP.
pub const TCP: u8 = 6;
/// The protocol number of UDP.
pub const UDP: u8 = 17;

/// The protocol number of the header of a fragment of IPv6.
const FRAGMENT: u8 = 44;

/// The source and destination of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

/// Returns the bytes at an offset; `None` beyond the end.
fn octets<const N: usize>(packet: &[u8], at: usize) -> Option<[u8; N]> {
    packet.get(at..)?.first_chunk().copied()
}

/// Returns the addresses; `None` if the header is not that of an IP packet, or incomplete.
pub(super) fn ends(packet: &[u8]) -> Option<Ends> {
    let address4 = |at| octets::<4>(packet, at).map(Ipv4Addr::from);
    let address6 = |at| octets::<16>(packet, at).map(Ipv6Addr::from);
    match packet.first()? >> 4 {
        4 => Some(Ends::V4(address4(12)?, address4(16)?)),
        6 => Some(Ends::V6(address6(8)?, address6(24)?)),
        _ => None,
    }
}

/// Returns the offset and protocol of the transport header; `None` if the packet ends before it. A later fragment has the
/// protocol of the whole packet, though other bytes than the header are at that offset.
#[must_use]
pub fn transport(packet: &[u8]) -> Option<(usize, u8)> {
    match packet.first()? >> 4 {
        4 => {
            let length = usize::from(packet.first()? & 0xf) * 4;
            Some((length.max(20), *packet.get(9)?)).filter(|(at, _)| *at <= packet.len())
        }
        6 => {
            let Headers { at, next, .. } = headers6(packet)?;
            Some((at, next)).filter(|(at, _)| *at <= packet.len())
        }
        _ => None,
    }
}

/// The headers of an IPv6 packet.
struct Headers {
    /// The offset behind them.
    at: usize,
    /// The protocol that follows them.
    next: u8,
    /// Whether one of them is that of a fragment.
    fragment: bool,
}

/// Returns the headers of an IPv6 packet: hop-by-hop options, routing, fragment, destination options. The offset behind them may lie
/// beyond the end of the packet. `None` if the packet ends within the first header.
fn headers6(packet: &[u8]) -> Option<Headers> {
    let (mut at, mut next, mut fragment) = (40, *packet.get(6)?, false);
    while matches!(next, 0 | 43 | FRAGMENT | 60) && packet.len() >= at + 8 {
        fragment |= next == FRAGMENT;
        let length = if next == FRAGMENT { 8 } else { (usize::from(packet[at + 1]) + 1) * 8 };
        next = packet[at];
        at += length;
    }
    Some(Headers { at, next, fragment })
}

/// Returns the Internet checksum (RFC 1071).
#[must_use]
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    folded(add(0, bytes))
}

/// Adds bytes to a checksum as 16-bit numbers; a single last byte is the high one.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum = pairs.iter().fold(sum, |sum, pair| sum + u64::from(u16::from_be_bytes(*pair)));
    rest.first().map_or(sum, |last| sum + u64::from(u16::from_be_bytes([*last, 0])))
}

/// Returns the checksum of a sum: its complement, folded to 16 bits.
fn folded(mut sum: u64) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [.., high, low] = (!sum).to_be_bytes();
    [high, low]
}

/// Sets the length in the IP header to that of the packet, and IPv4's checksum of the header. `None` if the packet has no
/// IP header, is a fragment, or is too long.
pub fn fit(packet: &mut [u8]) -> Option<()> {
    let length = u16::try_from(packet.len()).ok()?;
    match packet.first()? >> 4 {
        4 => {
            // The flag "more fragments", and the fragment's offset: one of them is set in every fragment.
            if octets::<2>(packet, 6).map(u16::from_be_bytes)? & 0x3fff != 0 {
                return None;
            }
            packet.get_mut(2..4)?.copy_from_slice(&length.to_be_bytes());
            let header = usize::from(packet.first()? & 0xf) * 4;
            packet.get_mut(10..12)?.fill(0);
            let sum = checksum(packet.get(..header)?);
            packet.get_mut(10..12)?.copy_from_slice(&sum);
        }
        6 => {
            if headers6(packet)?.fragment {
                return None;
            }
            packet.get_mut(4..6)?.copy_from_slice(&length.checked_sub(40)?.to_be_bytes());
        }
        _ => return None,
    }
    Some(())
}

/// Sets the checksum of TCP or UDP. The packet must not be a fragment. Returns `false` if it has neither protocol.
pub fn sum(packet: &mut [u8]) -> bool {
    let (Some(ends), Some((at, protocol))) = (ends(packet), transport(packet)) else {
        return false;
    };
    let field = match protocol {
        TCP => at + 16,
        UDP => at + 6,
        _ => return false,
    };
    let Some(old) = packet.get_mut(field..field + 2) else {
        return false;
    };
    old.fill(0);
    let Some(body) = packet.get(at..) else {
        return false;
    };
    let length = u64::try_from(body.len()).unwrap_or(0);
    let pseudo = match ends {
        Ends::V4(from, to) => add(add(u64::from(protocol) + length, &from.octets()), &to.octets()),
        Ends::V6(from, to) => add(add(u64::from(protocol) + length, &from.octets()), &to.octets()),
    };
    let mut new = folded(add(pseudo, body));
    if protocol == UDP && new == [0, 0] {
        // A checksum of 0 would mean that there is none.
        new = [0xff, 0xff];
    }
    packet[field..field + 2].copy_from_slice(&new);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// For [`packet`]: a packet of IPv6.
    const V6: bool = true;

    /// Makes a packet of these bytes: sets the version of IP and the protocol, and for IPv4 a header without options.
    fn packet(v6: bool, protocol: u8, mut bytes: Vec<u8>) -> Vec<u8> {
        if v6 {
            (bytes[0], bytes[6]) = (0x60, protocol);
        } else {
            (bytes[0], bytes[9]) = (0x45, protocol);
        }
        bytes
    }

    #[test]
    fn the_checksum_of_a_known_datagram() {
        // 192.0.2.1:1 to 192.0.2.2:2, "hi", computed by hand.
        let mut packet = vec![0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        packet.extend([0, 1, 0, 2, 0, 10, 9, 9, b'h', b'i']);
        assert!(sum(&mut packet));
        // c000+0201+c000+0202+0011+000a + 0001+0002+000a+6869 = 1ec94, folded ec95; its complement.
        assert_eq!(packet[26..28], [0x13, 0x6a]);
    }

    #[test]
    fn extension_headers_are_skipped() {
        let mut bytes = packet(V6, 0, vec![0; 80]);
        (bytes[40], bytes[41]) = (FRAGMENT, 0);
        bytes[48] = UDP;
        assert_eq!(transport(&bytes), Some((56, UDP)));
        bytes[41] = 200;
        assert_eq!(transport(&bytes), None, "a header beyond the end of the packet is found");
    }

    #[test]
    fn a_fragment_of_ipv6_gets_no_other_length() {
        let mut bytes = packet(V6, 60, vec![0; 80]);
        bytes[40] = UDP;
        assert!(fit(&mut bytes).is_some(), "a packet with destination options only is refused");
        bytes[40] = FRAGMENT;
        bytes[48] = UDP;
        assert!(fit(&mut bytes).is_none());
    }

    proptest! {
        #[test]
        fn a_summed_packet_sums_to_nothing(v6: bool, tcp: bool, bytes in proptest::collection::vec(any::<u8>(), 60..200)) {
            let protocol = if tcp { TCP } else { UDP };
            let mut packet = packet(v6, protocol, bytes);
            prop_assert!(sum(&mut packet));
            let at = if v6 { 40 } else { 20 };
            let addresses = if v6 { &packet[8..40] } else { &packet[12..20] };
            let length = u64::try_from(packet.len() - at).unwrap();
            let all = add(add(length + u64::from(protocol), addresses), &packet[at..]);
            prop_assert_eq!(folded(all), [0, 0]);
        }

        #[test]
        fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ends(&bytes);
            if let Some((at, _)) = transport(&bytes) {
                prop_assert!(at <= bytes.len());
            }
            sum(&mut bytes);
        }
    }
}
