//! Mornings and rotations, and how a walk ends: without faults everything comes to rest, both sides' books
//! agree, and whatever was promised is there.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::domain::{BeijingDay, Timestamp};
use shared::rfc3339;

use crate::books::{number, open_ends, text};
use crate::fault::{Fault, Place};
use crate::notebook::NotedRefund;
use crate::op::{Decision, Person, Rotated, Signs};
use crate::process::Ended;
use crate::walk::{Walk, pass};
use crate::witness::FORGED;

/// How long every process keeps what it read of a secret, and a little, in seconds.
const SECRETS_SECONDS: u64 = 20 * 60;

/// At which second of a day the bills of the day before are there, and a little later.
const MORNING_SECOND: i64 = 10 * 3_600 + 1_800;

/// For how many sweeps nothing may change while nothing is due: no more will come of it.
const UNCHANGED_MAX: u32 = 6;

/// How often the sweep runs at most until everything has come to rest.
const ROUNDS_MAX: u32 = 80;

/// Of so many seeds one ends with its last day reconciled. A day costs more queries than all that leads to it, and
/// the books of both sides are compared in every seed. It goes through all ways in which plans begin.
const RECONCILED_EVERY: u64 = 21;

impl Walk<'_> {
    /// It becomes the next morning, and yesterday is reconciled.
    pub(crate) async fn reconcile(&mut self) {
        let day = BeijingDay::of(Timestamp::from_unix_seconds(self.world.now()));
        self.until_morning_after(day).await;
        let event = json!({"date": rfc3339::format_day(day)});
        let done = self.reconciled(event).await;
        self.world.weather.note(&format!("  reconciled: {done:?}"));
    }

    async fn reconciled(&self, event: Value) -> Result<Value, Ended> {
        let processes = &self.world.processes;
        processes
            .invoke("ReconcileFunction", Place::Scheduled, event)
            .await
    }

    /// A key is replaced, as docs/operations.md has it.
    pub(crate) async fn rotate(&mut self, key: Rotated) {
        match key {
            Rotated::Apiv3 => self.rotate_apiv3_key().await,
            Rotated::PublicKey => self.replace_public_key().await,
            Rotated::TokenKey => self.rotate_token_key().await,
            Rotated::MerchantKey => self.rotate_merchant_key().await,
            Rotated::Certificate => self.rotate_certificate().await,
            Rotated::ToPublicKey => self.change_to_public_key().await,
        }
    }

    async fn rotate_apiv3_key(&self) {
        let world = self.world;
        let old = world.secret("Apiv3Secret")["apiv3_key"].clone();
        let new: String = (0..32)
            .map(|_| drawn_letter(world.weather.draw(26)))
            .collect();
        let both = json!({"apiv3_key": old, "also_accepted": [new]});
        world.put_secret("Apiv3Secret", both);
        pass(SECRETS_SECONDS).await;
        let mchid = world.merchant_number();
        world
            .control(&format!("merchants/{mchid}"), json!({"apiv3_key": new}))
            .await;
        let both = json!({"apiv3_key": new, "also_accepted": [old]});
        world.put_secret("Apiv3Secret", both);
    }

    /// The public key changes without notice: what is refused meanwhile comes again.
    async fn replace_public_key(&self) {
        let world = self.world;
        let old = world.secret("WechatpaySecret");
        let spare = &world.spare[usize::from(!old["also_accepted"].is_null())];
        let wanted = json!({"what": "public_key", "private_pem": spare});
        if let Err(why) = world.wechat_pay.rotate(&wanted) {
            return world.weather.broken(why);
        }
        pass(30).await;
        match world.public_key() {
            Ok((id, pem)) => {
                let before =
                    json!({"public_key_id": old["public_key_id"], "public_key": old["public_key"]});
                let new =
                    json!({"public_key_id": id, "public_key": pem, "also_accepted": [before]});
                world.put_secret("WechatpaySecret", new);
            }
            Err(why) => world.weather.broken(why),
        }
        pass(SECRETS_SECONDS).await;
    }

    /// The merchant signs with another key, and its old certificate is revoked once nobody has it.
    async fn rotate_merchant_key(&self) {
        let world = self.world;
        let mut text = world.secret("SigningSecret");
        let old = text.clone();
        let [one, other] = &world.spare;
        let key = if old["private_key"] == one.as_str() {
            other
        } else {
            one
        };
        let made = match world.wechat_pay.add_certificate(key) {
            Ok(made) => made,
            Err(why) => return world.weather.broken(why),
        };
        text["serial_no"] = made["serial_no"].clone();
        text["private_key"] = json!(key);
        world.put_secret("SigningSecret", text);
        pass(SECRETS_SECONDS).await;
        let serial = old["serial_no"].as_str().unwrap_or_default();
        self.set_merchant(
            &format!("/certificates/{serial}"),
            json!({"state": "revoked"}),
        )
        .await;
    }

    /// The next certificate is announced; the sweep finds it before it signs anything.
    async fn rotate_certificate(&self) {
        let world = self.world;
        let next = json!({"what": "platform_certificate", "private_pem": world.spare[0]});
        let end = json!({"what": "platform_certificate_end"});
        if let Err(why) = world.wechat_pay.rotate(&next) {
            return world.weather.broken(why);
        }
        self.sweep_for_certificates().await;
        for share in [0.5, 1.0] {
            self.set_merchant("", json!({"new_certificate_share": share}))
                .await;
            pass(SECRETS_SECONDS).await;
        }
        if let Err(why) = world.wechat_pay.rotate(&end) {
            world.weather.broken(why);
        }
        self.sweep_for_certificates().await;
    }

    /// WeChat Pay signs with its public key bit by bit, and then with nothing else.
    async fn change_to_public_key(&self) {
        for change in [
            json!({"public_key_share": 0.5}),
            json!({"public_key_share": 1.0}),
            json!({"mode": "public-key"}),
        ] {
            self.set_merchant("", change).await;
            pass(SECRETS_SECONDS).await;
        }
    }

    /// The sweep looks for certificates each hour, and every process reads them again.
    async fn sweep_for_certificates(&self) {
        for _ in 0..2 {
            pass(3_700).await;
            self.sweep().await;
        }
        pass(SECRETS_SECONDS).await;
    }

    async fn set_merchant(&self, path: &str, wanted: Value) {
        let mchid = self.world.merchant_number();
        let path = format!("merchants/{mchid}{path}");
        let (status, answer) = self.world.control(&path, wanted).await;
        if status != 200 {
            self.world.weather.broken(format!("{path}: {answer}"));
        }
    }

    async fn rotate_token_key(&self) {
        let world = self.world;
        let mut text = world.secret("ApiSecret");
        let old = text["token_key"].clone();
        let new = STANDARD.encode(Sha256::digest(old.to_string().as_bytes()));
        text["also_accepted_token_keys"] = json!([new]);
        world.put_secret("ApiSecret", text.clone());
        pass(SECRETS_SECONDS).await;
        text["token_key"] = json!(new);
        text["also_accepted_token_keys"] = json!([old]);
        world.put_secret("ApiSecret", text);
        pass(SECRETS_SECONDS).await;
    }

    /// Ends the walk and checks all that must have come to be.
    pub async fn rest(mut self) {
        let world = self.world;
        let weather = &world.weather;
        weather.begin_step(u32::MAX);
        weather.note("the end begins");
        weather.heal();
        world
            .wechat_pay
            .control("DELETE", "/_sim/faults", &Value::Null)
            .await;
        if weather.has_met(Fault::Skew) {
            // New ones have clocks that are right.
            world.processes.restart();
        }
        let began = Timestamp::from_unix_seconds(world.now());
        self.come_to_rest().await;
        if weather.first_broken().is_some() {
            return;
        }
        self.check_notebook();
        self.check_events();
        let (_, violations) = world
            .wechat_pay
            .control("GET", "/_sim/violations", &Value::Null)
            .await;
        let mut violations = violations["items"].as_array().into_iter().flatten();
        if let Some(forgery) = violations.find(|row| row["kind"] == "accepted_forgery") {
            weather.broken(format!("a forgery was accepted: {forgery}"));
        }
        if weather.is_one_of(RECONCILED_EVERY) {
            self.last_day(BeijingDay::of(began)).await;
        }
    }

    /// Sweeps whenever something is due until nothing is open. Where nothing is, a sweep would find nothing but
    /// new certificates.
    async fn come_to_rest(&mut self) {
        let world = self.world;
        let (mut open, mut unchanged) = (Vec::new(), 0);
        for round in 0..ROUNDS_MAX {
            let mut items = self.mirror.items.values();
            let is_due = items.any(|item| !item["due_at"].is_null());
            pass(self.until_due(round)).await;
            if is_due || self.signs != Signs::PublicKey {
                let swept = self.sweep().await;
                // Nothing goes wrong any more but what came too late.
                if round > 0 && swept.as_ref().is_none_or(|swept| swept["failed"] != 0) {
                    let failed = format!("a sweep fails though nothing goes wrong: {swept:?}");
                    return world.weather.broken(failed);
                }
            }
            let ledger = world.ledger();
            for row in ledger.iter().filter(|row| row["status"] == "ABNORMAL") {
                // A person dealt with it.
                let refund = row["out_refund_no"].as_str().unwrap_or_default();
                world
                    .control(&format!("refunds/{refund}/complete"), json!({}))
                    .await;
            }
            self.retry_what_was_refused().await;
            self.publish().await;
            self.check();
            if world.weather.first_broken().is_some() {
                return;
            }
            let items = self.mirror.items.values();
            let mut still_open = open_ends(items.clone(), &world.ledger());
            let due: Vec<&Value> = items.filter(|item| !item["due_at"].is_null()).collect();
            unchanged = if due.is_empty() && still_open == open {
                unchanged + 1
            } else {
                0
            };
            still_open.extend(due.iter().map(|item| format!("still due: {item}")));
            open = still_open;
            if unchanged == UNCHANGED_MAX && self.reconcile_payments_after_closes().await {
                unchanged = 0;
            }
            if open.is_empty() || unchanged == UNCHANGED_MAX {
                break;
            }
        }
        if !open.is_empty() {
            world.weather.broken(format!("not at rest: {open:?}"));
        }
    }

    /// A payment after its order's close whose notification is lost is in its day's bill: whether there
    /// was any day to reconcile.
    async fn reconcile_payments_after_closes(&mut self) -> bool {
        let days = std::mem::take(&mut self.closed_first);
        for day in &days {
            self.until_morning_after(*day).await;
            let done = self.reconciled(json!({"date": rfc3339::format_day(*day)}));
            let done = done.await;
            self.world.weather.note(&format!("  reconciled: {done:?}"));
        }
        self.found_in_bills.extend(days.iter().copied());
        !days.is_empty()
    }

    /// Waits for the morning on which the day's bills are there.
    async fn until_morning_after(&self, day: BeijingDay) {
        let now = Timestamp::from_unix_seconds(self.world.now());
        let morning = day.ends_at().plus_seconds(MORNING_SECOND);
        pass(u64::try_from(morning.seconds_since(now)).unwrap_or(0)).await;
    }

    /// For how many seconds no sweep would find anything: until the first full minute, as the schedule has it,
    /// at which something is due. Where nothing will be due, what WeChat Pay may still say is waited for, ever
    /// longer.
    fn until_due(&self, round: u32) -> u64 {
        let (items, now) = (self.mirror.items.values(), self.world.now());
        let due = items.filter(|item| item["due_at"]["N"].is_string());
        let next = due.map(|item| number(item, "due_at")).min();
        let seconds = match next {
            Some(due) => {
                let over = due.max(now) + 1;
                over + (60 - over % 60) % 60 - now
            }
            None if round == 0 => 1,
            None => 60 << round.min(7),
        };
        u64::try_from(seconds.max(1)).unwrap_or(1)
    }

    /// What WeChat Pay refused for good waits for the merchant, who has it sent again; what it refuses then
    /// is withdrawn. What is due is the sweep's, whoever was called for it.
    async fn retry_what_was_refused(&mut self) {
        let items = self.mirror.items.values();
        let waiting = items.filter(|item| {
            let gave_up = item["due_at"].is_null() && !text(item, "needs_human").is_empty();
            text(item, "status") == "RESERVED" && gave_up
        });
        let waiting: Vec<(String, String)> = waiting
            .map(|item| {
                let (order, refund) = (text(item, "out_trade_no"), text(item, "out_refund_no"));
                (order.to_owned(), refund.to_owned())
            })
            .collect();
        for (order, refund) in waiting {
            let is_first = self.retried.insert(refund.clone());
            let decision = if is_first { "retry" } else { "withdraw" };
            if is_first {
                self.world.weather.seen(|witness, _| {
                    witness.refund_retried(&refund);
                    Ok(())
                });
            }
            let path = format!("/orders/{order}/refunds/{refund}/{decision}");
            self.as_merchant(&path).await;
        }
    }

    /// Every order that anybody was told of is there, and is paid exactly if the phone said so; no refund
    /// that was accepted is lost, or given up for no reason.
    fn check_notebook(&self) {
        let weather = &self.world.weather;
        for noted in self
            .orders
            .values()
            .filter(|noted| !noted.number.is_empty())
        {
            let number = &noted.number;
            let partition = format!("ORDER#{number}");
            let Some(item) = self
                .mirror
                .items
                .get(&(partition.clone(), "ORDER".to_owned()))
            else {
                if noted.promised || noted.paid {
                    weather.broken(format!("{number} is lost"));
                }
                continue;
            };
            if (text(item, "trade_state") == "SUCCESS") != noted.paid {
                weather.broken(format!("{number}, paid {}: {item}", noted.paid));
            }
            for (refund, asked) in &noted.refunds {
                let refund = asked.number(&format!("proof-r{refund:04}"));
                let item = self
                    .mirror
                    .items
                    .get(&(partition.clone(), format!("REFUND#{refund}")));
                match item {
                    None if asked.promised => {
                        weather.broken(format!("{refund} of {number} is lost"));
                    }
                    None => {}
                    Some(item) if self.may_end_so(&refund, asked, text(item, "status")) => {}
                    Some(item) => {
                        weather.broken(format!("{refund} ends for no reason: {item}, {asked:?}"));
                    }
                }
            }
        }
    }

    /// Whether something explains that a refund ends so: the money is with the payer or WeChat Pay closed it,
    /// or else somebody decided against it.
    fn may_end_so(&self, refund: &str, asked: &NotedRefund, status: &str) -> bool {
        let decided = |decision| asked.decided.contains(&decision);
        match status {
            // The ledger of WeChat Pay is compared elsewhere.
            "SUCCESS" | "CLOSED" => true,
            "WITHDRAWN" => decided(Decision::Withdraw) || self.world.weather.was_refused(refund),
            "REJECTED" => decided(Decision::Reject),
            "REQUESTED" => asked.by == Person::Alice && !decided(Decision::Approve),
            _ => false,
        }
    }

    /// Others heard of every committed change that is an event, and of nothing else.
    fn check_events(&self) {
        let events = self.world.aws.events();
        let ours = events.iter().filter(|event| event["source"] == "wxpay");
        let of_books = |event: &&Value| {
            let kind = event["detail-type"].as_str().unwrap_or_default();
            kind.starts_with("order.") || kind.starts_with("refund.")
        };
        let heard: BTreeSet<(String, String)> = ours
            .filter(of_books)
            .map(|event| {
                let id = event["detail"]["id"].as_str().unwrap_or_default();
                let kind = event["detail-type"].as_str().unwrap_or_default();
                (id.to_owned(), kind.to_owned())
            })
            .filter(|(id, _)| !id.contains(FORGED))
            .collect();
        let missing: Vec<_> = self.committed.difference(&heard).collect();
        let invented: Vec<_> = heard.difference(&self.committed).collect();
        if !missing.is_empty() || !invented.is_empty() {
            let told = format!("events missing: {missing:?}, invented: {invented:?}");
            self.world.weather.broken(told);
        }
    }

    /// The last day before the end is reconciled, and agrees.
    async fn last_day(&mut self, day: BeijingDay) {
        // What only a bill told of is a difference for good.
        if self.found_in_bills.contains(&day) {
            return;
        }
        self.until_morning_after(day).await;
        let date = rfc3339::format_day(day);
        let done = self.reconciled(json!({"date": date})).await;
        let agrees = done
            .as_ref()
            .is_ok_and(|done| done["status"] == "done" && done["differences"] == 0);
        if !agrees {
            let report = self.world.aws.object_ending(&format!("{date}/report.json"));
            let report = report.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            self.world
                .weather
                .broken(format!("{date} does not agree: {done:?} {report:?}"));
        }
    }
}

/// A letter of an APIv3 key.
fn drawn_letter(place: u64) -> char {
    char::from(b'A' + u8::try_from(place % 26).unwrap_or(0))
}
