//! Hides the values of parameters that are secrets.

use std::collections::BTreeMap;

use super::{Clear, HIDDEN, names_secret};
use crate::probe::ProbeKind;

/// Shorter values may stand in any request by chance, in bytes.
const LEAST: usize = 3;

/// Returns the values by name. A value is hidden if its name is that of a secret, or if a hidden text of a request contains it.
#[must_use]
pub fn params<'p>(
    values: &BTreeMap<String, String>,
    probes: impl IntoIterator<Item = &'p ProbeKind>,
) -> BTreeMap<String, String> {
    let clear: Vec<Clear> = probes.into_iter().flat_map(|kind| kind.about().clear).collect();
    let secret = |name: &str, value: &str| {
        names_secret(name) || (value.len() >= LEAST && clear.iter().any(|hidden| hidden.text.contains(value)))
    };
    let shown = |(name, value): (&String, &String)| {
        let value = if secret(name, value) { HIDDEN.to_owned() } else { value.clone() };
        (name.clone(), value)
    };
    values.iter().map(shown).collect()
}
