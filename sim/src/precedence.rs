//! Who came before whom: the direct serialization graph (Adya 1999). An order of all transactions and reads that explains every
//! answer and agrees with real time exists exactly if the graph of who had to come before whom has no cycle. Whoever knows
//! the order of the writes to each record knows the graph, so the search is linear in its size. The simulator judges its runs
//! with it, and the tests of whole clusters the histories of their clients.

use std::fmt::Display;

/// A node of the graph.
pub type Place = usize;

/// The graph of nodes that stand for `N`.
#[derive(Clone, Debug)]
pub struct Precedence<N> {
    nodes: Vec<Node<N>>,
    next: Vec<Vec<Place>>,
}

/// When something began and, if it is known, when it had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose.
    pub place: Place,
    /// Nothing of it had happened before.
    pub began: u64,
    /// All of it had happened by then.
    pub ended: Option<u64>,
}

#[derive(Clone, Debug)]
enum Node<N> {
    Of(N),
    /// All that has ended up to a moment.
    Time(u64),
}

impl<N> Default for Precedence<N> {
    fn default() -> Self {
        Precedence { nodes: Vec::new(), next: Vec::new() }
    }
}

impl<N: Display> Precedence<N> {
    /// A node for this.
    pub fn add(&mut self, of: N) -> Place {
        self.push(Node::Of(of))
    }

    fn push(&mut self, node: Node<N>) -> Place {
        self.nodes.push(node);
        self.next.push(Vec::new());
        self.nodes.len() - 1
    }

    /// The one came before the other; nothing if either is not known, or both are the same.
    pub fn edge(&mut self, from: Option<Place>, to: Option<Place>) {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            self.next[from].push(to);
        }
    }

    /// Real time: one node for each end, in a row; what ended leads into it, what begins later follows from it. To be added
    /// once, with all spans.
    pub fn add_time(&mut self, spans: impl IntoIterator<Item = Span>) {
        let mut moments: Vec<(u64, bool, Place)> = Vec::new();
        for Span { place, began, ended } in spans {
            moments.push((began, false, place));
            moments.extend(ended.map(|ended| (ended, true, place)));
        }
        moments.sort_unstable();
        let mut last: Option<(u64, Place)> = None;
        for (moment, ends, place) in moments {
            if !ends {
                self.edge(last.map(|(_, last)| last), Some(place));
                continue;
            }
            let now = match last {
                Some((at, now)) if at == moment => now,
                _ => {
                    let now = self.push(Node::Time(moment));
                    self.edge(last.map(|(_, last)| last), Some(now));
                    last = Some((moment, now));
                    now
                }
            };
            self.edge(Some(place), Some(now));
        }
    }

    /// A cycle, if there is one: takes away whatever has nothing before it (Kahn 1962) and follows what is left.
    #[must_use]
    pub fn cycle(&self) -> Option<Vec<Place>> {
        let mut before = vec![0_u32; self.nodes.len()];
        self.next.iter().flatten().for_each(|to| before[*to] += 1);
        let mut free: Vec<Place> = (0..self.nodes.len()).filter(|place| before[*place] == 0).collect();
        let mut taken = 0;
        while let Some(place) = free.pop() {
            taken += 1;
            for to in &self.next[place] {
                before[*to] -= 1;
                if before[*to] == 0 {
                    free.push(*to);
                }
            }
        }
        if taken == self.nodes.len() {
            return None;
        }
        // Each node that is left has one that is left before it: going backwards comes round.
        let mut previous = vec![None; self.nodes.len()];
        for (from, next) in self.next.iter().enumerate().filter(|(from, _)| before[*from] > 0) {
            next.iter().filter(|to| before[**to] > 0).for_each(|to| previous[*to] = Some(from));
        }
        let mut at = before.iter().position(|count| *count > 0)?;
        let mut seen = vec![false; self.nodes.len()];
        while !std::mem::replace(&mut seen[at], true) {
            at = previous[at]?;
        }
        let mut cycle = vec![at];
        let mut next = previous[at]?;
        while next != at {
            cycle.push(next);
            next = previous[next]?;
        }
        cycle.reverse();
        Some(cycle)
    }

    /// A cycle in words.
    #[must_use]
    pub fn describe(&self, cycle: &[Place]) -> String {
        let name = |place: &Place| match &self.nodes[*place] {
            Node::Of(of) => of.to_string(),
            Node::Time(moment) => format!("time {moment}"),
        };
        let mut names: Vec<String> = cycle.iter().map(name).collect();
        names.dedup_by(|one, other| one.starts_with("time") && other.starts_with("time"));
        format!("no order explains: {}, and again", names.join(" before "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_ended_comes_before_what_began_later() {
        let mut graph = Precedence::default();
        let (first, second) = (graph.add("first"), graph.add("second"));
        let spans = [Span { place: first, began: 1, ended: Some(2) }, Span { place: second, began: 3, ended: None }];
        graph.edge(Some(second), Some(first));
        assert_eq!(graph.cycle(), None);
        graph.add_time(spans);
        let cycle = graph.cycle().unwrap();
        assert_eq!(cycle.len(), 3, "{}", graph.describe(&cycle));
    }

    #[test]
    fn what_overlaps_may_come_in_either_order() {
        let mut graph = Precedence::default();
        let (first, second) = (graph.add("first"), graph.add("second"));
        graph.edge(Some(second), Some(first));
        graph.add_time([Span { place: first, began: 1, ended: Some(3) }, Span { place: second, began: 2, ended: Some(4) }]);
        assert_eq!(graph.cycle(), None);
        graph.edge(Some(first), Some(second));
        assert!(graph.cycle().is_some());
    }
}
