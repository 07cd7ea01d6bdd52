//! L-5, L-7, L-9 and L-10: what WeChat Pay is asked when a backlog drains, a campaign refunds, everybody
//! polls, or it is slow itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::clock::Clock;

use super::notices::give;
use super::{PATIENCE, sum_of};
use crate::Result;
use crate::load::latency::Latency;
use crate::load::locked;
use crate::load::outcome::Outcome;
use crate::load::pace::{Throttle, count_in, play};
use crate::load::pool::{Job, Then};
use crate::load::processor::Window;
use crate::load::scene::{Stage, notice_text, order_event};
use crate::load::tally::Tally;
use crate::world::{World, sweep_event};

/// Orders of which no notice came, half of them paid.
const BACKLOG: u64 = 400;
/// What the sweep's claim of an item says, and no other of its writes.
const CLAIM: &str = "if_not_exists(due_attempts";
/// How often the sweep runs at most.
const SWEEPS_MAX: u64 = 20;
/// Notices a second beside the drain.
const NOTICES_PER_SECOND: f64 = 10.0;

/// Refunds that a campaign wants, the rate at which it asks, and what the route lets through.
const REFUNDS: u64 = 300;
/// What says that a refund is taken, at first and when it is asked for again.
const TAKEN: [u16; 2] = [202, 200];
const REFUNDS_ASKED_PER_SECOND: f64 = 60.0;
/// As template.yaml has it for `POST /orders/{out_trade_no}/refunds`.
const REFUNDS_PER_SECOND: f64 = 20.0;
const REFUNDS_AT_ONCE: f64 = 40.0;
/// What WeChat Pay takes of a merchant in a second.
const WECHATPAY_REFUNDS_PER_SECOND: u64 = 150;

/// Orders that nobody has paid, and how often a second each is asked about.
const POLLED: u64 = 60;
const POLLS_PER_ORDER: f64 = 4.0;
const POLLING: Duration = Duration::from_secs(20);
/// At most one question about an order in so many seconds.
const FLOOR_SECONDS: u64 = 2;

/// Orders and notices a second while WeChat Pay is slow, and for how long.
const SLOW_PER_SECOND: f64 = 20.0;
const SLOW: Duration = Duration::from_secs(30);
const BEFORE: Duration = Duration::from_secs(10);
/// create-order's concurrency.
const SLOW_PROCESSES: usize = 16;

/// L-5.
pub(crate) async fn drain(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("drain").await?;
    let mut outcome = Outcome::of(
        format!(
            "{BACKLOG} overdue orders, half of them paid, no notice of any; one sweep at a time, and {NOTICES_PER_SECOND} \
             notices of other orders a second beside it; 1 + 4 processes"
        ),
        scale,
    );
    let (paid, _) = scene.paid_orders(BACKLOG / 2).await?;
    let mut unpaid = Vec::new();
    for _ in 0..BACKLOG / 2 {
        unpaid.push(scene.world.order().await?);
    }
    // Not in the order in which they were placed.
    let now = Clock::system().wall_millis() / 1_000;
    let mut due: BTreeMap<String, (String, i64)> = BTreeMap::new();
    for (place, number) in (0_i64..).zip(paid.iter().chain(&unpaid)) {
        let since = now - 600 - (place * 7_919) % 86_400;
        scene.world.make_due(number, since)?;
        let item = scene.world.item(number)?;
        let shard = item["due_shard"]["S"].as_str().unwrap_or_default();
        due.insert(format!("ORDER#{number}"), (shard.to_owned(), since));
    }
    let beside = count_in(NOTICES_PER_SECOND, Duration::from_secs(10));
    let (_, notices) = scene.paid_orders(beside).await?;
    let mut sweeps = scene.pool("sweep", 1).await?;
    let mut notifies = scene.pool("notify-callback", 4).await?;
    let (sweep, notify) = (
        Arc::new(Tally::new("a run of the sweep")?),
        Arc::new(Tally::new("notify")?),
    );
    scene.seen.list("SweepFunction");
    scene.wechatpay.watch();
    let window = Window::open([sweeps.processes(), notifies.processes()].concat());
    let events = notices.iter().map(notice_text).collect();
    let telling = give(
        &notifies.door(),
        events,
        &notify,
        NOTICES_PER_SECOND,
        beside,
    );
    let event: Arc<str> = Arc::from(sweep_event().to_string());
    let (mut looked_at, mut failed) = (0, 0);
    for _ in 0..SWEEPS_MAX {
        let answer = sweeps.door().answer(Arc::clone(&event), &sweep).await?;
        let answer: Value = serde_json::from_str(&answer.body)?;
        failed += answer["failed"].as_u64().unwrap_or_default();
        match answer["looked_at"].as_u64() {
            Some(0) | None => break,
            Some(count) => looked_at += count,
        }
    }
    let drained = window.used();
    let late = telling.ended().await?;
    notifies.drained(PATIENCE).await?;
    sweeps.drained(PATIENCE).await?;
    outcome.used(window.used(), late);
    outcome.tally(&sweep);
    outcome.tally(&notify);
    let claimed: Vec<String> = scene
        .seen
        .listed()
        .into_iter()
        .filter(|touched| touched.operation == "UpdateItem" && touched.expression.contains(CLAIM))
        .map(|touched| touched.partition_key)
        .filter(|key| due.contains_key(key))
        .collect();
    outcome.equals(
        "overdue orders that were looked at once",
        claimed.len() as u64,
        BACKLOG,
    );
    outcome.equals("looks that failed", failed, 0);
    outcome.equals(
        "looks at a younger order before an older one of its shard",
        out_of_turn(&claimed, &due),
        0,
    );
    outcome.equals(
        "paid orders whose record says SUCCESS",
        scene.paid(&paid)?,
        BACKLOG / 2,
    );
    outcome.equals(
        "unpaid orders that did not become paid",
        BACKLOG / 2 - scene.paid(&unpaid)?,
        BACKLOG / 2,
    );
    outcome.equals(
        "notices beside it answered with 204",
        notify.with(204),
        beside,
    );
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let per_second = looked_at as f64 / drained.elapsed.as_secs_f64();
    outcome.number("looked_at_per_second", per_second);
    outcome.goal(
        "looks a second: at least 20",
        per_second >= 20.0,
        format!("{per_second:.1}"),
    );
    drop((sweeps, notifies));
    scene.end().await;
    Ok(outcome)
}

/// How many claims came before an older one of the same shard.
fn out_of_turn(claimed: &[String], due: &BTreeMap<String, (String, i64)>) -> u64 {
    let mut youngest: BTreeMap<&str, i64> = BTreeMap::new();
    let mut wrong = 0;
    for key in claimed {
        let Some((shard, since)) = due.get(key) else {
            continue;
        };
        let before = youngest.entry(shard).or_insert(*since);
        if *since < *before {
            wrong += 1;
        }
        *before = (*before).max(*since);
    }
    wrong
}

/// L-7.
pub(crate) async fn refunds(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("refunds").await?;
    let asked_rate = REFUNDS_ASKED_PER_SECOND * scale;
    let (rate, at_once) = (REFUNDS_PER_SECOND * scale, REFUNDS_AT_ONCE * scale);
    let mut outcome = Outcome::of(
        format!(
            "{REFUNDS} refunds of as many orders, asked for at {asked_rate} a second and again where the route's throttle \
             of {rate} a second and {at_once} at once says 429; 16 processes"
        ),
        scale,
    );
    let (numbers, notices) = scene.paid_orders(REFUNDS).await?;
    for notice in &notices {
        scene.world.deliver(notice).await?;
    }
    let route = "POST /orders/{out_trade_no}/refunds";
    let wanted: VecDeque<Arc<str>> = numbers
        .iter()
        .map(|number| {
            let body = json!({
                "out_refund_no": format!("{number}-r"), "amount": {"refund": 200}, "reason": "a campaign",
            });
            let parameters = [("out_trade_no", number.as_str())];
            let event = scene.world.http_event(route, &parameters, Some(body), &[]);
            Arc::from(event.to_string())
        })
        .collect();
    let wanted = Arc::new(Mutex::new(wanted));
    let mut pool = scene.pool("refund", 16).await?;
    let tally = Arc::new(Tally::new("refund")?);
    scene.wechatpay.watch();
    let window = Window::open(pool.processes());
    let throttle = Throttle::new(rate, at_once);
    // As many as can be asked for until the throttle has let all of them through, and some more.
    let tries = count_in(
        asked_rate,
        Duration::from_secs_f64(count(REFUNDS) / rate * 1.5),
    );
    let asking = play(asked_rate, tries, {
        let (door, tally, wanted) = (pool.door(), Arc::clone(&tally), Arc::clone(&wanted));
        move |_, intended| {
            let Some(event) = locked(&wanted).pop_front() else {
                return;
            };
            if !throttle.passes(Instant::now()) {
                tally.turned_away(429);
                locked(&wanted).push_back(event);
                return;
            }
            // Whoever is not told that it is taken asks again, with the same number.
            let (again, same) = (Arc::clone(&wanted), Arc::clone(&event));
            let then: Then = Box::new(move |answer| {
                if !TAKEN.contains(&answer.status) {
                    locked(&again).push_back(same);
                }
            });
            door.give(Job {
                event,
                intended,
                tally: Arc::clone(&tally),
                then: Some(then),
            });
        }
    });
    let late = asking.ended().await?;
    pool.drained(PATIENCE).await?;
    outcome.used(window.used(), late);
    outcome.tally(&tally);
    let sent: Vec<Instant> = scene
        .wechatpay
        .watched()
        .into_iter()
        .filter(|(_, line)| line.starts_with("POST /v3/refund/domestic/refunds "))
        .map(|(at, _)| at)
        .collect();
    let busiest = busiest_second(&sent);
    let taken: u64 = TAKEN.iter().map(|status| tally.with(*status)).sum();
    outcome.equals(
        "refunds answered with 202, or 200 when repeated",
        taken,
        REFUNDS,
    );
    outcome.equals(
        "refunds that are still wanted",
        locked(&wanted).len() as u64,
        0,
    );
    outcome.holds(
        "requests for a refund that WeChat Pay got: at most one for each answer",
        (REFUNDS..=tally.count()).contains(&(sent.len() as u64)),
        sent.len(),
    );
    outcome.holds(
        "such requests in the busiest second: at most 150",
        busiest <= WECHATPAY_REFUNDS_PER_SECOND,
        busiest,
    );
    outcome.equals(
        "refunds that WeChat Pay refused for their frequency",
        frequency_refusals(&scene.world).await?,
        0,
    );
    outcome.number(
        "turned_away_by_the_throttle",
        count(sum_of(&tally.tallied().turned_away)),
    );
    outcome.number("sent_in_the_busiest_second", count(busiest));
    drop(pool);
    scene.end().await;
    Ok(outcome)
}

async fn frequency_refusals(world: &World) -> Result<u64> {
    let rows = world.requests().await?;
    let limited = rows
        .iter()
        .filter(|row| row.to_string().contains("FREQUENCY_LIMITED"));
    Ok(limited.count() as u64)
}

/// How many came in the second in which most did.
fn busiest_second(moments: &[Instant]) -> u64 {
    let within = |from: &Instant| {
        let until = *from + Duration::from_secs(1);
        moments
            .iter()
            .filter(|at| **at >= *from && **at < until)
            .count() as u64
    };
    moments.iter().map(within).max().unwrap_or_default()
}

/// L-9.
pub(crate) async fn polls(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("polls").await?;
    scene.wechatpay.set(Latency::WECHATPAY_STEADY);
    let rate = count(POLLED) * POLLS_PER_ORDER * scale;
    let mut outcome = Outcome::of(
        format!(
            "{POLLED} unpaid orders, {rate} polls a second for {} s, which is {} of each order every 2 s; 24 processes",
            POLLING.as_secs(),
            2.0 * POLLS_PER_ORDER * scale
        ),
        scale,
    );
    let mut events = Vec::new();
    for _ in 0..POLLED {
        let number = scene.world.order().await?;
        events.push(scene.query_event(&number));
    }
    let mut pool = scene.pool("query", 24).await?;
    let tally = Arc::new(Tally::new("query")?);
    scene.wechatpay.watch();
    let window = Window::open(pool.processes());
    let polled = count_in(rate, POLLING);
    let late = give(&pool.door(), events, &tally, rate, polled)
        .ended()
        .await?;
    pool.drained(PATIENCE).await?;
    let used = window.used();
    outcome.used(used, late);
    outcome.tally(&tally);
    let mut asked: BTreeMap<String, Vec<Instant>> = BTreeMap::new();
    for (at, line) in scene.wechatpay.watched() {
        let Some((_, rest)) = line.split_once("/out-trade-no/") else {
            continue;
        };
        let number = rest.split(['?', ' ']).next().unwrap_or_default();
        asked.entry(number.to_owned()).or_default().push(at);
    }
    let most = asked.values().map(Vec::len).max().unwrap_or_default() as u64;
    let bound = used.elapsed.as_secs() / FLOOR_SECONDS + 1;
    let calls: usize = asked.values().map(Vec::len).sum();
    outcome.equals("polls answered with 200", tally.with(200), polled);
    outcome.holds(
        &format!(
            "questions to WeChat Pay about the order asked about most: at most {bound}, one in 2 s"
        ),
        (1..=bound).contains(&most),
        most,
    );
    let apart = asked
        .values()
        .flat_map(|moments| moments.windows(2).map(|pair| pair[1] - pair[0]))
        .min();
    let apart = apart.unwrap_or_default().as_secs_f64();
    // The floor is kept in whole seconds: from the end of one to the beginning of the next but one.
    outcome.holds(
        "two questions about one order lie more than a second apart",
        apart > 1.0,
        format!("{apart:.2} s"),
    );
    outcome.number("questions_to_wechatpay", count(calls as u64));
    outcome.number(
        "polls_per_question",
        count(polled) / count(calls.max(1) as u64),
    );
    drop(pool);
    scene.end().await;
    Ok(outcome)
}

/// L-10.
pub(crate) async fn slow(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("slow").await?;
    let rate = SLOW_PER_SECOND * scale;
    let mut outcome = Outcome::of(
        format!(
            "{rate} orders and {rate} notices a second: {} s as usual, then {} s in which half of WeChat Pay's answers take \
             3 s or longer, then {} s as usual; a request that finds none of create-order's {SLOW_PROCESSES} processes idle \
             is turned away with 503, as Lambda does at a function's concurrency; {SLOW_PROCESSES} + 8 processes",
            BEFORE.as_secs(),
            SLOW.as_secs(),
            BEFORE.as_secs()
        ),
        scale,
    );
    let notices_before = count_in(rate, BEFORE);
    let notices_during = count_in(rate, SLOW);
    let (numbers, notices) = scene.paid_orders(notices_before + notices_during).await?;
    let events: Vec<Arc<str>> = notices.iter().map(notice_text).collect();
    let (before, during) = events.split_at(usize::try_from(notices_before)?);
    let mut creates = scene.pool("create-order", SLOW_PROCESSES).await?;
    let mut notifies = scene.pool("notify-callback", 8).await?;
    let tallies = [
        ("create, as usual", BEFORE),
        ("create, WeChat Pay slow", SLOW),
        ("create, afterwards", BEFORE),
    ];
    let (usual, beside) = (
        Arc::new(Tally::new("notify, as usual")?),
        Arc::new(Tally::new("notify, WeChat Pay slow")?),
    );
    let window = Window::open([creates.processes(), notifies.processes()].concat());
    let mut late = Duration::ZERO;
    let mut placed = Vec::new();
    for (part, (name, time)) in tallies.into_iter().enumerate() {
        scene.wechatpay.set(if part == 1 {
            Latency::WECHATPAY_SLOW
        } else {
            Latency::WECHATPAY_STEADY
        });
        let tally = Arc::new(Tally::new(name)?);
        let placing = play(rate, count_in(rate, time), {
            let (door, world) = (creates.door(), Arc::clone(&scene.world));
            let tally = Arc::clone(&tally);
            move |_, intended| {
                door.give_if_free(Job {
                    event: order_event(&world),
                    intended,
                    tally: Arc::clone(&tally),
                    then: None,
                });
            }
        });
        let door = notifies.door();
        let telling = match part {
            0 => Some(give(&door, before.to_vec(), &usual, rate, notices_before)),
            1 => Some(give(&door, during.to_vec(), &beside, rate, notices_during)),
            _ => None,
        };
        late = late.max(placing.ended().await?);
        if let Some(telling) = telling {
            late = late.max(telling.ended().await?);
        }
        creates.drained(PATIENCE).await?;
        notifies.drained(PATIENCE).await?;
        placed.push(tally);
    }
    outcome.used(window.used(), late);
    for tally in placed.iter().chain([&usual, &beside]) {
        outcome.tally(tally);
    }
    outcome.equals(
        "notices as usual answered with 204",
        usual.with(204),
        notices_before,
    );
    outcome.equals(
        "notices meanwhile answered with 204",
        beside.with(204),
        notices_during,
    );
    outcome.equals(
        "orders whose record says SUCCESS",
        scene.paid(&numbers)?,
        notices_before + notices_during,
    );
    if let [_, slow, after] = placed.as_slice() {
        outcome.equals("invocations of create-order that failed", slow.with(0), 0);
        let shed = sum_of(&slow.tallied().turned_away);
        outcome.equals(
            "orders meanwhile answered with 201 or 503, or turned away",
            slow.with(201) + slow.with(503) + shed,
            count_in(rate, SLOW),
        );
        let (after_all, after_ok) = (count_in(rate, BEFORE), after.with(201));
        outcome.equals("orders afterwards answered with 201", after_ok, after_all);
    }
    let ratio = beside.at(99.0).as_secs_f64() / usual.at(99.0).as_secs_f64().max(1e-9);
    outcome.goal(
        "p99 of notices meanwhile: at most 1.5 × what it was",
        ratio <= 1.5,
        format!("{ratio:.2} ×"),
    );
    drop((creates, notifies));
    scene.end().await;
    Ok(outcome)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use super::{REFUNDS_AT_ONCE, REFUNDS_PER_SECOND, busiest_second, out_of_turn};

    #[test]
    fn the_refunds_throttle_is_the_templates() {
        let template = include_str!("../../../../template.yaml");
        let line = format!(
            "POST /orders/{{out_trade_no}}/refunds: {{ThrottlingRateLimit: {REFUNDS_PER_SECOND}, \
             ThrottlingBurstLimit: {REFUNDS_AT_ONCE}}}"
        );
        assert!(template.contains(&line), "{line}");
    }

    #[test]
    fn a_younger_one_before_an_older_one_of_its_shard_is_seen() {
        let due: BTreeMap<String, (String, i64)> = [
            ("a", "1", 10),
            ("b", "1", 20),
            ("c", "2", 5),
            ("d", "2", 30),
        ]
        .map(|(key, shard, since)| (key.to_owned(), (shard.to_owned(), since)))
        .into();
        let wrong = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
            out_of_turn(&keys, &due)
        };
        assert_eq!(wrong(&["a", "b", "c", "d"]), 0);
        assert_eq!(wrong(&["a", "c", "d", "b"]), 0);
        assert_eq!(wrong(&["b", "a", "d", "c"]), 2);
    }

    #[test]
    fn the_busiest_second_slides() {
        let began = Instant::now();
        let at = [0, 600, 900, 1_200, 1_599, 2_500].map(|ms| began + Duration::from_millis(ms));
        assert_eq!(busiest_second(&at), 4);
        assert_eq!(busiest_second(&[]), 0);
    }
}
