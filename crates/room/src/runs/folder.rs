//! Finds the folder of a run by the name in a URL, and reads its files. No name leads out of the directory of runs.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, Read as _},
    path::{Component, Path, PathBuf},
};

use firedrill_files::regular;

/// The name of a run's log in its folder.
pub(crate) const LOG: &str = "events.jsonl";
/// Maximum length of a log's line, in bytes. The first line has the plan, which is long for large fleets.
pub(crate) const LINE_MOST: u64 = 256 << 20;

/// Returns the folder with this name. `None` if the text is a path or a hidden name, if there is no such folder, or if it is a link that leads out
/// of the directory.
pub(crate) fn find(reports: &Path, name: &str) -> Option<PathBuf> {
    let mut parts = Path::new(name).components();
    let is_name = matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == OsStr::new(name));
    if !is_name || name.starts_with('.') || name.contains('\0') {
        return None;
    }
    let path = reports.join(name);
    let inside = fs::canonicalize(&path).ok()?.starts_with(fs::canonicalize(reports).ok()?);
    (inside && path.is_dir()).then_some(path)
}

/// Reads the next line of a log with its line break into `line`, whose old content is dropped. At the end of the log the result may be half a line, or
/// nothing.
///
/// # Errors
/// The log cannot be read, or the line is longer than `most` bytes.
pub(crate) fn read_line(log: &mut impl BufRead, most: u64, line: &mut Vec<u8>) -> io::Result<()> {
    line.clear();
    log.take(most + 1).read_until(b'\n', line)?;
    if line.len() as u64 > most {
        return Err(io::Error::other(format!("it has a line of more than {most} bytes")));
    }
    Ok(())
}

/// Reads a regular file of a run's folder; `None` if there is none. Follows no link and waits for no other program.
///
/// # Errors
/// The file cannot be read, or is larger than `most` bytes.
pub(crate) fn read_file(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match regular::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {} MiB", most >> 20)));
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let home = tempfile::tempdir().unwrap();
        let reports = home.path().join("reports");
        for folder in ["reports/one", "reports/.hidden", "other"] {
            fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        fs::write(reports.join("file"), "").unwrap();
        std::os::unix::fs::symlink("../other", reports.join("out")).unwrap();
        std::os::unix::fs::symlink("one", reports.join("latest")).unwrap();
        assert!(find(&reports, "one").is_some() && find(&reports, "latest").is_some());
        let absolute = home.path().join("other").display().to_string();
        for bad in [
            "",
            ".",
            "..",
            "/",
            "../other",
            "one/..",
            "one/",
            "./one",
            ".hidden",
            "out",
            "file",
            "gone",
            "one\0",
            &absolute,
            "one/../../other",
        ] {
            assert_eq!(find(&reports, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_regular_files_up_to_the_maximum_size_are_read() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::write(path("report.html"), "12345").unwrap();
        assert_eq!(read_file(&path("report.html"), 5).unwrap().as_deref(), Some(&b"12345"[..]));
        assert!(read_file(&path("report.html"), 4).is_err());
        assert_eq!(read_file(&path("gone"), 5).unwrap(), None);
        std::os::unix::fs::symlink("report.html", path("link")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        for bad in ["link", "pipe", "."] {
            assert!(read_file(&path(bad), 5).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_up_to_the_maximum_length_is_read() {
        let (mut log, mut line) = (&b"1234\n12345\nrest"[..], Vec::new());
        read_line(&mut log, 5, &mut line).unwrap();
        assert_eq!(line, b"1234\n");
        assert!(read_line(&mut log, 5, &mut line).is_err(), "its line break makes it six bytes long");
        let mut end = &b"rest"[..];
        read_line(&mut end, 5, &mut line).unwrap();
        assert_eq!(line, b"rest");
        read_line(&mut end, 5, &mut line).unwrap();
        assert_eq!(line, b"");
    }
}
