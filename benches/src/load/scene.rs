//! Where a scenario plays: a stack of its own behind ways that take their time, and the functions'
//! processes before it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::latency::Latency;
use super::passage::Passage;
use super::pool::{Launch, Pool};
use super::seen::Seen;
use crate::Result;
use crate::authority::Authority;
use crate::child::Spawner;
use crate::world::{Notice, OPENID, Setting, World, notice_event};

/// How many notices may wait until the generator takes them.
const NOTICES_WAITING: usize = 50_000;

/// How many records of the stream are read at a time.
const STREAM_PAGE: usize = 1_000;

/// What all scenarios share.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) keys: PathBuf,
    pub(crate) authority: Authority,
    pub(crate) spawner: Spawner,
    /// The release binaries, by crate name, and the yardsticks.
    pub(crate) programs: BTreeMap<String, PathBuf>,
}

/// Where one scenario plays.
pub(crate) struct Scene<'a> {
    stage: &'a Stage,
    folder: PathBuf,
    pub(crate) world: Arc<World>,
    pub(crate) aws: Arc<Passage>,
    pub(crate) wechatpay: Arc<Passage>,
    pub(crate) seen: Arc<Seen>,
}

impl Stage {
    /// A stack for one run of one scenario.
    pub(crate) async fn scene(&self, name: &str) -> Result<Scene<'_>> {
        let folder = self.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let (aws, wechatpay) = (
            Arc::new(Passage::new(Latency::AWS)),
            Arc::new(Passage::new(Latency::WECHATPAY)),
        );
        let seen = Arc::new(Seen::default());
        let setting = Setting {
            aws: Arc::clone(&aws),
            wechatpay: Arc::clone(&wechatpay),
            hook: seen.hook(),
            notices_waiting: NOTICES_WAITING,
        };
        let world = World::start_in(&folder, &self.keys, &self.authority, Some(setting)).await?;
        Ok(Scene {
            stage: self,
            folder,
            world: Arc::new(world),
            aws,
            wechatpay,
            seen,
        })
    }
}

impl Scene<'_> {
    /// So many processes of a function, each ready for its first request.
    pub(crate) async fn pool(&self, function: &str, processes: usize) -> Result<Pool> {
        let environment = self.world.environment(function)?;
        let launch = self.launch(function, self.program(function)?, &environment, processes);
        Pool::start(launch, &self.stage.spawner).await
    }

    /// Processes of a yardstick, which is asked as notify-callback is.
    pub(crate) async fn yardstick(&self, name: &str, processes: usize) -> Result<Pool> {
        let environment = self.world.environment("notify-callback")?;
        let launch = self.launch(name, self.program(name)?, &environment, processes);
        Pool::start(launch, &self.stage.spawner).await
    }

    /// Starts processes of a function and does not wait for them.
    pub(crate) async fn starting(
        &self,
        function: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<Pool> {
        let launch = self.launch(function, self.program(function)?, environment, 1);
        Pool::starting(launch, &self.stage.spawner).await
    }

    fn program(&self, function: &str) -> Result<&Path> {
        let program = self.stage.programs.get(function);
        let program = program.ok_or_else(|| format!("there is no binary of {function}"))?;
        Ok(program)
    }

    fn launch<'a>(
        &self,
        function: &str,
        program: &'a Path,
        environment: &'a BTreeMap<String, String>,
        processes: usize,
    ) -> Launch<'a> {
        let functions = &self.world.stack().template.functions;
        let seconds = functions
            .values()
            .find(|declared| declared.binary == function)
            .map_or(5, |declared| declared.timeout_seconds);
        Launch {
            program,
            environment,
            processes,
            log: self.folder.join(format!("{function}.log")),
            timeout: Duration::from_secs(seconds),
        }
    }

    /// Orders that are paid while nobody here has heard of it: their numbers and their notices.
    pub(crate) async fn paid_orders(&self, count: u64) -> Result<(Vec<String>, Vec<Notice>)> {
        let (mut numbers, mut notices) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let number = self.world.order().await?;
            let path = format!("orders/{number}/pay");
            self.world.control(&path, json!({})).await?;
            numbers.push(number);
        }
        for _ in 0..count {
            notices.push(self.world.notice().await?);
        }
        Ok((numbers, notices))
    }

    /// The event of a merchant's JSAPI order under a number that is new.
    pub(crate) fn order_event(&self) -> Arc<str> {
        order_event(&self.world)
    }

    /// The event that asks for an order.
    pub(crate) fn query_event(&self, number: &str) -> Arc<str> {
        query_event(&self.world, number)
    }

    /// In how many of these orders' records it says SUCCESS.
    pub(crate) fn paid(&self, numbers: &[String]) -> Result<u64> {
        let mut paid = 0;
        for number in numbers {
            let item = self.world.item(number)?;
            if item["trade_state"]["S"] == "SUCCESS" {
                paid += 1;
            }
        }
        Ok(paid)
    }

    /// How often each order became paid, by the table's stream, with what it then told of it; by
    /// partition key.
    pub(crate) fn payments(&self) -> Result<BTreeMap<String, u64>> {
        let mut payments = BTreeMap::new();
        let mut after: Option<String> = None;
        loop {
            let stack = self.world.stack();
            let page = stack.aws.changes(after.as_deref(), STREAM_PAGE)?;
            let Some(last) = page.last() else {
                return Ok(payments);
            };
            after = last["dynamodb"]["SequenceNumber"]
                .as_str()
                .map(str::to_owned);
            for record in &page {
                let change = &record["dynamodb"];
                let is_paid = |image: &Value| {
                    image["trade_state"]["S"] == "SUCCESS" && image["sk"]["S"] == "ORDER"
                };
                let told = |image: &Value| {
                    let events = image["events"]["S"].as_str().unwrap_or_default();
                    events.matches(":paid").count()
                };
                let (before, now) = (&change["OldImage"], &change["NewImage"]);
                let becomes_paid = is_paid(now) && !is_paid(before);
                if becomes_paid || told(now) > told(before) {
                    let key = change["Keys"]["pk"]["S"].as_str().unwrap_or_default();
                    *payments.entry(key.to_owned()).or_default() += 1;
                }
            }
        }
    }

    /// Ends the stack.
    pub(crate) async fn end(self) {
        // Whoever held it besides has ended with the run.
        if let Ok(world) = Arc::try_unwrap(self.world) {
            world.stop().await;
        }
        // What is left is in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The event of a merchant's JSAPI order under a number that is new.
pub(crate) fn order_event(world: &World) -> Arc<str> {
    let body = json!({
        "trade_type": "jsapi", "out_trade_no": world.number(), "description": "A cup of coffee",
        "amount": {"total": 500}, "payer": {"openid": OPENID},
    });
    Arc::from(
        world
            .http_event("POST /orders", &[], Some(body), &[])
            .to_string(),
    )
}

/// The event that asks for an order.
pub(crate) fn query_event(world: &World, number: &str) -> Arc<str> {
    let route = "GET /orders/{out_trade_no}";
    let event = world.http_event(route, &[("out_trade_no", number)], None, &[]);
    Arc::from(event.to_string())
}

/// The event of a notice, as text.
pub(crate) fn notice_text(notice: &Notice) -> Arc<str> {
    Arc::from(notice_event(notice).to_string())
}
