//! Runs a plan from its beginning to its end, in a runtime of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::op::Plan;
use crate::walk::Walk;
use crate::weather::{Outcome, Weather};
use crate::world::{Ground, World};

/// Runs a plan; `keep` keeps what happened for a person.
pub fn run(plan: &Plan, keep: bool) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| try_to_run(plan, keep)));
    let broken = match ran {
        Ok(Ok(outcome)) => return outcome,
        Ok(Err(why)) => why,
        Err(_) => "it panicked".to_owned(),
    };
    Outcome {
        broken: Some(broken),
        ..Outcome::default()
    }
}

fn try_to_run(plan: &Plan, keep: bool) -> Result<Outcome, String> {
    let ground = Ground::of(plan.signs)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let weather = Weather::new(plan.seed, plan.switches.clone(), keep);
        let world = World::new(ground, plan.seed, weather)?;
        let mut walk = Walk::begin(&world, plan.signs).await;
        for step in &plan.steps {
            walk.perform(step).await;
            if world.weather.first_broken().is_some() {
                return Ok(world.weather.finish());
            }
        }
        walk.rest().await;
        Ok(world.weather.finish())
    })
}
