//! Ids of findings: short, and the same for the same words.

use std::collections::BTreeSet;

/// Returns an id that is not taken yet, by what names the finding.
pub(super) fn id(parts: &[&str], taken: &mut BTreeSet<String>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    let mut number = hasher.finalize();
    loop {
        let id = format!("f-{number:08x}");
        if taken.insert(id.clone()) {
            return id;
        }
        number = number.wrapping_add(1);
    }
}
