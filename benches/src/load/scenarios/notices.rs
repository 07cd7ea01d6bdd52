//! L-3, L-4 and L-6: one notice again and again, one order that everybody wants, and notices that
//! nobody signed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::PATIENCE;
use crate::Result;
use crate::load::outcome::Outcome;
use crate::load::pace::{count_in, play};
use crate::load::pool::{Door, Job};
use crate::load::processor::{Used, Window};
use crate::load::scene::{Scene, Stage, notice_text};
use crate::load::tally::Tally;
use crate::numbers::{EXCHANGE, HELLO};
use crate::world::{Notice, notice_event};

/// Processes of notify-callback.
const PROCESSES: usize = 8;

/// The function's logical id, under which it calls AWS.
const NOTIFY: &str = "NotifyCallbackFunction";

/// How often the one notice comes, and at which rate.
const DUPLICATES: u64 = 20_000;
const DUPLICATES_PER_SECOND: f64 = 500.0;
/// A notice is believed for five minutes, in which all of them have to come.
const DUPLICATES_PER_SECOND_MIN: f64 = 80.0;

/// What one order is asked and told, a second, and for how long.
const HOT_NOTICES: f64 = 200.0;
const HOT_QUERIES: f64 = 100.0;
const HOT: Duration = Duration::from_secs(20);

/// What DynamoDB gives one partition, in units a second, and the notices a second for which that is
/// asked.
const PARTITION_WRITES: f64 = 1_000.0;
const PARTITION_READS: f64 = 3_000.0;
const PARTITION_NOTICES: f64 = 1_000.0;

/// A flood that one processor can refuse and one that it may not, the genuine notices beside them, a
/// second, and for how long each part lasts.
const WAVE_PER_SECOND: f64 = 2_000.0;
const FORGED_PER_SECOND: f64 = 5_000.0;
const GENUINE_PER_SECOND: f64 = 20.0;
const FLOOD: Duration = Duration::from_secs(10);

/// The last characters of a signature's Base64, which are not turned round.
const SIGNATURES_END: usize = 4;

/// What a refusal may cost of processor time, in microseconds.
const REFUSAL_MAX_US: f64 = 60.0;

/// L-3.
pub(crate) async fn duplicates(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("duplicates").await?;
    let rate = (DUPLICATES_PER_SECOND * scale).max(DUPLICATES_PER_SECOND_MIN);
    let mut outcome = Outcome::of(
        format!("one notice {DUPLICATES} times, {rate} a second; {PROCESSES} processes"),
        scale,
    );
    let (numbers, notices) = scene.paid_orders(1).await?;
    let mut pool = scene.pool("notify-callback", PROCESSES).await?;
    let tally = Arc::new(Tally::new("notify")?);
    let window = Window::open(pool.processes());
    let events = notices.iter().map(notice_text).collect();
    let late = give(&pool.door(), events, &tally, rate, DUPLICATES)
        .ended()
        .await?;
    pool.drained(PATIENCE).await?;
    outcome.used(window.used(), late);
    outcome.tally(&tally);
    outcome.equals("notices answered with 204", tally.with(204), DUPLICATES);
    outcome.equals("orders whose record says SUCCESS", scene.paid(&numbers)?, 1);
    outcome.equals("changes to paid in the table's stream", total(&scene)?, 1);
    // Those that came while the first was being written may try too, and lose.
    let attempts = scene.seen.count(NOTIFY, "UpdateItem");
    let what = "attempts to write, of which one succeeded: at most one for each process";
    outcome.holds(what, (1..=PROCESSES as u64).contains(&attempts), attempts);
    outcome.number("reads", count(scene.seen.count(NOTIFY, "GetItem")));
    outcome.number("writes_attempted", count(attempts));
    per_request(&mut outcome, "notify_cpu_us", window.used(), DUPLICATES);
    drop(pool);
    scene.end().await;
    Ok(outcome)
}

/// L-4.
pub(crate) async fn hot(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("hot").await?;
    let (notices_rate, queries_rate) = (HOT_NOTICES * scale, HOT_QUERIES * scale);
    // As much less of a partition as there are fewer notices.
    let part = notices_rate / PARTITION_NOTICES;
    let (writes_max, reads_max) = (PARTITION_WRITES * part, PARTITION_READS * part);
    let mut outcome = Outcome::of(
        format!(
            "one order: {notices_rate} notices and {queries_rate} queries a second for {} s; the table throttles its key \
             above {writes_max} write and {reads_max} read units a second, which is to that rate what 1000 and 3000 are \
             to 1000 notices; {PROCESSES} + {PROCESSES} processes",
            HOT.as_secs()
        ),
        scale,
    );
    let (numbers, notices) = scene.paid_orders(1).await?;
    let number = numbers.first().cloned().unwrap_or_default();
    scene
        .seen
        .bound(format!("ORDER#{number}"), writes_max, reads_max);
    let mut notifies = scene.pool("notify-callback", PROCESSES).await?;
    let mut queries = scene.pool("query", PROCESSES).await?;
    let (notify, query) = (
        Arc::new(Tally::new("notify")?),
        Arc::new(Tally::new("query")?),
    );
    let window = Window::open([notifies.processes(), queries.processes()].concat());
    let events = notices.iter().map(notice_text).collect();
    let told = count_in(notices_rate, HOT);
    let telling = give(&notifies.door(), events, &notify, notices_rate, told);
    let asked = vec![scene.query_event(&number)];
    let asked_count = count_in(queries_rate, HOT);
    let asking = give(&queries.door(), asked, &query, queries_rate, asked_count);
    let late = telling.ended().await?.max(asking.ended().await?);
    notifies.drained(PATIENCE).await?;
    queries.drained(PATIENCE).await?;
    outcome.used(window.used(), late);
    outcome.tally(&notify);
    outcome.tally(&query);
    let units = scene.seen.units();
    outcome.equals("notices answered with 204", notify.with(204), told);
    outcome.equals("queries answered with 200", query.with(200), asked_count);
    outcome.equals("calls that the table throttled", units.throttled, 0);
    outcome.equals("changes to paid in the table's stream", total(&scene)?, 1);
    let each = count(told + asked_count);
    outcome.number("write_units_per_request", units.writes / each);
    outcome.number("read_units_per_request", units.reads / each);
    drop((notifies, queries));
    scene.end().await;
    Ok(outcome)
}

/// L-6.
pub(crate) async fn forged(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("forged").await?;
    let genuine_rate = GENUINE_PER_SECOND;
    let rates = [WAVE_PER_SECOND, FORGED_PER_SECOND].map(|rate| rate * scale);
    let mut outcome = Outcome::of(
        format!(
            "{genuine_rate} genuine notices a second for {0} s; then as many beside {1} forged ones a second for {0} s, and \
             beside {2}; {PROCESSES} processes",
            FLOOD.as_secs(),
            rates[0],
            rates[1],
        ),
        scale,
    );
    let each = count_in(genuine_rate, FLOOD);
    let (numbers, notices) = scene.paid_orders(3 * each).await?;
    let events: Vec<Arc<str>> = notices.iter().map(notice_text).collect();
    let mut parts = events.chunks(events.len().div_ceil(3));
    let mut part = || parts.next().unwrap_or_default().to_vec();
    let forgeries: Vec<Arc<str>> = notices
        .iter()
        .enumerate()
        .map(|(place, notice)| forgery(notice, place))
        .collect();
    let mut pool = scene.pool("notify-callback", PROCESSES).await?;
    let alone = Arc::new(Tally::new("genuine, alone")?);
    let quiet = Window::open(pool.processes());
    let late_alone = give(&pool.door(), part(), &alone, genuine_rate, each);
    let late_alone = late_alone.ended().await?;
    pool.drained(PATIENCE).await?;
    let genuine_us = microseconds(quiet.used().system.ran) / count(each);
    outcome.tally(&alone);
    outcome.equals(
        "genuine notices before it answered with 204",
        alone.with(204),
        each,
    );

    let calls = scene.seen.table_calls(NOTIFY);
    let mut refusal_us = 0.0;
    let mut ratios = Vec::new();
    for rate in rates {
        let genuine = Arc::new(Tally::new(format!("genuine, beside {rate} a second"))?);
        let refused = Arc::new(Tally::new(format!("forged, {rate} a second"))?);
        let flood = count_in(rate, FLOOD);
        let window = Window::open(pool.processes());
        let flooding = give(&pool.door(), forgeries.clone(), &refused, rate, flood);
        let told = give(&pool.door(), part(), &genuine, genuine_rate, each);
        let late = flooding.ended().await?.max(told.ended().await?);
        pool.drained(PATIENCE).await?;
        let used = window.used();
        outcome.used(used, late.max(late_alone));
        outcome.tally(&genuine);
        outcome.tally(&refused);
        outcome.equals(
            &format!("forged notices, {rate} a second, refused with 401"),
            refused.with(401),
            flood,
        );
        outcome.equals(
            "genuine notices beside them answered with 204",
            genuine.with(204),
            each,
        );
        refusal_us = (microseconds(used.system.ran) - genuine_us * count(each)) / count(flood);
        ratios.push(genuine.at(99.0).as_secs_f64() / alone.at(99.0).as_secs_f64().max(1e-9));
    }
    let asked = scene.seen.table_calls(NOTIFY) - calls;
    // A read and a write for each genuine one, and nothing for the others.
    outcome.equals("calls to the table meanwhile", asked, 4 * each);
    outcome.equals(
        "orders whose record says SUCCESS",
        scene.paid(&numbers)?,
        3 * each,
    );

    let notice = notices.first();
    let hello_us = invocation_us(&scene, HELLO, notice, rates[1]).await?;
    let exchange_us = invocation_us(&scene, EXCHANGE, notice, rates[1]).await?;
    outcome.number("genuine_cpu_us", genuine_us);
    outcome.number("refusal_cpu_us", refusal_us);
    outcome.number("lambda_http_alone_cpu_us", hello_us);
    outcome.number("runtime_api_alone_cpu_us", exchange_us);
    outcome.goal(
        "processor time of a refusal, the Runtime API's two requests included: below 60 µs",
        refusal_us < REFUSAL_MAX_US,
        format!(
            "{refusal_us:.0} µs; lambda_http alone takes {hello_us:.0}, the two requests alone {exchange_us:.0}"
        ),
    );
    let own = (refusal_us - hello_us).max(0.0);
    outcome.goal(
        "of it our own, beyond lambda_http alone: below 60 µs",
        own < REFUSAL_MAX_US,
        format!("{own:.0} µs"),
    );
    for (rate, ratio) in rates.iter().zip(ratios) {
        outcome.goal(
            &format!("p99 of genuine notices beside {rate} forged ones a second: at most twice what it was alone"),
            ratio <= 2.0,
            format!("{ratio:.2} ×"),
        );
    }
    drop(pool);
    scene.end().await;
    Ok(outcome)
}

/// Processor time of an invocation of a yardstick, with the same event at the same rate.
async fn invocation_us(
    scene: &Scene<'_>,
    yardstick: &str,
    notice: Option<&Notice>,
    rate: f64,
) -> Result<f64> {
    let mut pool = scene.yardstick(yardstick, PROCESSES).await?;
    let tally = Arc::new(Tally::new(yardstick)?);
    let events = notice.into_iter().map(notice_text).collect();
    let count_of = count_in(rate, FLOOD / 2);
    let window = Window::open(pool.processes());
    give(&pool.door(), events, &tally, rate, count_of)
        .ended()
        .await?;
    pool.drained(PATIENCE).await?;
    Ok(microseconds(window.used().system.ran) / count(count_of))
}

/// Gives a function these events in turn, at this rate, so many in all.
pub(super) fn give(
    door: &Door,
    events: Vec<Arc<str>>,
    tally: &Arc<Tally>,
    per_second: f64,
    count: u64,
) -> crate::load::pace::Playing {
    let (door, tally) = (door.clone(), Arc::clone(tally));
    play(per_second, count, move |number, intended| {
        let place = usize::try_from(number).unwrap_or_default() % events.len().max(1);
        if let Some(event) = events.get(place) {
            door.give(Job {
                event: Arc::clone(event),
                intended,
                tally: Arc::clone(&tally),
                then: None,
            });
        }
    })
}

/// What an attacker can make of a notice that went by: another body, another signature, an old time, a
/// key that nobody has.
fn forgery(notice: &Notice, place: usize) -> Arc<str> {
    let mut event = notice_event(notice);
    let headers = &mut event["headers"];
    match place % 4 {
        0 => {
            let body = event["body"].as_str().unwrap_or_default();
            event["body"] = json!(body.replacen("TRANSACTION.SUCCESS", "TRANSACTION.SUCCES5", 1));
        }
        1 => {
            // As long as it was, of the same characters, and with the same end, which is what Base64 asks for.
            let signature = headers["wechatpay-signature"].as_str().unwrap_or_default();
            let (text, end) = signature.split_at(signature.len().saturating_sub(SIGNATURES_END));
            let turned: String = text.chars().rev().collect();
            headers["wechatpay-signature"] = Value::from(turned + end);
        }
        2 => {
            let time = headers["wechatpay-timestamp"].as_str().unwrap_or_default();
            let time: i64 = time.parse().unwrap_or_default();
            headers["wechatpay-timestamp"] = Value::from((time - 3_600).to_string());
        }
        _ => headers["wechatpay-serial"] = json!("PUB_KEY_ID_0000000000000000000000000000"),
    }
    Arc::from(event.to_string())
}

fn total(scene: &Scene<'_>) -> Result<u64> {
    Ok(scene.payments()?.values().sum())
}

fn per_request(outcome: &mut Outcome, name: &str, used: Used, requests: u64) {
    outcome.number(name, microseconds(used.system.ran) / count(requests));
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}
