//! Names and texts in the form that tables of keys need.

/// The names for people of some types of values. Other types keep their own name.
const CALLED: [(&str, &str); 7] = [
    ("Span", "duration"),
    ("Share", "share"),
    ("BitRate", "rate"),
    ("ByteSize", "size"),
    ("EventRate", "events in a time"),
    ("PortRange", "port"),
    ("Pick", "number of hosts"),
];

/// Returns the name of a type for people.
pub(super) fn called(name: &str) -> &str {
    CALLED.iter().find(|(of_type, _)| *of_type == name).map_or(name, |(_, word)| word)
}

/// Escapes a text so that it may stand in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
