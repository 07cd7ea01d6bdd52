//! How long a write waits that meets other writes each time, in exact time.

use serde_json::json;

use super::in_a_world_with;
use crate::fault::{Fault, Place};
use crate::world::MERCHANT_KEY;

/// What a write that is given up has waited between its four tries: half to all of 50, 100 and 200 ms. What
/// the calls themselves take comes on top, and is less than the rest of half a second.
const WAITED_MS: std::ops::Range<i64> = 175..500;

#[test]
fn a_write_that_meets_others_each_time_gives_them_time_and_is_given_up_within_half_a_second() {
    let always = json!({"on": ["Conflict"], "percent": 100});
    in_a_world_with(always, async |world| {
        world.weather.begin_step(0);
        let bearer = format!("Bearer {MERCHANT_KEY}");
        let headers = [("authorization", bearer.as_str())];
        let body = json!({
            "trade_type": "native", "out_trade_no": "busy-0001", "description": "Tea",
            "amount": {"total": 500},
        });
        let began = world.weather.elapsed_ms();
        let body = body.to_string().into_bytes();
        let call = world.processes.call("POST", "/orders", &headers, &body);
        let answer = call.await;
        let took = world.weather.elapsed_ms() - began;
        assert_eq!(answer.body["code"], "concurrent_changes", "{answer:?}");
        let outcome = world.weather.finish();
        assert_eq!(outcome.struck[&(Fault::Conflict, Place::Write)], 4);
        assert!(WAITED_MS.contains(&took), "{took} ms");
    });
}
