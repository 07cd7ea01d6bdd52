//! Performs a plan in a world, holds every answer against a notebook and every change against the promises,
//! and lets everything come to rest at the end.

mod refunds;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::{BeijingDay, Timestamp};

use crate::books::{self, broken_books, broken_change, is_order, is_refund, key, text};
use crate::coverage::edge;
use crate::fault::{Fault, Place};
use crate::notebook::{Noted, NotedRefund};
use crate::op::{Act, Op, Person, Signs, Step, TEA};
use crate::process::Answer;
use crate::witness::FORGED;
use crate::world::{ALICE, MERCHANT_KEY, Mirror, World};

/// What says that a request has to be sent again.
const AGAIN: [&str; 6] = [
    "wechatpay_unavailable",
    "wechatpay_refused",
    "store_unavailable",
    "not_configured",
    "code_pending",
    "concurrent_changes",
];

/// After how many seconds the payer logs in again; a token lives longer.
const TOKEN_SECONDS: i64 = 1_800;

/// A walk under way.
pub struct Walk<'a> {
    pub(crate) world: &'a World,
    pub(crate) signs: Signs,
    pub(crate) orders: BTreeMap<u32, Noted>,
    token: String,
    /// When the token was given, in Unix seconds.
    token_at: i64,
    pub(crate) mirror: Mirror,
    seen: Option<String>,
    published: Option<String>,
    /// The events that committed changes are.
    pub(crate) committed: BTreeSet<(String, String)>,
    /// The days on which a payment may have come after the close of its order: where its notification is
    /// lost, the day's bill tells of it.
    pub(crate) closed_first: BTreeSet<BeijingDay>,
    /// Those of them whose bills were needed.
    pub(crate) found_in_bills: BTreeSet<BeijingDay>,
    /// The refunds that the merchant had sent again at the end.
    pub(crate) retried: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    /// Begins in a world in which WeChat Pay signs with this: the payer logs in.
    pub async fn begin(world: &'a World, signs: Signs) -> Self {
        let mut walk = Self {
            world,
            signs,
            orders: BTreeMap::new(),
            token: String::new(),
            token_at: 0,
            mirror: Mirror::default(),
            seen: None,
            published: None,
            committed: BTreeSet::new(),
            closed_first: BTreeSet::new(),
            found_in_bills: BTreeSet::new(),
            retried: BTreeSet::new(),
        };
        world.weather.begin_step(0);
        if signs != Signs::PublicKey {
            // It downloads the certificates.
            walk.sweep().await;
        }
        walk.log_in().await;
        walk
    }

    /// Performs a step and checks what must hold after each.
    pub async fn perform(&mut self, step: &Step) {
        let weather = &self.world.weather;
        weather.begin_step(step.id);
        weather.note(&format!("{:?}", step.op));
        let old = self.world.now() - self.token_at > TOKEN_SECONDS;
        if self.token.is_empty() || old {
            self.log_in().await;
        }
        self.act(&step.op).await;
        self.check();
    }

    /// The payer logs in, with a fresh code each time that it fails.
    async fn log_in(&mut self) {
        self.token.clear();
        for _ in 0..3 {
            let code = json!({"openid": ALICE});
            let (_, code) = self.world.control("codes", code).await;
            let body = json!({"code": code["code"]});
            let body = body.to_string().into_bytes();
            let processes = &self.world.processes;
            let answer = processes.call("POST", "/sessions", &[], &body).await;
            self.expected("login", &answer, &["login_refused", "too_many_logins"]);
            if let Some(token) = answer.body["token"].as_str() {
                self.token = token.to_owned();
                self.token_at = self.world.now();
                return;
            }
        }
    }

    async fn act(&mut self, op: &Op) {
        match *op {
            Op::Place {
                order,
                by,
                native,
                total,
            } => {
                self.orders
                    .insert(order, Noted::new(order, by, native, total));
                self.place(order).await;
            }
            Op::PlaceAgain { order } => self.place(order).await,
            Op::PlaceTwice { order } => self.place_twice(order).await,
            Op::PlaceOtherwise { order } => self.place_otherwise(order).await,
            Op::Pay { order, act } => self.pay(order, act).await,
            Op::Query { order } => self.query(order).await,
            Op::Close { order } => self.close(order).await,
            Op::Refund {
                order,
                refund,
                by,
                amount,
            } => {
                if let Some(noted) = self.orders.get_mut(&order) {
                    let asked = NotedRefund::new(by, amount);
                    // A number that the order has already is asked for as it was.
                    noted.refunds.entry(refund).or_insert(asked);
                }
                self.refund(order, refund).await;
            }
            Op::RefundAgain { order, refund } => self.refund(order, refund).await,
            Op::RefundsAtOnce { order, first } => self.refunds_at_once(order, first).await,
            Op::RefundsOfTwo {
                orders,
                refund,
                amount,
            } => self.refunds_of_two(orders, refund, amount).await,
            Op::Apply { order, refund } => self.apply(order, refund).await,
            Op::Forge { order, refund } => self.forge(order, refund),
            Op::BankTakes { seconds } => {
                let wanted = json!({"refund_delay_s": seconds});
                self.world.control("knobs", wanted).await;
            }
            Op::Decide {
                order,
                refund,
                decision,
            } => self.decide(order, refund, decision).await,
            Op::Bank { order, refund, end } => self.bank(order, refund, end).await,
            Op::AllAtOnce { order } => self.all_at_once(order).await,
            Op::PaysWhileAsked { order } => self.pays_while_asked(order).await,
            Op::Sweep => {
                self.sweep().await;
            }
            Op::SweepTwice => {
                tokio::join!(self.sweep(), self.sweep());
            }
            Op::Sweeps { times, seconds } => {
                for _ in 0..times {
                    pass(seconds).await;
                    self.sweep().await;
                }
            }
            Op::Advance { seconds } => pass(seconds).await,
            Op::Trouble {
                ref fault,
                count,
                ref operation,
            } => {
                let mut wanted = json!({"name": fault, "count": count});
                if let Some(operation) = operation {
                    wanted["operation"] = json!(operation);
                }
                self.world.control("faults", wanted).await;
            }
            Op::Publish => self.publish().await,
            Op::Reconcile => self.reconcile().await,
            Op::Rotate { key } => {
                self.rotate(key).await;
                self.token.clear();
            }
        }
    }

    /// Checks that an answer is as promised, refused for one of these reasons, or says that the request has
    /// to be sent again. A WeChat Pay that takes long is no reason to run out of time.
    fn expected(&self, what: &str, answer: &Answer, refusals: &[&str]) {
        let code = answer.code();
        let fine = matches!(answer.status, 200..=202)
            || AGAIN.contains(&code)
            || refusals.contains(&code)
            // The payer could not log in.
            || code == "unauthenticated" && self.token.is_empty()
            || code == "out_of_time" && self.world.weather.explains_lateness()
            || answer.is_cut;
        if !fine {
            self.world.weather.broken(format!("{what}: {answer:?}"));
        }
    }

    fn promise(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.world.weather.broken(what());
        }
    }

    async fn ask(&self, by: Person, method: &str, path: &str, more: &str, body: &Value) -> Answer {
        let credential = match by {
            Person::Merchant => MERCHANT_KEY,
            Person::Alice => &self.token,
        };
        let bearer = format!("Bearer {credential}");
        let mut headers = vec![("authorization", bearer.as_str())];
        if !more.is_empty() {
            headers.push(("idempotency-key", more));
        }
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.world
            .processes
            .call(method, path, &headers, &body)
            .await
    }

    async fn send_order(&self, noted: &Noted, request: &Value) -> Answer {
        self.ask(noted.by, "POST", "/orders", &noted.key, request)
            .await
    }

    async fn place(&mut self, order: u32) {
        let Some(noted) = self.orders.get(&order).cloned() else {
            return;
        };
        let answer = self.send_order(&noted, &noted.request).await;
        self.placed(order, &answer);
    }

    async fn place_twice(&mut self, order: u32) {
        let Some(noted) = self.orders.get(&order).cloned() else {
            return;
        };
        let (first, second) = tokio::join!(
            self.send_order(&noted, &noted.request),
            self.send_order(&noted, &noted.request)
        );
        // Asked at once, one may be answered before the other has found out that the order is paid.
        let is_paid = |answer: &Answer| answer.body["trade_state"] == "SUCCESS";
        let (earlier, later) = if is_paid(&first) {
            (second, first)
        } else {
            (first, second)
        };
        self.placed(order, &earlier);
        self.placed(order, &later);
    }

    fn placed(&mut self, order: u32, answer: &Answer) {
        let noted = self.orders.get(&order);
        // Where WeChat Pay knows of a payment and says nothing true of it, its refusal is all there is.
        let only_refused =
            noted.is_some_and(|noted| noted.paid) && answer.body["wechatpay_code"] == "ORDERPAID";
        let refusals: &[&str] = if only_refused {
            &["too_many_open_orders", "terms_refused"]
        } else {
            &["too_many_open_orders"]
        };
        self.expected("place", answer, refusals);
        if answer.status >= 300 {
            return;
        }
        let number = answer.body["out_trade_no"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let Some(noted) = self.orders.get_mut(&order) else {
            return;
        };
        let same = noted.number.is_empty() || noted.number == number;
        noted.number.clone_from(&number);
        noted.promised = true;
        let total = noted.total;
        self.promise(same, || {
            format!("the same request has another number: {number}")
        });
        self.promise(answer.body["amount"]["total"] == total, || {
            format!("{number} has another total: {answer:?}")
        });
        self.heard(order, &answer.body);
    }

    async fn place_otherwise(&mut self, order: u32) {
        let Some(noted) = self
            .orders
            .get(&order)
            .cloned()
            .filter(|noted| noted.promised)
        else {
            return;
        };
        let mut request = noted.request.clone();
        match noted.by {
            Person::Merchant => request["amount"]["total"] = json!(noted.total + 1),
            Person::Alice => request["items"][0]["quantity"] = json!(9),
        }
        let answer = self.send_order(&noted, &request).await;
        self.promise(answer.status >= 400, || {
            format!("other terms were taken: {answer:?}")
        });
        self.expected("place otherwise", &answer, &["terms_differ"]);
    }

    async fn on_the_phone(&self, noted: &Noted, act: Act) -> bool {
        let mut wanted = json!({"openid": ALICE});
        let act = match act {
            Act::Pays => "pay",
            Act::Fails => "fail",
            Act::PaysAfterClose => {
                wanted["after_close"] = json!(true);
                "pay"
            }
        };
        let path = format!("orders/{}/{act}", noted.number);
        let (status, _) = self.world.control(&path, wanted).await;
        self.world.weather.note(&format!("  {act}: {status}"));
        status == 200
    }

    async fn pay(&mut self, order: u32, act: Act) {
        let Some(noted) = self.known(order) else {
            return;
        };
        let done = self.on_the_phone(&noted, act).await;
        // The notification is on its way; half of the time nobody waits for it.
        if self.world.weather.draw(2) == 0 {
            pass(2).await;
        }
        if act == Act::PaysAfterClose {
            self.paid_after_close(order, done);
        } else {
            self.paid(order, done && act.pays());
        }
    }

    fn paid_after_close(&mut self, order: u32, done: bool) {
        self.paid(order, done);
        if done {
            let now = Timestamp::from_unix_seconds(self.world.now());
            self.closed_first.insert(BeijingDay::of(now));
        }
    }

    /// The order is read, WeChat Pay is asked, and its answer is held against what is read then: that read
    /// takes so long that the payment is on record before.
    async fn pays_while_asked(&mut self, order: u32) {
        let Some(noted) = self.known(order).filter(|noted| !noted.paid) else {
            return;
        };
        self.world.weather.force(Fault::Delayed, Place::Read, 1);
        let path = format!("/orders/{}", noted.number);
        let moment = Duration::from_millis(30 + self.world.weather.draw(70));
        let (seen, done) =
            tokio::join!(self.ask(noted.by, "GET", &path, "", &Value::Null), async {
                tokio::time::sleep(moment).await;
                self.on_the_phone(&noted, Act::PaysAfterClose).await
            });
        self.expected("query", &seen, &["not_found"]);
        self.paid_after_close(order, done);
    }

    fn paid(&mut self, order: u32, paid: bool) {
        if let Some(noted) = self.orders.get_mut(&order) {
            noted.paid |= paid;
        }
    }

    /// The order, if anybody knows its number.
    fn known(&self, order: u32) -> Option<Noted> {
        let noted = self.orders.get(&order)?;
        (!noted.number.is_empty()).then(|| noted.clone())
    }

    /// Checks what an answer says of an order.
    fn heard(&mut self, order: u32, body: &Value) {
        let Some(noted) = self.orders.get_mut(&order) else {
            return;
        };
        let paid = body["trade_state"] == "SUCCESS";
        let (was_paid, told_paid, total) = (noted.paid, noted.told_paid, noted.total);
        noted.told_paid |= paid;
        self.promise(!paid || was_paid, || {
            format!("it is said to be paid: {body}")
        });
        self.promise(paid || !told_paid, || {
            format!("it was paid and is not any more: {body}")
        });
        if let Some(refundable) = body["amount"]["refundable"].as_i64() {
            self.promise((0..=total).contains(&refundable), || {
                format!("refundable: {body}")
            });
        }
    }

    async fn query(&mut self, order: u32) {
        let Some(noted) = self.known(order) else {
            return;
        };
        let path = format!("/orders/{}", noted.number);
        let answer = self.ask(noted.by, "GET", &path, "", &Value::Null).await;
        let unknown: &[&str] = if noted.promised { &[] } else { &["not_found"] };
        self.expected("query", &answer, unknown);
        if answer.status == 200 {
            self.heard(order, &answer.body);
        }
    }

    async fn close(&mut self, order: u32) {
        let Some(noted) = self.known(order) else {
            return;
        };
        let path = format!("/orders/{}/close", noted.number);
        let answer = self.ask(noted.by, "POST", &path, "", &json!({})).await;
        let refusals: &[&str] = match (noted.paid, noted.promised) {
            (true, _) => &["order_paid", "not_found"],
            (false, true) => &[],
            (false, false) => &["not_found"],
        };
        self.expected("close", &answer, refusals);
        if answer.body["trade_state"].is_string() {
            self.heard(order, &answer.body);
        }
    }

    async fn all_at_once(&mut self, order: u32) {
        let Some(noted) = self.known(order).filter(|noted| !noted.paid) else {
            return;
        };
        let path = format!("/orders/{}", noted.number);
        let close = format!("{path}/close");
        let nothing = json!({});
        let (closed, seen, paid, _) = tokio::join!(
            self.ask(noted.by, "POST", &close, "", &nothing),
            self.ask(noted.by, "GET", &path, "", &Value::Null),
            self.on_the_phone(&noted, Act::Pays),
            self.sweep(),
        );
        self.expected("close", &closed, &["order_paid", "not_found"]);
        self.expected("query", &seen, &["not_found"]);
        self.paid(order, paid);
    }

    /// The merchant posts nothing to this path.
    pub(crate) async fn as_merchant(&self, path: &str) -> Answer {
        self.ask(Person::Merchant, "POST", path, "", &json!({}))
            .await
    }

    /// The sweep runs once; one that fails is followed by the next.
    pub(crate) async fn sweep(&self) -> Option<Value> {
        let event = json!({"source": "aws.scheduler"});
        let swept = self
            .world
            .processes
            .invoke("SweepFunction", Place::Scheduled, event)
            .await;
        self.world.weather.note(&format!("  sweep: {swept:?}"));
        swept.ok()
    }

    /// Brings what the stream has to the publisher, as Lambda does: what fails comes again.
    pub(crate) async fn publish(&mut self) {
        const FUNCTION: &str = "PublishEventsFunction";
        let weather = &self.world.weather;
        for _ in 0..20 {
            let records = match self.world.records(self.published.as_deref()) {
                Ok(records) => records,
                Err(why) => return weather.broken(why),
            };
            let batch: Vec<Value> = records
                .iter()
                .take(25)
                .cloned()
                .map(as_lambda_has_it)
                .collect();
            let Some(last) = batch.last().and_then(sequence_number) else {
                return;
            };
            let again = weather.strike(Place::Stream) == Some(Fault::Twice);
            let event = json!({"Records": batch});
            let invoke = || {
                let event = event.clone();
                self.world.processes.invoke(FUNCTION, Place::Stream, event)
            };
            let answer = if again {
                weather.struck(Fault::Twice, Place::Stream);
                tokio::join!(invoke(), invoke()).0
            } else {
                invoke().await
            };
            let Ok(answer) = answer else {
                weather.note("  the batch comes again");
                continue;
            };
            let failed = answer["batchItemFailures"].as_array().into_iter().flatten();
            let first = failed
                .filter_map(|failure| failure["itemIdentifier"].as_str())
                .min();
            match first {
                None => self.published = Some(last),
                Some(first) => {
                    let taken = batch.iter().filter_map(sequence_number);
                    if let Some(reached) = taken.filter(|number| number.as_str() < first).max() {
                        self.published = Some(reached);
                    }
                }
            }
        }
    }

    /// What must hold after each step.
    pub(crate) fn check(&mut self) {
        let weather = &self.world.weather;
        let records = match self.world.records(self.seen.as_deref()) {
            Ok(records) => records,
            Err(why) => return weather.broken(why),
        };
        for record in &records {
            self.seen = sequence_number(record).or(self.seen.take());
            let (old, new) = self.mirror.take(record);
            if text(&new, "out_refund_no").starts_with(FORGED) {
                continue;
            }
            if let Some(broken) = broken_change(&old, &new) {
                weather.broken(broken);
            }
            self.committed.extend(books::transition(&old, &new));
            let of = match (is_order(&new), is_refund(&new)) {
                (true, _) => Some(("order", "trade_state")),
                (_, true) => Some(("refund", "status")),
                (false, false) => None,
            };
            if let Some((of, name)) = of
                && old[name] != new[name]
            {
                let (before, after) = (text(&old, name), text(&new, name));
                weather.edge(edge(of, before, after));
                let (order, refund) = (text(&new, "out_trade_no"), text(&new, "out_refund_no"));
                match (of, after) {
                    ("order", "SUCCESS") => weather.seen(|it, _| it.order_became_paid(order)),
                    ("refund", "WITHDRAWN") => weather.seen(|it, _| it.refund_withdrawn(refund)),
                    _ => {}
                }
                weather.note(&format!("  {} {before} → {after}", key(&new)));
            }
        }
        for broken in broken_books(self.mirror.items.values()) {
            weather.broken(broken);
        }
        if let Some(overdrawn) = books::overdrawn(&self.world.ledger()) {
            weather.broken(overdrawn);
        }
    }
}

/// Time passes.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn sequence_number(record: &Value) -> Option<String> {
    Some(record["dynamodb"]["SequenceNumber"].as_str()?.to_owned())
}

fn as_lambda_has_it(mut record: Value) -> Value {
    record["awsRegion"] = Value::from("eu-west-1");
    record["eventSourceARN"] = Value::from("wxpay.StreamArn");
    record
}

/// The request that places this order.
pub(crate) fn request(order: u32, by: Person, native: bool, total: i64) -> Value {
    let trade_type = if native { "native" } else { "jsapi" };
    if by == Person::Alice {
        let items = json!([{"sku": "tea", "quantity": total / TEA}]);
        return json!({"trade_type": trade_type, "items": items});
    }
    let mut request = json!({
        "trade_type": trade_type, "out_trade_no": format!("proof-{order:04}"),
        "description": "Proof", "amount": {"total": total},
    });
    if !native {
        request["payer"] = json!({"openid": ALICE});
    }
    request
}
