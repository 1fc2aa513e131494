//! Names and texts as they stand in a table of keys.

/// Names of types of values for people. Other types are called by their own name.
const CALLED: [(&str, &str); 6] = [
    ("Span", "duration"),
    ("Share", "share"),
    ("BitRate", "rate"),
    ("ByteSize", "size"),
    ("PortRange", "port"),
    ("Pick", "number of hosts"),
];

/// Returns the name of a type for people.
pub(super) fn called(name: &str) -> &str {
    CALLED.iter().find(|(of, _)| *of == name).map_or(name, |(_, word)| word)
}

/// A text that may stand in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
