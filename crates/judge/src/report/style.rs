//! The style sheet of all pages.

/// The style sheet of pages: light and dark, phone, desk and paper.
pub const STYLE: &str = include_str!("page.css");
