//! The examples of a page. They are the parts of one file, each with the heading of its section.

/// A part of an example file, from its line `#: HEADING` to the next such line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The heading of its section, without marks.
    pub heading: String,
    /// Its lines.
    pub text: String,
}

impl Example {
    /// Returns the parts of a file, in the order of the file. Lines before the first heading are in none of them.
    #[must_use]
    pub fn all(file: &str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for line in file.lines() {
            match (line.strip_prefix("#: "), all.last_mut()) {
                (Some(heading), _) => {
                    all.push(Self { heading: heading.trim().to_owned(), text: String::new() });
                }
                (None, Some(part)) => {
                    part.text.push_str(line);
                    part.text.push('\n');
                }
                (None, None) => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_at_its_headings() {
        let all = Example::all("# about\n#: top\na = 1\n\n#: [b]\n[b]\nc = 2\n");
        let parts: Vec<(&str, &str)> = all.iter().map(|one| (&*one.heading, &*one.text)).collect();
        assert_eq!(parts, [("top", "a = 1\n\n"), ("[b]", "[b]\nc = 2\n")]);
    }
}
