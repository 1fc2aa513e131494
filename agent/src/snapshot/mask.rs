//! Formats attributes as canonical text, without attributes that change by themselves. Never asks the kernel.

use std::fmt::Write as _;

use firedrill_netlink::attributes;

/// The treatment of an attribute. A mask is a function from the number of an attribute to its treatment.
#[derive(Clone, Copy)]
pub(super) enum Mask {
    /// Its value is kept.
    Keep,
    /// It is left out, because it changes by itself.
    Drop,
    /// It contains attributes, to which this mask applies.
    Nest(fn(u16) -> Mask),
    /// Its value is replaced by the result of this function.
    Text(fn(&[u8]) -> String),
}

/// Formats attributes in the kernel's order as `number=value`. A value is a text in quotes if possible, and hexadecimal
/// digits otherwise.
pub(super) fn parts(bytes: &[u8], mask: fn(u16) -> Mask) -> Vec<String> {
    attributes(bytes)
        .filter_map(|(kind, value)| {
            let value = match mask(kind) {
                Mask::Drop => return None,
                Mask::Keep => plain(value),
                Mask::Nest(inner) => format!("{{{}}}", canonical(value, inner)),
                Mask::Text(make) => make(value),
            };
            Some(format!("{kind}={value}"))
        })
        .collect()
}

/// Formats attributes like [`parts`], in one line.
pub(super) fn canonical(bytes: &[u8], mask: fn(u16) -> Mask) -> String {
    parts(bytes, mask).join(" ")
}

/// Formats a text in quotes, or other bytes as hexadecimal digits.
pub(super) fn plain(value: &[u8]) -> String {
    // The kernel ends texts with a zero byte.
    if let Some((0, text)) = value.split_last().map(|(last, text)| (*last, text))
        && text.len() > 1
        && text.iter().all(u8::is_ascii_graphic)
    {
        return format!("\"{}\"", String::from_utf8_lossy(text));
    }
    hex(value)
}

/// Formats bytes as hexadecimal digits.
pub(super) fn hex(value: &[u8]) -> String {
    value.iter().fold(String::with_capacity(2 * value.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The mask that keeps all attributes.
pub(super) fn keep(_: u16) -> Mask {
    Mask::Keep
}

#[cfg(test)]
mod tests {
    use super::*;
    use firedrill_netlink::Attrs;

    #[test]
    fn masked_attributes_leave_no_trace() {
        fn mask(kind: u16) -> Mask {
            match kind {
                1 => Mask::Drop,
                2 => Mask::Nest(mask),
                _ => Mask::Keep,
            }
        }
        let make = |counter: u32| {
            let inner = Attrs::new().be32(1, counter).text(3, "eth0");
            Attrs::new().be32(1, counter).nest(2, &inner).be32(4, 7).after(&[]).expect("short")
        };
        assert_eq!(canonical(&make(1), mask), "2={3=\"eth0\"} 4=00000007");
        assert_eq!(canonical(&make(1), mask), canonical(&make(2), mask));
    }
}
