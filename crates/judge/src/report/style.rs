//! The style sheet of all pages.

/// The style sheet of pages, for light and dark mode, for phones, desktops and print.
pub const STYLE: &str = include_str!("page.css");
