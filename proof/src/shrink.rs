//! Makes a failing plan shorter while it still fails.

use crate::op::Plan;
use crate::run::run;

/// How many plans are tried at most.
const TRIES_MAX: u32 = 300;

/// The shortest plan that was found to fail, and what it breaks.
pub fn shrink(plan: &Plan) -> (Plan, String) {
    let mut shortest = plan.clone();
    let mut broken = run(plan, false).broken.unwrap_or_default();
    let mut tries = 0;
    loop {
        let before = shortest.clone();
        for shorter in shorter_plans(&before) {
            if tries == TRIES_MAX {
                return (shortest, broken);
            }
            tries += 1;
            // What was found to be of no use in one place is mostly of none beside the others.
            if let Some(still) = run(&shorter, false).broken {
                (shortest, broken) = (shorter, still);
                break;
            }
        }
        if shortest == before {
            return (shortest, broken);
        }
    }
}

/// Plans with less in them: the halves first, then one step less, then one fault less.
fn shorter_plans(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    let count = plan.steps.len();
    let with_steps = |steps| Plan {
        steps,
        ..plan.clone()
    };
    let mut size = count / 2;
    while size > 0 {
        for start in (0..count).step_by(size) {
            let end = (start + size).min(count);
            let mut steps = plan.steps.clone();
            steps.drain(start..end);
            plans.push(with_steps(steps));
        }
        size /= 2;
    }
    if plan.switches.aim().is_some() {
        plans.push(Plan {
            switches: plan.switches.without_aim(),
            ..plan.clone()
        });
    }
    for fault in plan.switches.iter() {
        plans.push(Plan {
            switches: plan.switches.without(fault),
            ..plan.clone()
        });
    }
    plans
}
