//! L-8: many cold starts at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PATIENCE;
use crate::Result;
use crate::load::latency::Latency;
use crate::load::outcome::Outcome;
use crate::load::pool::{Job, Pool};
use crate::load::processor::{Usage, Window};
use crate::load::scene::Stage;
use crate::load::tally::Tally;

/// How many processes start at once.
const PROCESSES: f64 = 200.0;

/// The time within which each of them has to have answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);

/// L-8.
pub(crate) async fn wave(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("cold").await?;
    scene.wechatpay.set(Latency::WECHATPAY_STEADY);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    let processes = (PROCESSES * scale).round().max(1.0) as u64;
    let mut outcome = Outcome::of(
        format!(
            "{processes} processes of create-order start at once on one processor, each for one order; times are from the \
             wave's first moment"
        ),
        scale,
    );
    let environment = scene.world.environment("create-order")?;
    let tally = Arc::new(Tally::new("create, cold")?);
    let mut pools = Vec::new();
    let window = Window::open(Vec::new());
    let intended = Instant::now();
    for _ in 0..processes {
        let pool = scene.starting("create-order", &environment).await?;
        pool.door().give(Job {
            event: scene.order_event(),
            intended,
            tally: Arc::clone(&tally),
            then: None,
        });
        pools.push(pool);
    }
    for pool in &mut pools {
        pool.drained(PATIENCE).await?;
    }
    let all: Vec<u32> = pools.iter().flat_map(Pool::processes).collect();
    let mut used = window.used();
    used.system = Usage::of(&all);
    outcome.used(used, Duration::ZERO);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let each = used.system.ran.as_secs_f64() * 1e3 / processes as f64;
    outcome.number("cold_start_cpu_ms", each);
    outcome.tally(&tally);
    outcome.equals("orders answered with 201", tally.with(201), processes);
    let secrets = scene.seen.secrets();
    let once = secrets
        .values()
        .filter(|count| **count == processes)
        .count() as u64;
    outcome.equals(
        "secrets that each process read exactly once",
        once,
        secrets.len() as u64,
    );
    outcome.equals("secrets of create-order", secrets.len() as u64, 3);
    let longest = tally.at(100.0);
    outcome.goal(
        "every answer within 4 s of the wave's first moment",
        longest <= ANSWERED_WITHIN,
        format!("{:.1} s", longest.as_secs_f64()),
    );
    drop(pools);
    scene.end().await;
    Ok(outcome)
}
