//! Circles of a directed graph: Tarjan's strongly connected components with more than one node.

use std::collections::{BTreeMap, BTreeSet};

/// A graph: each node with its successors.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// Returns the circles, each sorted.
pub(crate) fn of(graph: &Graph) -> Vec<Vec<String>> {
    let mut search = Search { graph, numbers: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for node in graph.keys() {
        if !search.numbers.contains_key(node.as_str()) {
            search.visit(node);
        }
    }
    search.found.sort();
    search.found
}

/// A search in a graph.
struct Search<'g> {
    graph: &'g Graph,
    /// The number of each visited node, in the order of visits; `usize::MAX` as soon as its component is complete.
    numbers: BTreeMap<&'g str, usize>,
    /// The visited nodes whose components are not complete.
    stack: Vec<&'g str>,
    /// The components with more than one node.
    found: Vec<Vec<String>>,
}

impl<'g> Search<'g> {
    /// Visits a node. Returns the lowest number that is reached from it.
    fn visit(&mut self, node: &'g str) -> usize {
        let number = self.numbers.len();
        self.numbers.insert(node, number);
        self.stack.push(node);
        let mut lowest = number;
        for next in self.graph.get(node).into_iter().flatten() {
            let reached = match self.numbers.get(next.as_str()) {
                Some(reached) => *reached,
                None => self.visit(next),
            };
            lowest = lowest.min(reached);
        }
        if lowest == number {
            let from = self.stack.iter().rposition(|visited| *visited == node).unwrap();
            let mut component: Vec<String> = self.stack.drain(from..).map(str::to_owned).collect();
            for member in &component {
                *self.numbers.get_mut(member.as_str()).unwrap() = usize::MAX;
            }
            component.sort();
            if component.len() > 1 {
                self.found.push(component);
            }
        }
        lowest
    }
}
