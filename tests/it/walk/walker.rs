//! Performs operations on a stack and holds every answer against the notebook.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::notebook::{Diary, Noted};
use super::op::{Act, Attempt, Op, Person, Start, merchant_number, request};
use crate::harness::{ALICE, Answer, BOB, TestStack};

/// What has no part in a walk: bills, and an answer that keeps a processor busy for seconds.
const LEFT_OUT: [&str; 2] = ["bill_", "response_oversized"];

/// The names of the faults that have a part in a walk.
pub(super) async fn faults(stack: &TestStack) -> Vec<String> {
    let faults = stack.seen("faults").await.into_iter();
    faults
        .map(|fault| fault["name"].as_str().unwrap().to_owned())
        .filter(|name| !LEFT_OUT.iter().any(|left_out| name.starts_with(left_out)))
        .collect()
}

/// How much happened on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// How often each operation did something, by name.
    pub(super) ran: BTreeMap<&'static str, u32>,
    pub(super) orders_paid: u32,
    pub(super) refunds_accepted: u32,
}

impl Tally {
    /// Both together.
    pub(super) fn and(mut self, other: &Self) -> Self {
        for (name, count) in &other.ran {
            *self.ran.entry(name).or_default() += count;
        }
        self.orders_paid += other.orders_paid;
        self.refunds_accepted += other.refunds_accepted;
        self
    }
}

/// A walk under way.
pub(super) struct Walk {
    stack: Option<TestStack>,
    pub(super) diary: Diary,
    /// The merchant's key and two payers' tokens, by [`Person`].
    credentials: [String; 3],
    /// Every order that has a number, by the walk's number.
    pub(super) orders: BTreeMap<u32, Noted>,
    pub(super) tally: Tally,
}

impl Walk {
    /// A stack for a walk; where it is not `loud`, a failure prints nothing but its reason.
    pub(super) async fn begin(start: Start, loud: bool) -> Self {
        let mut stack = TestStack::with(|options| options.seed = start.seed).await;
        stack.watch.loud = loud;
        let credentials = [
            stack.merchant.clone(),
            stack.login(ALICE).await,
            stack.login(BOB).await,
        ];
        be_hostile(&stack, start).await;
        Self {
            stack: Some(stack),
            diary: Diary {
                start,
                lines: Vec::new(),
                loud,
            },
            credentials,
            orders: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    pub(super) fn stack(&self) -> &TestStack {
        self.stack.as_ref().unwrap()
    }

    pub(super) fn credential(&self, person: Person) -> String {
        self.credentials[person as usize].clone()
    }

    pub(super) fn note(&mut self, line: String) {
        self.diary.lines.push(line);
    }

    /// The order, if it has a number.
    pub(super) fn noted(&self, order: u32) -> Option<Noted> {
        self.orders.get(&order).cloned()
    }

    pub(super) fn noted_mut(&mut self, order: u32) -> &mut Noted {
        self.orders.get_mut(&order).unwrap()
    }

    /// Performs an operation, and counts it if it did something.
    pub(super) async fn perform(&mut self, op: &Op) {
        self.note(format!("{op:?}"));
        if self.try_to(op).await.is_some() {
            *self.tally.ran.entry(op.name()).or_default() += 1;
        } else {
            self.note("    nothing to do".to_owned());
        }
    }

    /// Performs an operation; nothing where there is nothing that it could be about.
    async fn try_to(&mut self, op: &Op) -> Option<()> {
        match op {
            Op::Place {
                order,
                by,
                trade_type,
                total,
            } => {
                self.place(*order, *by, trade_type, *total).await;
                Some(())
            }
            Op::PlaceAgain { order } => self.place_again(*order).await,
            Op::PlaceOtherwise { order } => self.place_otherwise(*order).await,
            Op::Pay { order, act } => self.pay(*order, *act).await,
            Op::Query { order, by } => self.query(*order, *by).await,
            Op::Pry { order, attempt } => self.pry(*order, *attempt).await,
            Op::Close { order } => self.close(*order).await,
            Op::Refund {
                order,
                refund,
                by,
                amount,
            } => self.refund(*order, *refund, *by, *amount).await,
            Op::RefundAgain { order, refund } => self.refund_again(*order, *refund).await,
            Op::Decide {
                order,
                refund,
                decision,
            } => self.decide(*order, *refund, *decision).await,
            Op::Bank { order, refund, end } => self.bank(*order, *refund, *end).await,
            Op::AllAtOnce { order } => self.all_at_once(*order).await,
            Op::RefundsAtOnce { order, first } => self.refunds_at_once(*order, *first).await,
            Op::Forge { order } => self.forge(*order).await,
            Op::Sweep
            | Op::Advance { .. }
            | Op::Trouble { .. }
            | Op::TableTrouble { .. }
            | Op::Calm
            | Op::Restart => {
                self.surroundings(op).await;
                Some(())
            }
        }
    }

    /// What happens around the orders.
    async fn surroundings(&mut self, op: &Op) {
        match op {
            Op::Sweep => {
                let swept = sweep(self.stack()).await;
                self.note(format!("    {swept}"));
            }
            Op::Advance { seconds } => self.stack().advance(*seconds).await,
            Op::Trouble { fault, count, rate } => {
                let limits = json!({"count": count, "rate": rate});
                self.stack().fault(fault, limits).await;
            }
            Op::TableTrouble { calls } => self.table_trouble(calls),
            Op::Calm => self.calm().await,
            Op::Restart => self.restart().await,
            other => unreachable!("{other:?} is about an order"),
        }
    }

    /// Checks that an answer is as promised, refused for a reason, or says that the request has to be
    /// sent again.
    pub(super) fn expected(&self, what: &str, answer: &Answer, refusals: &[&str]) {
        let code = answer.body["code"].as_str().unwrap_or_default();
        let again = matches!(
            code,
            "wechatpay_unavailable"
                | "wechatpay_refused"
                | "store_unavailable"
                | "not_configured"
                | "code_pending"
                | "concurrent_changes"
                | "out_of_time"
        );
        // The gateway's own 503: the function took too long.
        let cut = answer.status == 503 && answer.body["message"].is_string();
        let fine = matches!(answer.status, 200..=202) || again || cut || refusals.contains(&code);
        assert!(fine, "{what}: {answer:?}");
    }

    async fn send_order(&mut self, by: Person, key: Option<&str>, request: &Value) -> Answer {
        let credential = self.credential(by);
        let headers: Vec<(&str, &str)> = key
            .map(|key| ("idempotency-key", key))
            .into_iter()
            .collect();
        let body = Some(request.clone());
        let stack = self.stack();
        let answer = stack
            .send(Method::POST, "/orders", Some(&credential), &headers, body)
            .await;
        self.note(format!("    {} {}", answer.status, answer.body["code"]));
        answer
    }

    async fn place(&mut self, order: u32, by: Person, trade_type: &str, total: i64) {
        let request = request(order, by, trade_type, total);
        let merchant = by == Person::Merchant;
        let key = (!merchant).then(|| format!("walk-key-{order:010}"));
        let mut answer = self.send_order(by, key.as_deref(), &request).await;
        self.expected("place", &answer, &[]);
        let mut tries = 0..3;
        let number = loop {
            let told = answer.body["out_trade_no"].as_str().map(str::to_owned);
            match told.or_else(|| merchant.then(|| merchant_number(order))) {
                Some(number) => break number,
                // A payer learns the number with the order, and sends the same request until then.
                None if tries.next().is_some() => {
                    answer = self.send_order(by, key.as_deref(), &request).await;
                }
                None => return,
            }
        };
        let used = self.orders.values().any(|noted| noted.number == number);
        assert!(!used, "{number} was used before");
        let noted = Noted {
            number,
            by,
            request,
            key,
            total,
            promised: matches!(answer.status, 200 | 201),
            paid: false,
            told_paid: false,
            refunds: BTreeMap::new(),
        };
        self.orders.insert(order, noted);
    }

    async fn place_again(&mut self, order: u32) -> Option<()> {
        let noted = self.noted(order)?;
        let answer = self
            .send_order(noted.by, noted.key.as_deref(), &noted.request)
            .await;
        self.expected("place again", &answer, &[]);
        if answer.status < 300 {
            assert_eq!(answer.body["out_trade_no"], noted.number.as_str());
            assert_eq!(answer.body["amount"]["total"], noted.total);
            self.heard(order, &answer.body);
            self.noted_mut(order).promised = true;
        }
        Some(())
    }

    async fn place_otherwise(&mut self, order: u32) -> Option<()> {
        let noted = self.noted(order).filter(|noted| noted.promised)?;
        let mut request = noted.request.clone();
        if noted.by == Person::Merchant {
            request["amount"]["total"] = json!(noted.total + 1);
        } else {
            request["items"][0]["quantity"] = json!(9);
        }
        let answer = self
            .send_order(noted.by, noted.key.as_deref(), &request)
            .await;
        assert!(answer.status >= 400, "other terms were taken: {answer:?}");
        self.expected("place otherwise", &answer, &["terms_differ"]);
        Some(())
    }

    async fn pay(&mut self, order: u32, act: Act) -> Option<()> {
        let noted = self.noted(order).filter(|noted| !noted.paid)?;
        let status = on_the_phone(self.stack(), &noted, act).await;
        self.note(format!("    {status}"));
        if act == Act::Pays && status == 200 {
            self.paid(order);
        }
        Some(())
    }

    fn paid(&mut self, order: u32) {
        self.noted_mut(order).paid = true;
        self.tally.orders_paid += 1;
    }

    /// Checks what an answer says of an order.
    fn heard(&mut self, order: u32, body: &Value) {
        let noted = self.noted_mut(order);
        let number = &noted.number;
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

    async fn query(&mut self, order: u32, by: Person) -> Option<()> {
        let noted = self.noted(order)?;
        let credential = self.credential(by);
        let path = format!("/orders/{}", noted.number);
        let answer = self.stack().get(&credential, &path).await;
        self.note(format!(
            "    {} {} {}",
            answer.status, answer.body["trade_state"], answer.body["fresh"]
        ));
        let unknown: &[&str] = if noted.promised { &[] } else { &["not_found"] };
        self.expected("query", &answer, unknown);
        if answer.status == 200 {
            self.heard(order, &answer.body);
        }
        Some(())
    }

    async fn pry(&mut self, order: u32, attempt: Attempt) -> Option<()> {
        let noted = self.noted(order)?;
        let other = self.credential(noted.by.other_payer());
        let path = format!("/orders/{}", noted.number);
        let stack = self.stack();
        let answer = match attempt {
            Attempt::Querying => stack.get(&other, &path).await,
            Attempt::Closing => {
                stack
                    .post(&other, &format!("{path}/close"), json!({}))
                    .await
            }
            Attempt::Refunding => {
                let refund = json!({"amount": {"refund": 1}, "out_refund_no": "pry-r1"});
                stack.post(&other, &format!("{path}/refunds"), refund).await
            }
        };
        self.note(format!("    {}", answer.status));
        assert!(answer.status >= 400, "{answer:?}");
        self.expected("pry", &answer, &["not_found"]);
        Some(())
    }

    async fn close(&mut self, order: u32) -> Option<()> {
        let noted = self.noted(order)?;
        let credential = self.credential(noted.by);
        let close = format!("/orders/{}/close", noted.number);
        let answer = self.stack().post(&credential, &close, json!({})).await;
        self.note(format!(
            "    {} {}",
            answer.status, answer.body["trade_state"]
        ));
        let refusals: &[&str] = match (noted.paid, noted.promised) {
            (true, _) => &["order_paid", "not_found"],
            (false, true) => &[],
            (false, false) => &["not_found"],
        };
        self.expected("close", &answer, refusals);
        if answer.body["trade_state"].is_string() {
            self.heard(order, &answer.body);
        }
        Some(())
    }

    async fn all_at_once(&mut self, order: u32) -> Option<()> {
        let noted = self.noted(order).filter(|noted| !noted.paid)?;
        let (merchant, path) = (
            self.credential(Person::Merchant),
            format!("/orders/{}", noted.number),
        );
        let close = format!("{path}/close");
        let stack = self.stack();
        let (closed, seen, paid, _) = tokio::join!(
            stack.post(&merchant, &close, json!({})),
            stack.get(&merchant, &path),
            on_the_phone(stack, &noted, Act::Pays),
            sweep(stack),
        );
        self.note(format!(
            "    close {}, query {}, pay {paid}",
            closed.status, seen.status
        ));
        let unknown: &[&str] = if noted.promised {
            &["order_paid"]
        } else {
            &["order_paid", "not_found"]
        };
        self.expected("close", &closed, unknown);
        self.expected("query", &seen, unknown);
        if paid == 200 {
            self.paid(order);
        }
        Some(())
    }

    async fn restart(&mut self) {
        let stack = self.stack.take().unwrap();
        stack.watch.set_fault(None);
        let mut stack = stack.restarted().await;
        stack.watch.loud = self.diary.loud;
        be_hostile(&stack, self.diary.start).await;
        self.stack = Some(stack);
    }
}

/// A control call of the simulator's, which may be refused.
pub(super) async fn control(stack: &TestStack, path: &str, body: Value) -> u16 {
    let url = format!("{}/_sim/{path}", stack.stack.simulator.control_url());
    let client = shared::process::Process::system().unwrap().http;
    let answer = client.post(url).json(&body).send().await.unwrap();
    answer.status().as_u16()
}

/// Lets WeChat Pay make trouble by itself, if the walk is one of those.
async fn be_hostile(stack: &TestStack, start: Start) {
    if start.hostile {
        stack.control("hostility", json!({"hostility": 0.3})).await;
    }
}

/// What the payer does on the phone.
async fn on_the_phone(stack: &TestStack, noted: &Noted, act: Act) -> u16 {
    let path = format!("orders/{}/{}", noted.number, act.control());
    control(stack, &path, json!({"openid": noted.by.openid()})).await
}

/// A sweep that may fail where the table does: the next one goes on.
pub(super) async fn sweep(stack: &TestStack) -> String {
    match stack.stack.run_scheduled("SweepFunction").await {
        Ok(swept) => swept.to_string(),
        Err(error) => format!("{error:?}"),
    }
}
