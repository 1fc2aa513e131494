//! Ids of findings. They are short, and computed from the texts that identify a finding.

use std::collections::BTreeSet;

/// Computes an id from the texts that identify a finding. The ids in `taken` are not used again; the new id is added to them.
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
