//! A walk at random through everything at once: several payers and the merchant, a hostile WeChat Pay,
//! a table that fails, a clock that jumps, a stack that is stopped and started; beside a model that is
//! as naive as a shopkeeper's notebook.
//!
//! Whatever happens on the way, in the end (no more faults, sweeps, time) every order is paid or
//! closed, both sides' books agree, no more was given back than was paid, and nothing that was
//! promised is lost. A failure prints its seed and what was done; `WALK_SEED` walks that one again,
//! and `WALK_SEEDS` as many from there on; `WALK_STEPS` makes walks longer. The scheduling of concurrent work is not in the seed.

mod notebook;
mod refunds;
mod trouble;

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};

use self::notebook::{Diary, Noted};
use crate::harness::{ALICE, Answer, BOB, TestStack, watch};

const STEPS: u32 = 80;

/// What has no part in a walk: bills, and an answer that keeps a processor busy for seconds.
const LEFT_OUT: [&str; 2] = ["bill_", "response_oversized"];

/// SplitMix64: small, and the same everywhere.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn choice<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        (!among.is_empty()).then(|| &among[self.below(among.len() as u64) as usize])
    }
}

struct Walk {
    stack: Option<TestStack>,
    random: Random,
    diary: Diary,
    /// The merchant's key and two payers' tokens.
    credentials: [String; 3],
    orders: BTreeMap<String, Noted>,
    faults: Vec<String>,
    count: u32,
    orders_paid: u32,
    refunds_taken: u32,
}

impl Walk {
    async fn begin(seed: u64) -> Self {
        let stack = TestStack::with(|options| options.seed = seed).await;
        let credentials = [
            stack.merchant.clone(),
            stack.login(ALICE).await,
            stack.login(BOB).await,
        ];
        be_hostile(&stack, seed).await;
        let faults = stack.seen("faults").await.into_iter();
        let faults = faults
            .map(|fault| fault["name"].as_str().unwrap().to_owned())
            .filter(|name| !LEFT_OUT.iter().any(|left_out| name.starts_with(left_out)));
        Self {
            faults: faults.collect(),
            stack: Some(stack),
            random: Random(seed),
            diary: Diary {
                seed,
                lines: Vec::new(),
            },
            credentials,
            orders: BTreeMap::new(),
            count: 0,
            orders_paid: 0,
            refunds_taken: 0,
        }
    }

    fn stack(&self) -> &TestStack {
        self.stack.as_ref().unwrap()
    }

    fn note(&mut self, line: String) {
        self.diary.lines.push(line);
    }

    /// Any order, or one that is as wanted.
    fn any(&mut self, wanted: impl Fn(&Noted) -> bool) -> Option<String> {
        let numbers: Vec<String> = self
            .orders
            .iter()
            .filter(|(_, noted)| wanted(noted))
            .map(|(number, _)| number.clone())
            .collect();
        self.random.choice(&numbers).cloned()
    }

    async fn step(&mut self) {
        match self.random.below(100) {
            0..13 => self.place_new().await,
            13..17 => self.place_again().await,
            17..19 => self.place_otherwise().await,
            19..33 => self.pay().await,
            33..41 => self.look().await,
            41..43 => self.pry().await,
            43..48 => self.close().await,
            48..61 => self.refund().await,
            61..64 => self.refund_again().await,
            64..66 => self.decide().await,
            66..68 => self.bank().await,
            68..71 => self.all_at_once().await,
            71..74 => self.refunds_at_once().await,
            74..78 => self.sweep().await,
            78..81 => self.pass_time().await,
            81..95 => self.trouble().await,
            95..96 => self.calm().await,
            96..98 => self.table_trouble(),
            98..99 => self.forge().await,
            _ => self.restart().await,
        }
    }

    /// No answer may ever be this walk's fault alone: it is as promised, refused for a reason, or says
    /// that it has to be asked again.
    fn expected(&self, what: &str, answer: &Answer, refusals: &[&str]) {
        let code = answer.body["code"].as_str().unwrap_or_default();
        let again = matches!(
            code,
            "wechatpay_unavailable" | "wechatpay_refused" | "store_unavailable" | "not_configured"
        );
        // The gateway's own 503: the function took too long.
        let cut = answer.status == 503 && answer.body["message"].is_string();
        let fine = matches!(answer.status, 200..=202) || again || cut || refusals.contains(&code);
        assert!(fine, "{what}: {answer:?}");
    }

    async fn place(
        &mut self,
        number: Option<&str>,
        by: usize,
        key: Option<&str>,
        request: &Value,
    ) -> Answer {
        let credential = self.credentials[by].clone();
        let headers: Vec<(&str, &str)> = key
            .map(|key| ("idempotency-key", key))
            .into_iter()
            .collect();
        let stack = self.stack();
        let answer = stack
            .send(
                Method::POST,
                "/orders",
                Some(&credential),
                &headers,
                Some(request.clone()),
            )
            .await;
        self.note(format!(
            "place {number:?} {by} {key:?} {request} -> {} {}",
            answer.status, answer.body["code"]
        ));
        answer
    }

    async fn place_new(&mut self) {
        self.count += 1;
        let by = self.random.below(3) as usize;
        let trade_type = *self.random.choice(&["jsapi", "native"]).unwrap();
        let (key, request, total) = if by == 0 {
            let total = 1 + self.random.below(1000) as i64;
            let mut request = json!({
                "trade_type": trade_type, "out_trade_no": format!("walk-{:04}", self.count),
                "description": "Walk", "amount": {"total": total},
            });
            if trade_type == "jsapi" {
                request["payer"] = json!({"openid": ALICE});
            }
            (None, request, total)
        } else {
            let quantity = 1 + self.random.below(4) as i64;
            let items = json!([{"sku": "tea", "quantity": quantity}]);
            let request = json!({"trade_type": trade_type, "items": items});
            (
                Some(format!("walk-key-{:010}", self.count)),
                request,
                quantity * 300,
            )
        };
        let answer = self.place(None, by, key.as_deref(), &request).await;
        self.expected("place", &answer, &[]);
        let number = match answer.body["out_trade_no"].as_str() {
            Some(number) => number.to_owned(),
            // A payer's number is told with the order; without it nobody can speak of it.
            None if by > 0 => {
                self.unnamed(by, key, request, total).await;
                return;
            }
            None => request["out_trade_no"].as_str().unwrap().to_owned(),
        };
        let promised = matches!(answer.status, 200 | 201);
        self.remember(number, by, key, request, total, promised);
    }

    /// A payer's order whose number was not told: it is asked for until it is, by the same key.
    async fn unnamed(&mut self, by: usize, key: Option<String>, request: Value, total: i64) {
        for _ in 0..3 {
            let answer = self.place(None, by, key.as_deref(), &request).await;
            if let Some(number) = answer.body["out_trade_no"].as_str() {
                self.remember(number.to_owned(), by, key, request, total, true);
                return;
            }
        }
    }

    fn remember(
        &mut self,
        number: String,
        by: usize,
        key: Option<String>,
        request: Value,
        total: i64,
        promised: bool,
    ) {
        let noted = Noted {
            by,
            request,
            key,
            total,
            promised,
            paid: false,
            told_paid: false,
            refunds: BTreeMap::new(),
        };
        assert!(
            self.orders.insert(number.clone(), noted).is_none(),
            "{number} was used before"
        );
    }

    async fn place_again(&mut self) {
        let Some(number) = self.any(|_| true) else {
            return;
        };
        let noted = self.orders[&number].clone();
        let answer = self
            .place(
                Some(&number),
                noted.by,
                noted.key.as_deref(),
                &noted.request,
            )
            .await;
        self.expected("place again", &answer, &[]);
        if answer.status < 300 {
            assert_eq!(answer.body["out_trade_no"], number.as_str());
            assert_eq!(answer.body["amount"]["total"], noted.total);
            self.heard(&number, &answer.body);
            self.orders.get_mut(&number).unwrap().promised = true;
        }
    }

    async fn place_otherwise(&mut self) {
        let Some(number) = self.any(|noted| noted.promised) else {
            return;
        };
        let noted = self.orders[&number].clone();
        let mut request = noted.request.clone();
        if noted.by == 0 {
            request["amount"]["total"] = json!(noted.total + 1);
        } else {
            request["items"][0]["quantity"] = json!(9);
        }
        let answer = self
            .place(Some(&number), noted.by, noted.key.as_deref(), &request)
            .await;
        assert!(answer.status >= 400, "other terms were taken: {answer:?}");
        self.expected("place otherwise", &answer, &["terms_differ"]);
    }

    async fn pay(&mut self) {
        let Some(number) = self.any(|noted| !noted.paid) else {
            return;
        };
        let noted = self.orders[&number].clone();
        let openid = if noted.by == 2 { BOB } else { ALICE };
        let act = *self
            .random
            .choice(&["pay", "pay", "pay", "pay", "cancel", "fail"])
            .unwrap();
        let status = pay(self.stack(), &number, act, openid).await;
        self.note(format!("{act} {number} -> {status}"));
        if act == "pay" && status == 200 {
            self.orders.get_mut(&number).unwrap().paid = true;
            self.orders_paid += 1;
        }
    }

    /// What somebody was told of an order, held against the notebook.
    fn heard(&mut self, number: &str, body: &Value) {
        let noted = self.orders.get_mut(number).unwrap();
        let paid = body["trade_state"] == "SUCCESS";
        assert!(!paid || noted.paid, "{number} is said to be paid: {body}");
        assert!(
            paid || !noted.told_paid,
            "{number} was paid and is not any more: {body}"
        );
        noted.told_paid |= paid;
        if let Some(refundable) = body["amount"]["refundable"].as_i64() {
            assert!((0..=noted.total).contains(&refundable), "{body}");
        }
    }

    async fn look(&mut self) {
        let Some(number) = self.any(|_| true) else {
            return;
        };
        let noted = self.orders[&number].clone();
        let who = if self.random.below(2) == 0 {
            0
        } else {
            noted.by
        };
        let credential = self.credentials[who].clone();
        let answer = self
            .stack()
            .get(&credential, &format!("/orders/{number}"))
            .await;
        self.note(format!(
            "look {number} {who} -> {} {} {}",
            answer.status, answer.body["trade_state"], answer.body["fresh"]
        ));
        let unknown: &[&str] = if noted.promised { &[] } else { &["not_found"] };
        self.expected("look", &answer, unknown);
        if answer.status == 200 {
            self.heard(&number, &answer.body);
        }
    }

    /// Somebody else's order.
    async fn pry(&mut self) {
        let Some(number) = self.any(|noted| noted.by > 0) else {
            return;
        };
        let other = self.credentials[3 - self.orders[&number].by].clone();
        let refund = json!({"amount": {"refund": 1}, "out_refund_no": "pry-r1"});
        let refunds = format!("/orders/{number}/refunds");
        let answer = match self.random.below(3) {
            0 => self.stack().get(&other, &format!("/orders/{number}")).await,
            1 => {
                self.stack()
                    .post(&other, &format!("/orders/{number}/close"), json!({}))
                    .await
            }
            _ => self.stack().post(&other, &refunds, refund).await,
        };
        self.note(format!("pry {number} -> {}", answer.status));
        assert!(answer.status >= 400, "{answer:?}");
        self.expected("pry", &answer, &["not_found"]);
    }

    async fn close(&mut self) {
        let Some(number) = self.any(|_| true) else {
            return;
        };
        let noted = self.orders[&number].clone();
        let credential = self.credentials[noted.by].clone();
        let close = format!("/orders/{number}/close");
        let answer = self.stack().post(&credential, &close, json!({})).await;
        self.note(format!(
            "close {number} -> {} {}",
            answer.status, answer.body["trade_state"]
        ));
        let refusals: &[&str] = match (noted.paid, noted.promised) {
            (true, _) => &["order_paid", "not_found"],
            (false, true) => &[],
            (false, false) => &["not_found"],
        };
        self.expected("close", &answer, refusals);
        if answer.body["trade_state"].is_string() {
            self.heard(&number, &answer.body);
        }
    }

    /// Everything that can happen to one order in one moment.
    async fn all_at_once(&mut self) {
        let Some(number) = self.any(|noted| !noted.paid) else {
            return;
        };
        let noted = self.orders[&number].clone();
        let (merchant, path) = (self.credentials[0].clone(), format!("/orders/{number}"));
        let close = format!("{path}/close");
        let stack = self.stack();
        let openid = if noted.by == 2 { BOB } else { ALICE };
        let (closed, seen, paid, _) = tokio::join!(
            stack.post(&merchant, &close, json!({})),
            stack.get(&merchant, &path),
            pay(stack, &number, "pay", openid),
            sweep(stack),
        );
        self.note(format!(
            "at once {number} -> close {}, look {}, pay {paid}",
            closed.status, seen.status
        ));
        let unknown: &[&str] = if noted.promised {
            &["order_paid"]
        } else {
            &["order_paid", "not_found"]
        };
        self.expected("close", &closed, unknown);
        self.expected("look", &seen, unknown);
        self.orders.get_mut(&number).unwrap().paid |= paid == 200;
        self.orders_paid += u32::from(paid == 200);
    }

    async fn sweep(&mut self) {
        let swept = sweep(self.stack()).await;
        self.note(format!("sweep -> {swept}"));
    }

    async fn pass_time(&mut self) {
        let seconds = *self.random.choice(&[5, 61, 130, 600, 1900]).unwrap();
        self.stack().advance(seconds).await;
        self.note(format!("{seconds} seconds pass"));
    }

    /// No more trouble: everything comes to rest, and is what the notebook says.
    async fn end(mut self) {
        self.calm().await;
        self.note("the end begins".to_owned());
        let mut open = Vec::new();
        // Sweeps that come ever later, some days in all: what is looked at rarest is looked at daily.
        for round in 0..60 {
            let seconds = match round {
                0..8 => 150,
                8..16 => 900,
                _ => 7200,
            };
            let stack = self.stack();
            stack.advance(seconds).await;
            sweep(stack).await;
            for row in stack.seen("ledger").await {
                if row["status"] == "ABNORMAL" {
                    // A person saw to it.
                    end_refund(stack, row["out_refund_no"].as_str().unwrap(), "complete").await;
                }
            }
            open = stack.open_ends().await;
            let due = stack
                .items()
                .into_iter()
                .filter(|item| !item["due_at"].is_null());
            open.extend(due.map(|item| format!("to be looked at: {item}")));
            if open.is_empty() {
                break;
            }
        }
        assert!(open.is_empty(), "not at rest: {open:#?}");
        let stack = self.stack();
        let violations = stack.seen("violations").await;
        let accepted = violations
            .iter()
            .find(|row| row["kind"] == "accepted_forgery");
        assert_eq!(accepted, None);
        let items = stack.items();
        let mut numbers = BTreeMap::new();
        for item in &items {
            if watch::text(item, "sk") == "ORDER" {
                numbers.insert(watch::text(item, "out_trade_no").to_owned(), item.clone());
            }
        }
        for (number, noted) in &self.orders {
            let Some(item) = numbers.get(number) else {
                assert!(!noted.promised && !noted.paid, "{number} is lost");
                continue;
            };
            let paid = watch::text(item, "trade_state") == "SUCCESS";
            assert_eq!(paid, noted.paid, "{number}: {item}");
            assert_eq!(watch::number(item, "total"), noted.total, "{number}");
            for (refund, back) in &noted.refunds {
                let item = stack.item(&format!("ORDER#{number}"), &format!("REFUND#{refund}"));
                if item.is_null() {
                    assert!(!back.promised, "{refund} of {number} is lost");
                } else {
                    assert_eq!(watch::number(&item, "refund"), back.amount, "{refund}");
                }
            }
        }
    }
}

/// A control call of the simulator's, which may be refused.
async fn control(stack: &TestStack, path: &str, body: Value) -> u16 {
    let url = format!("{}/_sim/{path}", stack.stack.simulator.control_url());
    let client = shared::platform::Platform::system().unwrap().http;
    let answer = client.post(url).json(&body).send().await.unwrap();
    answer.status().as_u16()
}

/// Every other walk meets a WeChat Pay that is in trouble by itself, too.
async fn be_hostile(stack: &TestStack, seed: u64) {
    if seed % 2 == 1 {
        stack.control("hostility", json!({"hostility": 0.3})).await;
    }
}

/// What somebody does on the phone.
async fn pay(stack: &TestStack, number: &str, act: &str, openid: &str) -> u16 {
    let body = json!({"openid": openid});
    control(stack, &format!("orders/{number}/{act}"), body).await
}

/// A sweep that may fail where the table does: the next one goes on.
async fn sweep(stack: &TestStack) -> String {
    match stack.stack.run_scheduled("SweepFunction").await {
        Ok(swept) => swept.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

async fn end_refund(stack: &TestStack, refund: &str, end: &str) -> u16 {
    control(stack, &format!("refunds/{refund}/{end}"), json!({})).await
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Walks, and tells how much happened on the way.
async fn walk(seed: u64) -> [u32; 2] {
    let mut walk = Walk::begin(seed).await;
    let steps = variable("WALK_STEPS").unwrap_or(u64::from(STEPS));
    for _ in 0..steps {
        walk.step().await;
    }
    let happened = [walk.orders_paid, walk.refunds_taken];
    walk.end().await;
    happened
}

async fn walks(seeds: std::ops::Range<u64>) {
    let seeds = match variable("WALK_SEED") {
        // One test is enough for it.
        Some(_) if seeds.start > 0 => return,
        Some(seed) => seed..seed + variable("WALK_SEEDS").unwrap_or(1),
        None => seeds,
    };
    let walks = seeds.end - seeds.start;
    let happened: Vec<[u32; 2]> = stream::iter(seeds)
        .map(walk)
        .buffer_unordered(4)
        .collect()
        .await;
    let sum = |place: usize| happened.iter().map(|counts| u64::from(counts[place])).sum();
    let (paid, refunds): (u64, u64) = (sum(0), sum(1));
    // A walk through nothing proves nothing.
    assert!(
        paid >= 3 * walks && refunds >= 2 * walks,
        "{paid} paid, {refunds} refunds"
    );
}

#[tokio::test]
async fn whatever_happens_in_the_end_the_books_balance() {
    walks(0..4).await;
}

#[tokio::test]
async fn whatever_else_happens_in_the_end_the_books_balance() {
    walks(4..8).await;
}
