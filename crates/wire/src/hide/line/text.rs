//! Decodes the escapes of a line. Each decoded byte keeps its place in the line.

/// A line break that was written as an escape. The letter of this and the next two escapes may also be the first one of a name (`C:\token`).
const LINE: u8 = 1;
/// A tab that was written as an escape.
const TAB: u8 = 2;
/// A carriage return that was written as an escape.
const RETURN: u8 = 3;
/// Any other space that was written as an escape.
const SPACE: u8 = 4;

/// The level of a byte that was written as it is.
pub(in super::super) const NOT_ENCODED: u8 = 0;

/// Quotation marks and opening brackets.
const OPENING: [u8; 7] = *b"\"'`([{<";

/// The decoded bytes of a line.
pub(in super::super) struct Text {
    pub(in super::super) bytes: Vec<u8>,
    /// Number of times that each byte was encoded for a URL or for HTML.
    pub(in super::super) level: Vec<u8>,
    /// The place in the line of each byte, and of the end.
    from: Vec<usize>,
    /// The first place of each mark and opening bracket of [`OPENING`].
    opened: [usize; 7],
}

impl Text {
    /// Decodes `\uXXXX`, `\xXX`, `\n`, `%XX` (also twice) and entities of HTML, and leaves out colours.
    pub(in super::super) fn new(line: &str) -> Self {
        let size = line.len();
        let mut text = Self {
            bytes: Vec::with_capacity(size),
            level: Vec::with_capacity(size),
            from: Vec::with_capacity(size + 1),
            opened: [usize::MAX; 7],
        };
        let line = line.as_bytes();
        let mut at = 0;
        while at < size {
            at = match line[at] {
                b'\\' => text.escape(line, at),
                b'%' => text.percent(line, at),
                b'&' => text.entity(line, at),
                0x1b => skip_color(line, at + 1),
                byte => {
                    let space = byte < b' ' && !byte.is_ascii_whitespace();
                    text.push(if space { SPACE } else { byte }, NOT_ENCODED, at);
                    at + 1
                }
            };
        }
        text.from.push(size);
        for (mark, first) in OPENING.iter().zip(&mut text.opened) {
            *first = text.bytes.iter().position(|byte| byte == mark).unwrap_or(usize::MAX);
        }
        text
    }

    /// Returns the place of a decoded byte in the line, or that of the end.
    pub(in super::super) fn place(&self, at: usize) -> usize {
        self.from[at.min(self.bytes.len())]
    }

    /// Whether a mark or a closing bracket may belong to one that was opened before a place.
    pub(in super::super) fn closes(&self, byte: u8, place: usize) -> bool {
        let opening = match byte {
            b')' => b'(',
            b']' => b'[',
            b'}' => b'{',
            b'>' => b'<',
            mark => mark,
        };
        let known = OPENING.iter().position(|known| *known == opening);
        known.is_none_or(|known| self.opened[known] < place)
    }

    /// Returns the letter of the escape before a byte, which may belong to a name; `None` if no such escape is there.
    pub(in super::super) fn letter_before(&self, at: usize) -> Option<u8> {
        match *self.bytes.get(at.checked_sub(1)?)? {
            LINE => Some(b'n'),
            TAB => Some(b't'),
            RETURN => Some(b'r'),
            _ => None,
        }
    }

    /// Adds a decoded byte. `at` is its place in the line.
    fn push(&mut self, byte: u8, level: u8, at: usize) {
        self.bytes.push(byte);
        self.level.push(level);
        self.from.push(at);
    }

    /// Decodes an escape with a backslash. Returns the place after it.
    fn escape(&mut self, line: &[u8], at: usize) -> usize {
        let slashes = line[at..].iter().take_while(|byte| **byte == b'\\').count();
        let end = at + slashes;
        let rest = &line[end..];
        let soft = match rest.first() {
            Some(b'n') => Some(LINE),
            Some(b't') => Some(TAB),
            Some(b'r') => Some(RETURN),
            _ => None,
        };
        if let Some(soft) = soft {
            self.push(soft, NOT_ENCODED, at);
            return end + 1;
        }
        if rest.starts_with(b"033[") || rest.starts_with(b"e[") {
            return skip_color(line, end + if rest[0] == b'e' { 1 } else { 3 });
        }
        let digits = match rest.first() {
            Some(b'u') => 4,
            Some(b'x') => 2,
            _ => 0,
        };
        let code = (digits > 0).then(|| hex(rest.get(1..=digits)?)).flatten();
        let code = code.and_then(|code| u8::try_from(code).ok()).filter(u8::is_ascii);
        let literal = slashes - usize::from(code.is_some());
        for place in at..at + literal {
            self.push(b'\\', NOT_ENCODED, place);
        }
        let Some(code) = code else { return end };
        let (at, end) = (at + literal, end + 1 + digits);
        match code {
            // Like a mark that was written with a backslash.
            b'"' | b'\'' | b'`' => {
                self.push(b'\\', NOT_ENCODED, at);
                self.push(code, NOT_ENCODED, at);
            }
            0x1b => return skip_color(line, end),
            b' '..=b'~' => self.push(code, NOT_ENCODED, at),
            _ => self.push(SPACE, NOT_ENCODED, at),
        }
        end
    }

    /// Decodes a byte that is percent-encoded, once or several times. Returns the place after it.
    fn percent(&mut self, line: &[u8], at: usize) -> usize {
        let two =
            |from: usize| line.get(from..from + 2).and_then(hex).and_then(|code| u8::try_from(code).ok());
        let (mut end, mut level) = (at + 1, 1);
        while level < 3 && line[end..].starts_with(b"25") && two(end + 2).is_some() {
            (end, level) = (end + 2, level + 1);
        }
        match two(end) {
            Some(code @ b'!'..=b'~') => self.push(code, level, at),
            Some(0..=b' ') => self.push(SPACE, level, at),
            _ => {
                self.push(b'%', NOT_ENCODED, at);
                return at + 1;
            }
        }
        end + 2
    }

    /// Decodes an entity of HTML. Returns the place after it.
    fn entity(&mut self, line: &[u8], at: usize) -> usize {
        const ENTITIES: [(&[u8], u8); 9] = [
            (b"&quot;", b'"'),
            (b"&#34;", b'"'),
            (b"&#x22;", b'"'),
            (b"&apos;", b'\''),
            (b"&#39;", b'\''),
            (b"&#x27;", b'\''),
            (b"&lt;", b'<'),
            (b"&gt;", b'>'),
            (b"&amp;", b'&'),
        ];
        let found = ENTITIES.iter().find(|(entity, _)| line[at..].starts_with(entity));
        let (length, byte, level) =
            found.map_or((1, b'&', NOT_ENCODED), |(entity, byte)| (entity.len(), *byte, 1));
        self.push(byte, level, at);
        at + length
    }
}

/// Whether a byte is a space, also one that was written as an escape.
pub(in super::super) const fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || is_soft(byte)
}

/// Whether a byte is a space that was written as an escape, and so may be part of a value.
pub(in super::super) const fn is_soft(byte: u8) -> bool {
    matches!(byte, LINE | TAB | RETURN | SPACE)
}

/// Reads hexadecimal digits; `None` if there is any other byte.
fn hex(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Returns the place after a terminal's control sequence. Its escape character was read before, and `at` is the place after that.
fn skip_color(line: &[u8], at: usize) -> usize {
    if line.get(at) != Some(&b'[') {
        return at;
    }
    let inner = line[at + 1..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    let end = at + 1 + inner;
    if line.get(end).is_some_and(u8::is_ascii_alphabetic) { end + 1 } else { at }
}
