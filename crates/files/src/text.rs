//! Reads texts of people and programs: regular files up to a maximum size, and the output of commands. Errors name UTF-16, and never show
//! the contents of a file.

use std::{fs::File, io::Read as _, path::Path};

/// A text that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    /// The text, without the mark.
    pub text: String,
    /// True if a byte-order mark was before the text.
    pub mark: bool,
}

/// The warning about a byte-order mark.
pub const MARK: &str = "a byte-order mark (U+FEFF) stands before the text, and is skipped";
/// The advice about a byte-order mark.
pub const MARK_HELP: &str = "save it as UTF-8 without a byte-order mark";

/// Reads a file of at most `most` bytes as text.
///
/// # Errors
/// The file cannot be read, is no regular file, is too large, or is not UTF-8.
pub fn read(path: &Path, most: u64) -> Result<Text, String> {
    let told = |error: std::io::Error| error.to_string();
    // The file's kind is checked before it is opened, because opening a pipe would wait for a writer.
    check_regular(&std::fs::metadata(path).map_err(told)?)?;
    let file = File::open(path).map_err(told)?;
    check_regular(&file.metadata().map_err(told)?)?;
    let mut bytes = Vec::new();
    // The size in the metadata does not count: a file may grow while it is read, and files of `/proc` have the size 0.
    file.take(most + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > most {
        return Err(format!("it has more than {most} bytes, too many for such a file"));
    }
    decode(bytes)
}

/// Refuses a file that is not a regular one.
fn check_regular(metadata: &std::fs::Metadata) -> Result<(), String> {
    let kind = metadata.file_type();
    if kind.is_file() {
        Ok(())
    } else if kind.is_dir() {
        Err("it is a directory".to_owned())
    } else {
        Err("it is a device, a pipe or a socket, and only regular files are read".to_owned())
    }
}

/// Decodes bytes as UTF-8.
///
/// # Errors
/// The bytes are not UTF-8. The error says so if they are UTF-16.
pub fn decode(bytes: Vec<u8>) -> Result<Text, String> {
    let is_utf16 = match bytes.as_slice() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        // UTF-16 without a mark: two ASCII characters, each next to a zero.
        [0, first, 0, second, ..] | [first, 0, second, 0, ..] => {
            [first, second].into_iter().all(|byte| byte.is_ascii() && *byte != 0)
        }
        _ => false,
    };
    if is_utf16 {
        return Err("it is UTF-16; save it as UTF-8".to_owned());
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 from line {line} on")
    })?;
    let mark = text.starts_with('\u{feff}');
    if mark {
        text.remove(0);
    }
    Ok(Text { text, mark })
}

/// Returns bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_named() {
        let utf16 =
            |text: &str, to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
        for bytes in [
            utf16("\u{feff}schema = 1", u16::to_le_bytes),
            utf16("\u{feff}schema = 1", u16::to_be_bytes),
            utf16("schema = 1", u16::to_le_bytes),
            utf16("schema = 1", u16::to_be_bytes),
        ] {
            assert!(decode(bytes).expect_err("not UTF-8").contains("UTF-16"));
        }
        let marked = decode("\u{feff}a = 1".as_bytes().to_vec()).expect("UTF-8");
        assert_eq!(marked, Text { text: "a = 1".to_owned(), mark: true });
        // One zero alone does not make UTF-16.
        assert_eq!(decode(b"\0\xd3a\xff".to_vec()).expect_err("not UTF-8"), "it is not UTF-8 from line 1 on");
        assert_eq!(decode(b"a\nb\xff".to_vec()).expect_err("not UTF-8"), "it is not UTF-8 from line 2 on");
        assert_eq!(decode(Vec::new()).expect("nothing"), Text { text: String::new(), mark: false });
    }

    #[test]
    fn only_regular_files_are_read_and_no_more_than_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "12345").expect("written");
        assert_eq!(read(&file, 5).expect("short enough").text, "12345");
        assert!(read(&file, 4).expect_err("too long").contains("more than 4 bytes"));
        assert!(read(folder.path(), 9).expect_err("no file").contains("directory"));
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).expect("made");
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            assert!(read(path, 9).expect_err("no file").contains("only regular files"), "{}", path.display());
        }
        // The file's size is 0 in its metadata.
        assert!(read(Path::new("/proc/self/maps"), 9).expect_err("too long").contains("more than 9 bytes"));
    }
}
