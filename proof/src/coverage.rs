//! What the seeds reached, and what they must reach.

use crate::fault::{Fault, Place};
use crate::weather::{Edges, Outcome, Struck};

/// How many seeds reach everything: of the first 2 000 the rarest steps were taken two and three times.
pub const ENOUGH: u64 = 2_000;

/// The steps from state to state that there are, of orders and refunds: each must be seen, and no other may
/// be.
pub const EDGES: &[&str] = &[
    "order - NOTPAY",
    "order NOTPAY CLOSING",
    "order NOTPAY CLOSED",
    "order NOTPAY SUCCESS",
    "order CLOSING CLOSED",
    "order CLOSING SUCCESS",
    "order CLOSED SUCCESS",
    "refund - REQUESTED",
    "refund - RESERVED",
    "refund REQUESTED RESERVED",
    "refund REQUESTED REJECTED",
    "refund RESERVED PROCESSING",
    "refund RESERVED ABNORMAL",
    "refund RESERVED CLOSED",
    "refund RESERVED SUCCESS",
    "refund RESERVED WITHDRAWING",
    "refund PROCESSING ABNORMAL",
    "refund PROCESSING CLOSED",
    "refund PROCESSING SUCCESS",
    "refund ABNORMAL CLOSED",
    "refund ABNORMAL SUCCESS",
    "refund WITHDRAWING PROCESSING",
    "refund WITHDRAWING ABNORMAL",
    "refund WITHDRAWING CLOSED",
    "refund WITHDRAWING SUCCESS",
    "refund WITHDRAWING WITHDRAWN",
    "refund WITHDRAWN PROCESSING",
    "refund WITHDRAWN ABNORMAL",
    "refund WITHDRAWN CLOSED",
    "refund WITHDRAWN SUCCESS",
];

/// A step's name: of what, from where, to where.
pub(crate) fn edge(of: &str, before: &str, after: &str) -> String {
    let before = if before.is_empty() { "-" } else { before };
    format!("{of} {before} {after}")
}

/// What was reached so far.
#[derive(Debug, Default)]
pub struct Coverage {
    struck: Struck,
    edges: Edges,
}

impl Coverage {
    /// Adds what a plan reached.
    pub fn add(&mut self, outcome: &Outcome) {
        for (met, count) in &outcome.struck {
            *self.struck.entry(*met).or_default() += count;
        }
        for (edge, count) in &outcome.edges {
            *self.edges.entry(edge.clone()).or_default() += count;
        }
    }

    /// What should have been reached and was not.
    pub fn missing(&self) -> Vec<String> {
        let edges = EDGES.iter().filter(|edge| !self.edges.contains_key(**edge));
        let mut missing: Vec<String> = edges.map(|edge| (*edge).to_owned()).collect();
        for fault in Fault::ALL {
            for place in Place::ALL {
                if fault.is_possible_at(*place) && !self.struck.contains_key(&(*fault, *place)) {
                    missing.push(format!("{} at {}", fault.as_str(), place.as_str()));
                }
            }
        }
        missing
    }

    /// A table for a person.
    pub fn table(&self) -> String {
        let mut table = String::from("states:\n");
        for (edge, count) in &self.edges {
            table.push_str(&format!("  {edge:<36} {count:>8}\n"));
        }
        table.push_str("faults:\n");
        for fault in Fault::ALL {
            let places = Place::ALL.iter().filter_map(|place| {
                let count = self.struck.get(&(*fault, *place))?;
                Some(format!("{} {count}", place.as_str()))
            });
            let places: Vec<String> = places.collect();
            table.push_str(&format!("  {:<10} {}\n", fault.as_str(), places.join(", ")));
        }
        table
    }
}
