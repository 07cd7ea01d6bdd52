//! L-1 and L-2: orders that are placed, paid and heard of, evenly and in a burst.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{PATIENCE, sum_of};
use crate::Result;
use crate::load::latency::Latency;
use crate::load::locked;
use crate::load::outcome::{Outcome, slope};
use crate::load::pace::{Throttle, count_in, play};
use crate::load::pool::{Door, Job, Then};
use crate::load::processor::{Window, resident_kib};
use crate::load::scene::{Scene, Stage, notice_text, order_event, query_event};
use crate::load::tally::Tally;
use crate::world::{OPENID, World};

/// Orders a second of the steady load, and questions for each.
const ORDERS_PER_SECOND: f64 = 20.0;
const QUERIES_PER_ORDER: f64 = 4.0;

/// How many orders are asked about.
const ASKED_ABOUT: u64 = 20;

/// What a notice may take, with a table that takes 10 ms for each of two calls.
const NOTICE_P99_MAX: Duration = Duration::from_millis(50);

/// How often memory is read, at most.
const MEMORY_POINTS: u32 = 180;

/// From how long a run on memory has to be flat, and how much it may grow then, in per cent.
const SOAK: Duration = Duration::from_secs(10 * 60);
const GROWTH_MAX_PERCENT: f64 = 5.0;

/// The burst's orders a second, and for how long.
const BURST_PER_SECOND: f64 = 200.0;
const BURST: Duration = Duration::from_secs(20);

/// How often a notice is delivered again, as WeChat Pay does in a day.
const RETRIES: u32 = 15;

/// Payers at once.
const PAYERS: usize = 4;

/// Pays what was placed, as phones do, and hands the notices on.
struct Payers {
    paid: Arc<Mutex<Vec<String>>>,
    failed: Arc<AtomicU64>,
    delivered: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Payers {
    /// `placed` brings create-order's answers; each notice goes out `copies` times at once.
    fn start(
        world: &Arc<World>,
        placed: mpsc::UnboundedReceiver<String>,
        notify: &Door,
        tally: &Arc<Tally>,
        copies: usize,
    ) -> Self {
        let placed = Arc::new(tokio::sync::Mutex::new(placed));
        let paid: Arc<Mutex<Vec<String>>> = Arc::default();
        let failed = Arc::new(AtomicU64::new(0));
        let delivered = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for _ in 0..PAYERS {
            let (world, placed) = (Arc::clone(world), Arc::clone(&placed));
            let (paid, failed) = (Arc::clone(&paid), Arc::clone(&failed));
            tasks.push(tokio::spawn(async move {
                loop {
                    let next = placed.lock().await.recv().await;
                    let Some(body) = next else { return };
                    let order: Value = serde_json::from_str(&body).unwrap_or_default();
                    let number = order["out_trade_no"].as_str().unwrap_or_default();
                    let pays = json!({"openid": OPENID, "pay": order["pay"]});
                    match world.control(&format!("orders/{number}/pay"), pays).await {
                        Ok(_) => locked(&paid).push(number.to_owned()),
                        Err(_) => {
                            failed.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            }));
        }
        let (world, notify, tally) = (Arc::clone(world), notify.clone(), Arc::clone(tally));
        let count = Arc::clone(&delivered);
        tasks.push(tokio::spawn(async move {
            loop {
                // None came for a while, which ends nothing.
                let Ok(notice) = world.notice().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let (event, intended) = (notice_text(&notice), Instant::now());
                for _ in 0..copies {
                    until_taken(&notify, Arc::clone(&event), &tally, intended, RETRIES);
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
        }));
        Self {
            paid,
            failed,
            delivered,
            tasks,
        }
    }

    /// Waits until so many orders were paid and their notices handed on; gives their numbers.
    async fn settled(self, orders: u64) -> Result<(Vec<String>, u64)> {
        let began = Instant::now();
        let failed = || self.failed.load(Ordering::SeqCst);
        let delivered = || self.delivered.load(Ordering::SeqCst);
        while delivered() + failed() < orders && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let failed = failed();
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            // It was aborted.
            let _ = task.await;
        }
        let numbers = locked(&self.paid).clone();
        Ok((numbers, failed))
    }
}

/// Delivers a notice, and again at once where it is not acknowledged: WeChat Pay would wait and then do the
/// same.
fn until_taken(
    notify: &Door,
    event: Arc<str>,
    tally: &Arc<Tally>,
    intended: Instant,
    retries: u32,
) {
    let (door, same, counted) = (notify.clone(), Arc::clone(&event), Arc::clone(tally));
    let then: Then = Box::new(move |answer| {
        if answer.status != 204 && retries > 0 {
            until_taken(&door, same, &counted, Instant::now(), retries - 1);
        }
    });
    notify.give(Job {
        event,
        intended,
        tally: Arc::clone(tally),
        then: Some(then),
    });
}

/// Hands create-order's answers on to be paid.
fn to_payers(to: &mpsc::UnboundedSender<String>) -> Then {
    let to = to.clone();
    Box::new(move |answer| {
        if answer.status == 201 {
            // Nobody takes it only when the run is over.
            let _ = to.send(answer.body.clone());
        }
    })
}

/// L-1.
pub(crate) async fn steady(stage: &Stage, scale: f64, time: Duration) -> Result<Outcome> {
    let scene = stage.scene("steady").await?;
    scene.aws.set(Latency::TEN);
    let orders_per_second = ORDERS_PER_SECOND * scale;
    let queries_per_second = orders_per_second * QUERIES_PER_ORDER;
    let mut outcome = Outcome::of(
        format!(
            "{orders_per_second} orders, {orders_per_second} notices and {queries_per_second} queries a second for \
             {} s; each table call takes 10 ms; 16 + 8 + 8 processes",
            time.as_secs()
        ),
        scale,
    );
    let (create, notify, query) = (
        Arc::new(Tally::new("create")?),
        Arc::new(Tally::new("notify")?),
        Arc::new(Tally::new("query")?),
    );
    let mut creates = scene.pool("create-order", 16).await?;
    let mut notifies = scene.pool("notify-callback", 8).await?;
    let mut queries = scene.pool("query", 8).await?;
    // Something to ask about from the first moment on.
    let (known, notices) = scene.paid_orders(ASKED_ABOUT).await?;
    for notice in &notices {
        scene.world.deliver(notice).await?;
    }
    let (to, placed) = mpsc::unbounded_channel();
    let payers = Payers::start(&scene.world, placed, &notifies.door(), &notify, 1);
    let processes: Vec<u32> = [&creates, &notifies, &queries]
        .iter()
        .flat_map(|pool| pool.processes())
        .collect();
    let window = Window::open(processes.clone());
    let count = count_in(orders_per_second, time);
    let placing = play(orders_per_second, count, {
        let (door, world, tally) = (
            creates.door(),
            Arc::clone(&scene.world),
            Arc::clone(&create),
        );
        move |_, intended| {
            door.give(Job {
                event: order_event(&world),
                intended,
                tally: Arc::clone(&tally),
                then: Some(to_payers(&to)),
            });
        }
    });
    let asking = play(queries_per_second, count_in(queries_per_second, time), {
        let (door, world, tally) = (queries.door(), Arc::clone(&scene.world), Arc::clone(&query));
        move |number, intended| {
            let place = usize::try_from(number).unwrap_or_default() % known.len().max(1);
            let Some(order) = known.get(place) else {
                return;
            };
            door.give(Job {
                event: query_event(&world, order),
                intended,
                tally: Arc::clone(&tally),
                then: None,
            });
        }
    });
    let memory = Memory::watch(processes, time);
    let late = placing.ended().await?.max(asking.ended().await?);
    for pool in [&mut creates, &mut queries] {
        pool.drained(PATIENCE).await?;
    }
    let placed_count = create.with(201);
    let (numbers, failed) = payers.settled(placed_count).await?;
    notifies.drained(PATIENCE).await?;
    outcome.used(window.used(), late);
    outcome.memory = memory.ended().await?;
    for tally in [&create, &notify, &query] {
        outcome.tally(tally);
    }
    outcome.equals("orders answered with 201", placed_count, count);
    outcome.equals("payments that the phone could not make", failed, 0);
    outcome.equals(
        "notices acknowledged with 204, at the latest when they came again",
        notify.with(204),
        placed_count,
    );
    outcome.equals("queries answered with 200", query.with(200), query.count());
    one_effect_each(&scene, &mut outcome, &numbers, placed_count)?;
    let p99 = notify.at(99.0);
    outcome.goal(
        "p99 of a notice below 50 ms",
        p99 < NOTICE_P99_MAX,
        format!("{:.1} ms", p99.as_secs_f64() * 1e3),
    );
    grown(&mut outcome, time);
    drop((creates, notifies, queries));
    scene.end().await;
    Ok(outcome)
}

/// L-2.
pub(crate) async fn burst(stage: &Stage, scale: f64) -> Result<Outcome> {
    let scene = stage.scene("burst").await?;
    let parameters = &scene.world.stack().template.parameters;
    let parameter = |name: &str| -> f64 {
        let value = parameters.get(name).and_then(|value| value.parse().ok());
        value.unwrap_or_default()
    };
    let (rate, at_once) = (
        parameter("RequestsPerSecond") * scale,
        parameter("RequestBurst") * scale,
    );
    let offered = BURST_PER_SECOND * scale;
    let mut outcome = Outcome::of(
        format!(
            "from nothing to {offered} orders a second for {} s, through the route's throttle of {rate} a second and \
             {at_once} at once; each order taken is paid, each notice comes twice at the same moment; 24 + 8 processes",
            BURST.as_secs()
        ),
        scale,
    );
    let (create, notify) = (
        Arc::new(Tally::new("create")?),
        Arc::new(Tally::new("notify")?),
    );
    let mut creates = scene.pool("create-order", 24).await?;
    let mut notifies = scene.pool("notify-callback", 8).await?;
    let (to, placed) = mpsc::unbounded_channel();
    let payers = Payers::start(&scene.world, placed, &notifies.door(), &notify, 2);
    let window = Window::open([creates.processes(), notifies.processes()].concat());
    let throttle = Throttle::new(rate, at_once);
    let count = count_in(offered, BURST);
    let placing = play(offered, count, {
        let (door, world, tally) = (
            creates.door(),
            Arc::clone(&scene.world),
            Arc::clone(&create),
        );
        move |_, intended| {
            if !throttle.passes(Instant::now()) {
                tally.turned_away(429);
                return;
            }
            door.give(Job {
                event: order_event(&world),
                intended,
                tally: Arc::clone(&tally),
                then: Some(to_payers(&to)),
            });
        }
    });
    let late = placing.ended().await?;
    creates.drained(PATIENCE).await?;
    let placed_count = create.with(201);
    let (numbers, failed) = payers.settled(placed_count).await?;
    notifies.drained(PATIENCE).await?;
    outcome.used(window.used(), late);
    outcome.tally(&create);
    outcome.tally(&notify);
    outcome.equals(
        "orders taken, answered with 201",
        placed_count,
        create.count(),
    );
    let turned_away = sum_of(&create.tallied().turned_away);
    outcome.equals(
        "orders taken or refused with 429",
        create.count() + turned_away,
        count,
    );
    outcome.equals("payments that the phone could not make", failed, 0);
    outcome.equals(
        "notices answered with 204",
        notify.with(204),
        2 * placed_count,
    );
    one_effect_each(&scene, &mut outcome, &numbers, placed_count)?;
    drop((creates, notifies));
    scene.end().await;
    Ok(outcome)
}

/// Every order that was placed is paid, and became so once.
fn one_effect_each(
    scene: &Scene<'_>,
    outcome: &mut Outcome,
    numbers: &[String],
    placed: u64,
) -> Result<()> {
    outcome.equals(
        "orders whose record says SUCCESS",
        scene.paid(numbers)?,
        placed,
    );
    let payments = scene.payments()?;
    let own = |number: &String| payments.get(&format!("ORDER#{number}")).copied();
    let once = numbers.iter().filter(|number| own(number) == Some(1));
    outcome.equals(
        "orders that became paid exactly once",
        once.count() as u64,
        placed,
    );
    Ok(())
}

/// The memory of processes over time.
struct Memory {
    over: Arc<AtomicBool>,
    task: JoinHandle<Vec<(f64, u64)>>,
}

impl Memory {
    fn watch(processes: Vec<u32>, time: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let pause = (time / MEMORY_POINTS).max(Duration::from_secs(1));
        let began = Instant::now();
        let task = tokio::spawn(async move {
            let mut points = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                points.push((
                    began.elapsed().as_secs_f64().round(),
                    resident_kib(&processes),
                ));
                tokio::time::sleep(pause).await;
            }
            points
        });
        Self { over, task }
    }

    async fn ended(self) -> Result<Vec<(f64, u64)>> {
        self.over.store(true, Ordering::SeqCst);
        Ok(self.task.await?)
    }
}

/// By how much memory grew in the later half, by the slope of the line through it.
fn grown(outcome: &mut Outcome, time: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let points: Vec<(f64, f64)> = outcome
        .memory
        .iter()
        .map(|(at, kib)| (*at, *kib as f64))
        .collect();
    let later = points.get(points.len() / 2..).unwrap_or_default();
    let Some((_, held)) = later.first().copied() else {
        return;
    };
    let per_minute = slope(later) * 60.0;
    let grown = per_minute * time.as_secs_f64() / 120.0 / held.max(1.0) * 100.0;
    outcome.number("memory_kib", held);
    outcome.number("memory_growth_kib_per_minute", per_minute);
    outcome.number("memory_growth_later_half_percent", grown);
    let what = "memory of all processes in the later half grows by at most 5 %";
    let found = format!("{grown:+.2} %");
    if time >= SOAK {
        outcome.holds(what, grown <= GROWTH_MAX_PERCENT, found);
    } else {
        outcome.goal(what, grown <= GROWTH_MAX_PERCENT, found);
    }
}
