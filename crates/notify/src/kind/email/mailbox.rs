//! Parses mailboxes as people write them: an address, or a name and an address. Accepts only ASCII addresses that need no quotes.

use firedrill_wire::text::is_plain;

/// Maximum length of an address, in bytes (RFC 5321).
const ADDRESS_MOST: usize = 254;
/// Maximum length of the part of an address before the `@`, in bytes (RFC 5321).
const LOCAL_MOST: usize = 64;

/// A mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mailbox<'t> {
    /// The name for people.
    pub(super) name: Option<&'t str>,
    /// The address.
    pub(super) address: &'t str,
}

impl<'t> Mailbox<'t> {
    /// Reads `local@domain` or `Name <local@domain>`.
    ///
    /// # Errors
    /// The text has neither form. The error is a clause for people.
    pub(super) fn parse(text: &'t str) -> Result<Self, &'static str> {
        if !text.chars().all(is_plain) {
            return Err("it has a line break or another invisible character");
        }
        let (name, address) = match text.trim().strip_suffix('>') {
            None => (None, text.trim()),
            Some(rest) => {
                let (name, address) = rest.split_once('<').ok_or("it has a `>` without a `<`")?;
                let name = name.trim();
                let bare = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
                if bare.contains(['"', '\\', '<', '>']) {
                    return Err("its name has a quote, a backslash, `<` or `>`");
                }
                (Some(bare).filter(|name| !name.is_empty()), address)
            }
        };
        check_address(address)?;
        Ok(Self { name, address })
    }

    /// Returns the part of the address behind the `@`.
    pub(super) fn domain(&self) -> &'t str {
        self.address.rsplit_once('@').map_or(self.address, |(_, domain)| domain)
    }
}

/// Checks an address; the error is a clause for people.
fn check_address(text: &str) -> Result<(), &'static str> {
    if !text.is_ascii() {
        return Err("its address is not ASCII; write a domain as `xn--…`");
    }
    if text.contains([',', ';']) {
        return Err("one text is one mailbox, and several are several texts");
    }
    let (local, domain) = text.rsplit_once('@').ok_or("its address has no `@`")?;
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if local.split('.').any(|part| part.is_empty() || !part.chars().all(atom)) {
        return Err(
            "the part before the `@` is empty, has two dots in a row or a dot at an end, or a character that would need quotes",
        );
    }
    let label = |label: &str| {
        let ends = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && !ends && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if !domain.split('.').all(label) {
        return Err("the part behind the `@` is not the name of a domain");
    }
    if local.len() > LOCAL_MOST || text.len() > ADDRESS_MOST {
        return Err("its address is too long");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_name() {
        for (text, name, address) in [
            ("ops@example.com", None, "ops@example.com"),
            (" ops+fd@mail.example.com ", None, "ops+fd@mail.example.com"),
            ("<root@localhost>", None, "root@localhost"),
            ("Fire Drill <ops@example.com>", Some("Fire Drill"), "ops@example.com"),
            ("\"Ops, Berlin\" <ops@example.com>", Some("Ops, Berlin"), "ops@example.com"),
            ("Übung <ops@xn--bcher-kva.example>", Some("Übung"), "ops@xn--bcher-kva.example"),
        ] {
            let wanted = Mailbox { name, address };
            assert_eq!(Mailbox::parse(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_mailboxes() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ops",
            "ops@",
            "@example.com",
            "a b@example.com",
            "a..b@example.com",
            "a@b@example.com",
            "ops@-example.com",
            "ops@example..com",
            "a@example.com, b@example.com",
            "a@example.com>",
            "A <a@example.com> B <b@example.com>",
            "öps@example.com",
            "ops@bücher.example",
            "ops@example.com\r\nBcc: x@example.com",
            "Ops\nBcc: x@example.com <ops@example.com>",
            "ops@example.com> RCPT TO:<x@example.com",
            "A\u{202e}B <ops@example.com>",
            &long,
        ] {
            assert!(Mailbox::parse(text).is_err(), "{text}");
        }
    }
}
