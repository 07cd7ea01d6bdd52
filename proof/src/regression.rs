//! Plans that failed once: they run before any seed.

use serde::{Deserialize, Serialize};

use crate::op::Plan;

/// The file, one plan a line.
const FILE: &str = include_str!("../regressions.jsonl");

/// A plan that failed, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Regression {
    /// What was broken, in a sentence.
    pub why: String,
    /// The plan.
    pub plan: Plan,
}

/// All of them.
///
/// # Errors
/// Names the line that is no plan.
pub fn regressions() -> Result<Vec<Regression>, String> {
    let lines = FILE.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(place, line)| {
            serde_json::from_str(line)
                .map_err(|error| format!("line {} of regressions.jsonl: {error}", place + 1))
        })
        .collect()
}

/// The line that keeps a plan.
pub fn line(why: &str, plan: &Plan) -> String {
    let kept = Regression {
        why: why.chars().take(200).collect(),
        plan: plan.clone(),
    };
    serde_json::to_string(&kept).unwrap_or_default()
}
