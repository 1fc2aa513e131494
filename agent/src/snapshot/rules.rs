//! Policy routing: the rules that choose a routing table. Attribute 6 is the priority (`FRA_PRIORITY`).

use std::collections::BTreeMap;

use firedrill_netlink::attr;

use super::{
    mask::{canonical, hex, keep},
    route_dump::{RULES, dump},
    seen::{SnapshotError, put},
};
use crate::host::Host;

/// Adds all rules.
pub(super) fn observe(_: &Host, into: &mut BTreeMap<String, String>) -> Result<(), SnapshotError> {
    for (family, label) in [(libc::AF_INET, "ip"), (libc::AF_INET6, "ip6")] {
        let mut header = [0; 12];
        header[0] = u8::try_from(family).unwrap_or(0);
        for rule in dump("policy routing rules", RULES, &header)? {
            let priority = attr::find(&rule.attrs, 6)
                .and_then(|four| four.try_into().ok())
                .map_or(0, u32::from_ne_bytes);
            let value = format!("{} {}", hex(&rule.header), canonical(&rule.attrs, keep));
            put(into, &format!("rule:{label} priority {priority}"), value);
        }
    }
    Ok(())
}
