//! The two messages of the call, as gRPC frames them. Each has one field, number 1. Functions of bytes.

/// The serving status that is good.
pub(super) const SERVING: u8 = 1;
/// The last serving status that is defined: no such service.
const LAST: u8 = 3;
/// The length of the head of a message, in bytes. The head says whether the message is compressed, and how long it is.
const HEAD: usize = 5;
/// The type of a field that is a number of variable length.
const VARINT: u64 = 0;
/// The type of a field of eight bytes.
const EIGHT_BYTES: u64 = 1;
/// The type of a field that begins with its length.
const WITH_LENGTH: u64 = 2;
/// The type of a field of four bytes.
const FOUR_BYTES: u64 = 5;

/// Returns the question about a service.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, of variable length.
        message.push(0x0a);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat()
}

/// Returns the serving status of an answer: 0 unknown, 1 serving, 2 not serving, 3 no such service. `None` for bytes that are no answer.
pub(super) fn serving(bytes: &[u8]) -> Option<u8> {
    let (&[compressed, a, b, c, d], mut rest) = bytes.split_first_chunk::<HEAD>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    if compressed != 0 || rest.len() != length {
        return None;
    }
    let mut status = 0;
    while !rest.is_empty() {
        let key = read_varint(&mut rest)?;
        let value = match key & 7 {
            VARINT => read_varint(&mut rest)?,
            kind => {
                let length = match kind {
                    EIGHT_BYTES => 8,
                    WITH_LENGTH => usize::try_from(read_varint(&mut rest)?).ok()?,
                    FOUR_BYTES => 4,
                    _ => return None,
                };
                rest = rest.get(length..)?;
                continue;
            }
        };
        if key >> 3 == 1 {
            status = u8::try_from(value).ok().filter(|status| *status <= LAST)?;
        }
    }
    Some(status)
}

/// Writes a number, seven bits a byte, the lowest first.
fn varint(mut number: u64, into: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0x7f);
        number >>= 7;
        if number == 0 {
            return into.push(low);
        }
        into.push(low | 0x80);
    }
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_the_service() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"x".repeat(200));
        assert_eq!(long[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
    }

    #[test]
    fn the_answer_says_its_status_and_garbage_says_none() {
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 1]), Some(SERVING));
        assert_eq!(serving(&[0, 0, 0, 0, 2, 8, 2]), Some(2));
        assert_eq!(serving(&[0, 0, 0, 0, 0]), Some(0), "a default is not sent");
        // Fields that newer servers may add.
        assert_eq!(serving(&[0, 0, 0, 0, 6, 0x12, 2, 9, 9, 8, 1]), Some(SERVING));
        assert_eq!(serving(&[0, 0, 0, 0, 7, 8, 1, 0x1d, 1, 2, 3, 4]), Some(SERVING));
        for garbage in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 1, 8],
            &[0, 0, 0, 0, 2, 8, 4],
            &[0, 0, 0, 0, 2, 0x12, 9],
            &[0, 0, 0, 0, 2, 0x0b, 1],
            &[0, 0, 0, 0, 11, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
        ] {
            assert_eq!(serving(garbage), None, "{garbage:?}");
        }
    }
}
