//! Adds peers to the chains of an injection that is in force, from other threads of this process. Never makes or removes chains.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use firedrill_wire::InjectionId;
use ipnet::IpNet;

use super::{Made, Program, locked, prefix};
use crate::{nft::expr::Family, peer_set::Adds};

/// Adds peers to the chains of one injection.
#[derive(Debug)]
pub struct Adder {
    made: Arc<Mutex<BTreeMap<InjectionId, Made>>>,
    id: InjectionId,
    program: String,
}

impl Adder {
    pub(super) fn new(
        made: Arc<Mutex<BTreeMap<InjectionId, Made>>>,
        id: &InjectionId,
        program: &str,
    ) -> Self {
        Self { made, id: id.clone(), program: program.to_owned() }
    }
}

impl Adds for Adder {
    fn is_there(&self) -> Result<bool, String> {
        Ok(locked(&self.made).contains_key(&self.id))
    }

    fn add(&self, networks: &[IpNet]) -> Result<(), String> {
        let Some(made) = locked(&self.made).get(&self.id).cloned() else { return Ok(()) };
        for (family, chains) in &made.chains {
            let of_family =
                networks.iter().filter(|network| network.addr().is_ipv4() == (*family == Family::V4));
            let names: Vec<&str> = chains.iter().map(|(name, _)| name.as_str()).collect();
            let rules: Vec<_> =
                of_family.flat_map(|network| rules(&prefix(&self.id), &names, network)).collect();
            if rules.is_empty() {
                continue;
            }
            let mut text = format!("*{}\n", made.table);
            for rule in rules {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "{rule}");
            }
            let program = Program::new(&self.program, *family);
            program.restore(&(text + "COMMIT\n")).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Returns the rules that choose one more peer: for each hook, one for each end (source or destination) at which the peer may be. The name of
/// the chain that such a rule jumps to is the prefix, the hook's letter and the end's letter.
fn rules(prefix: &str, chains: &[&str], peer: &IpNet) -> Vec<String> {
    let ends = chains.iter().filter_map(|chain| match chain.strip_prefix(prefix)?.as_bytes() {
        [hook, end @ (b's' | b'd')] => Some((char::from(*hook), char::from(*end), chain)),
        _ => None,
    });
    ends.map(|(hook, end, chain)| format!("-A {prefix}{hook} -{end} {peer} -j {chain}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_gets_one_rule_for_each_hook_and_end() {
        let chains =
            ["fd_1_do", "fd_1_is", "fd_1_i", "fd_1_ij", "fd_1_fs", "fd_1_fd", "fd_1_f", "fd_1_fj", "fd_1_p"];
        let peer = "10.0.0.1/32".parse().expect("a network");
        assert_eq!(
            rules("fd_1_", &chains, &peer),
            [
                "-A fd_1_i -s 10.0.0.1/32 -j fd_1_is",
                "-A fd_1_f -s 10.0.0.1/32 -j fd_1_fs",
                "-A fd_1_f -d 10.0.0.1/32 -j fd_1_fd"
            ]
        );
    }
}
