//! Imports among the files of each crate point one way: no file imports, by any number of steps, a file that imports it.
//!
//! A circle means that neither file is understood, moved or tested without the other. Reads the source, and compiles nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "imports/circles.rs"]
mod circles;
#[path = "imports/source.rs"]
mod source;

use std::path::Path;

/// The crates' sources, each with its circles that are still there. A circle that is cut is taken off this list; none is added.
const CRATES: [(&str, &[&str]); 7] = [
    (
        "wire/src",
        &["fault fault/invalid fault/kind fault/peers fault/process fault/service fault/traffic touches"],
    ),
    ("probe/src", &[]),
    ("crates/netlink/src", &[]),
    ("crates/packets/src", &[]),
    (
        "agent/src",
        &[
            "fault/net/detour fault/net/rules/choice fault/net/rules/choosing fault/net/rules/exempt",
            "fault/net/iptables fault/net/table_fault",
            "fault/net/kernel fault/net/shape fault/net/user_space",
            "host/iptables/chains host/iptables/program host/iptables/seen",
            "host/link/link_state host/link/link_state/entry",
            "host/nft host/nft/transact",
            "policy/named policy/rule",
            "serve/audited serve/calls serve/identity serve/routes serve/stream serve/tls",
            "service/systemd service/systemd/about",
            "supervisor supervisor/permit supervisor/state",
        ],
    ),
    (
        "lab/src",
        &[
            "coordinator_ns dispatch exec host lab preflight root root/cables spec",
            "root/power root/serve root/watch",
            "shop/balance shop/edge shop/haproxy shop/proxy",
        ],
    ),
    (
        "src",
        &[
            "cli/common cli/lab",
            "log/measured log/read",
            "plan/load plan/refuse",
            "report/view report/view/alike report/view/figures",
            "run run/input",
            "scenario/diagnose scenario/hidden scenario/spot scenario/tree",
            "score score/judge score/part score/requests score/samples score/share score/stream score/time_goals statistics/turning",
            "score/exchanged score/facts",
        ],
    ),
];

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (src, known) in CRATES {
        let files = source::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(src).as_path());
        assert!(files.len() > 5, "{src} has files");
        let found = circles::of(&source::imports(&files));
        let found: Vec<String> = found.iter().map(|circle| circle.join(" ")).collect();
        wrong.extend(
            found.iter().filter(|one| !known.contains(&one.as_str())).map(|one| format!("{src}: {one}")),
        );
        let gone = known.iter().filter(|one| !found.iter().any(|found| found == *one));
        wrong.extend(gone.map(|one| format!("{src}: this circle is gone, take it off the list: {one}")));
    }
    assert!(wrong.is_empty(), "files that import each other, by some steps:\n{}", wrong.join("\n"));
}

#[test]
fn a_circle_over_a_third_file_and_a_new_name_is_found() {
    let file = |module: &str, text: &str| (source::module(module), syn::parse_file(text).unwrap());
    let files = [
        file("", "mod a; pub mod b; mod c; pub use c::Deep;"),
        file("a", "use crate::b::{self, Thing as Other};"),
        file("b", "pub struct Thing; fn f() { crate::Deep::new(); }"),
        file("c", "pub struct Deep; impl Deep { pub fn new() { super::a::g() } }"),
        file("d", "#[cfg(test)] mod tests { use crate::e::One; }"),
        file("e", "use super::d::Two;"),
    ]
    .into();
    assert_eq!(circles::of(&source::imports(&files)), [["a", "b", "c"]]);
}
