//! Conditions of iptables rules as text, and their combinations.

/// Maximum number of ports in one rule; a range counts as two.
const PORTS: usize = 15;

/// Returns each rule combined with each clause; the rules unchanged if there is no clause.
pub(super) fn each(rules: Vec<String>, clauses: &[String]) -> Vec<String> {
    if clauses.is_empty() {
        return rules;
    }
    rules.iter().flat_map(|rule| clauses.iter().map(move |clause| format!("{rule}{clause}"))).collect()
}

/// Returns ports as clauses, with as many ports in each as fit.
pub(super) fn chunks(ports: &[(u16, u16)], side: &str) -> Vec<String> {
    let mut clauses = Vec::new();
    let (mut list, mut used) = (Vec::new(), 0);
    let clause = |list: &[String]| format!("-m multiport {side} {} ", list.join(","));
    for (first, last) in ports {
        let (text, takes) =
            if first == last { (first.to_string(), 1) } else { (format!("{first}:{last}"), 2) };
        if used + takes > PORTS {
            clauses.push(clause(&list));
            (list, used) = (Vec::new(), 0);
        }
        list.push(text);
        used += takes;
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
    fn ports_are_split_where_a_rule_is_full() {
        let singles: Vec<_> = (1..=15).map(|port| (port, port)).collect();
        assert_eq!(chunks(&singles, "--dports").len(), 1);
        let mut more = singles;
        more.push((100, 200));
        assert_eq!(
            chunks(&more, "--dports"),
            [
                "-m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15 ".to_owned(),
                "-m multiport --dports 100:200 ".to_owned()
            ]
        );
        assert!(chunks(&[], "--dports").is_empty());
    }
}
