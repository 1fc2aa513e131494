//! The runs in a directory: the list of them, the folder of one, and its course by its log.

mod course;
mod folder;
mod list;

pub(crate) use course::{Course, is_written};
pub(crate) use folder::{LINE_MOST, LOG, find, open_file, read_file, read_line};
pub(crate) use list::{Page, Runs};
