//! The bus down, half down and deaf, and the publisher killed at random: what was heard in the end is what
//! was committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use local::aws::{AwsCall, Fault};

use super::{committed, events, heard, life};

/// A small generator, so that a seed says what happens.
struct Dice(AtomicU64);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let step = |state: u64| {
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
        };
        let last = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
                Some(step(state))
            });
        (step(last.unwrap_or_default()) >> 33) % sides
    }
}

#[tokio::test]
async fn an_outage_with_a_publisher_that_is_killed_at_random_loses_and_invents_nothing() {
    let seed = 1_790_000_007;
    let dice = Arc::new(Dice(AtomicU64::new(seed)));
    let mut stack = life::stack().await;
    let chance = Arc::clone(&dice);
    stack.watch.set_fault(Some(Arc::new(move |call: &AwsCall| {
        let of_events = call.operation == "PutEvents" || call.operation == "BatchGetItem";
        if !of_events || call.caller != super::FUNCTION {
            return None;
        }
        let puts = call.operation == "PutEvents";
        match chance.roll(8) {
            0 | 1 => Some(Fault::Fail),
            2 | 3 if puts => Some(Fault::LoseAnswer),
            4 if puts => Some(Fault::LeaveSome),
            5 => Some(Fault::Throttle),
            _ => None,
        }
    })));
    stack.stack.start_stream();
    for part in ["a", "b", "c"] {
        let order = format!("outage-{part}");
        life::a_payment_and_a_refund(&stack, &order).await;
        // Killed wherever it is, and started again where it came to.
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(dice.roll(120))).await;
            stack.stack.stop_stream();
            tokio::time::sleep(Duration::from_millis(dice.roll(30))).await;
            stack.stack.start_stream();
        }
    }
    stack.stack.stop_stream();
    life::everything(&stack).await;
    stack.stack.start_stream();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The outage is over.
    stack.watch.set_fault(None);
    stack.stack.stop_stream();
    stack.stack.start_stream();
    let committed = committed(&stack);
    life::until_heard(&stack, &committed).await;
    assert_eq!(heard(&events(&stack)), committed, "seed {seed}");
}
