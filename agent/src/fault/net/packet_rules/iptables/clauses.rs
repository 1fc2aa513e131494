//! Conditions of iptables rules as text, and their combinations. Knows no fault.

/// Maximum number of ports in one rule, by iptables' match `multiport`; a range counts as two.
const PORTS: usize = 15;

/// Returns each rule combined with each clause. Returns the rules unchanged if there is no clause.
pub(super) fn each_with(rules: Vec<String>, clauses: &[String]) -> Vec<String> {
    if clauses.is_empty() {
        return rules;
    }
    rules.iter().flat_map(|rule| clauses.iter().map(move |clause| format!("{rule}{clause}"))).collect()
}

/// Returns clauses for ranges of ports (first and last), with as many ranges in each clause as fit. `option` is `--sports` or
/// `--dports`.
pub(super) fn port_clauses(ranges: &[(u16, u16)], option: &str) -> Vec<String> {
    let mut clauses = Vec::new();
    let (mut list, mut used) = (Vec::new(), 0);
    let clause = |list: &[String]| format!("-m multiport {option} {} ", list.join(","));
    for (first, last) in ranges {
        let (text, places) =
            if first == last { (first.to_string(), 1) } else { (format!("{first}:{last}"), 2) };
        if used + places > PORTS {
            clauses.push(clause(&list));
            (list, used) = (Vec::new(), 0);
        }
        list.push(text);
        used += places;
    }
    if !list.is_empty() {
        clauses.push(clause(&list));
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_split_when_a_rule_is_full() {
        let singles: Vec<_> = (1..=15).map(|port| (port, port)).collect();
        assert_eq!(port_clauses(&singles, "--dports").len(), 1);
        let mut more = singles;
        more.push((100, 200));
        assert_eq!(
            port_clauses(&more, "--dports"),
            [
                "-m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 ".to_owned(),
                "-m multiport --dports 100:200 ".to_owned()
            ]
        );
        assert!(port_clauses(&[], "--dports").is_empty());
    }
}
