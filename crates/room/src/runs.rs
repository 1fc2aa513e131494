//! The runs in a directory: the list of runs (`list`), the folder of a run (`folder`), and its course by its log (`course`).

mod course;
mod folder;
mod list;

pub(crate) use course::{Asks, Course, Next};
pub(crate) use firedrill_files::regular::open as open_file;
pub(crate) use firedrill_judge::log::is_written;
pub(crate) use folder::{LINE_MOST, LOG, find, read_file, read_line};
pub(crate) use list::{Page, Runs};
