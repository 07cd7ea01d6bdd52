//! `wxpay demo --all`: what goes wrong with payments, how each ends without anybody watching, and what
//! tells the back office.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::{BeijingDay, Timestamp};

use super::shop::{PATIENCE, Shop};
use crate::template::physical;

/// How often to look whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Past the first look of the sweep at an order that nobody asks about, in seconds.
const FIRST_LOOK_SECONDS: i64 = 6 * 60;

/// Past the half hour in which an order can be paid, and the minute after it, in seconds.
const EXPIRED_SECONDS: i64 = 33 * 60;

/// Just before the first reconciliation of the day, a quarter past ten, in seconds after midnight.
const RECONCILED_SECONDS: i64 = 10 * 3_600 + 14 * 60 + 30;

/// How far from midnight the troubles begin, in seconds: they move the clock by an hour and a half.
const QUIET_SECONDS: i64 = 60 * 60;

/// How long the reconciliation may take, at most.
const RECONCILED_PATIENCE: Duration = Duration::from_secs(60);

impl Shop {
    /// Every trouble in turn; gives the orders that are paid at the end, and the refunds.
    pub(super) async fn trouble(
        &mut self,
        run: &str,
    ) -> Result<(Vec<String>, Vec<String>), String> {
        self.away_from_midnight().await?;
        let healed = self.lost_notification(&format!("lost-{run}")).await?;
        self.expiry(&format!("gone-{run}")).await?;
        let late = self.paid_late(&format!("late-{run}")).await?;
        let (order, refund) = self.abnormal_refund(&format!("card-{run}")).await?;
        Ok((vec![healed, late, order], vec![refund]))
    }

    /// Goes on in the small hours of the next day where this one is nearly over: what is paid within minutes
    /// of midnight may stand in the bill of either day, and is not judged by one.
    async fn away_from_midnight(&self) -> Result<(), String> {
        let now = self.now().await?;
        let today = BeijingDay::of(now);
        let early = today.starts_at().plus_seconds(QUIET_SECONDS);
        let late = today.ends_at().minus_seconds(3 * QUIET_SECONDS);
        if early <= now && now < late {
            return Ok(());
        }
        let quiet = BeijingDay::of(now.plus_seconds(3 * QUIET_SECONDS));
        let quiet = quiet.starts_at().plus_seconds(QUIET_SECONDS);
        self.advance(quiet.seconds_since(now)).await
    }

    async fn lost_notification(&mut self, number: &str) -> Result<String, String> {
        self.place(number).await?;
        self.lose_next_notification().await?;
        self.pay(number).await?;
        self.report(
            "a notification is lost",
            "paid, and the only notification never arrives, nor any retry",
        );
        self.advance(FIRST_LOOK_SECONDS).await?;
        self.until_recorded(number, "SUCCESS").await?;
        self.report(
            "six minutes later",
            "the sweep asked WeChat Pay by itself: order SUCCESS",
        );
        Ok(number.to_owned())
    }

    async fn expiry(&mut self, number: &str) -> Result<(), String> {
        self.place(number).await?;
        self.report("nobody pays", "an order, and half an hour passes");
        self.advance(EXPIRED_SECONDS).await?;
        self.until_recorded(number, "CLOSED").await?;
        let ledger = format!("{}/_sim/orders/{number}", self.control_url);
        let there = self.get(&ledger).await?;
        if there["trade_state"] != "CLOSED" {
            return Err(format!(
                "WeChat Pay has {number} as {}",
                there["trade_state"]
            ));
        }
        self.report("it expires", "closed by the sweep, here and at WeChat Pay");
        Ok(())
    }

    async fn paid_late(&mut self, number: &str) -> Result<String, String> {
        self.place(number).await?;
        self.lose_next_notification().await?;
        self.pay(number).await?;
        self.advance(EXPIRED_SECONDS).await?;
        self.until_recorded(number, "SUCCESS").await?;
        self.report(
            "paid in time, heard late",
            "past its time and unpaid on record; WeChat Pay is asked before it is closed: SUCCESS",
        );
        Ok(number.to_owned())
    }

    async fn abnormal_refund(&mut self, number: &str) -> Result<(String, String), String> {
        // The bank waits for the demo.
        self.control("knobs", json!({"refund_delay_s": null}))
            .await?;
        self.place(number).await?;
        self.pay(number).await?;
        let merchant = self.merchant_api_key.clone();
        self.wait(&merchant, number, "its payment", |order| {
            order["trade_state"] == "SUCCESS"
        })
        .await?;
        let refund = format!("{number}-r");
        let refunds = format!("/orders/{number}/refunds");
        let body = json!({"out_refund_no": refund, "amount": {"refund": 2550}});
        self.send(&refunds, body, 202).await?;
        self.control(&format!("refunds/{refund}/abnormal"), json!({}))
            .await?;
        let status =
            |wanted: &'static str| move |order: &Value| order["refunds"][0]["status"] == wanted;
        self.wait(&merchant, number, "the bank's refusal", status("ABNORMAL"))
            .await?;
        self.report(
            "an abnormal refund",
            "the payer's account is closed: ABNORMAL, and a person is called",
        );
        let body = json!({"type": "MERCHANT_BANK_CARD"});
        self.send(&format!("{refunds}/{refund}/abnormal"), body, 202)
            .await?;
        self.control(&format!("refunds/{refund}/complete"), json!({}))
            .await?;
        self.wait(&merchant, number, "the refund's end", status("SUCCESS"))
            .await?;
        self.report(
            "paid another way",
            "applied for, to the merchant's bank card: refund SUCCESS",
        );
        Ok((number.to_owned(), refund))
    }

    /// Waits until the payment of each order was told to the back office.
    pub(super) async fn events(&mut self, orders: &[String]) -> Result<(), String> {
        let file = self.folder.join("events.jsonl");
        let told = || {
            let lines = std::fs::read_to_string(&file).unwrap_or_default();
            let events: Vec<Value> = lines
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            let paid = |number: &str| {
                events.iter().any(|event| {
                    event["detail-type"] == "order.paid"
                        && event["detail"]["order"]["out_trade_no"] == number
                })
            };
            orders
                .iter()
                .all(|number| paid(number))
                .then_some(events.len())
        };
        let count = self
            .until("an event of each payment", PATIENCE, told)
            .await?;
        self.report(
            "events received",
            &format!(
                "{count}, an order.paid of each payment among them, each with an id of its own"
            ),
        );
        Ok(())
    }

    /// Compares the day with WeChat Pay's bills, one of which lacks a payment.
    pub(super) async fn reconciled_day(&mut self) -> Result<(), String> {
        let fault = json!({"name": "bill_lacks_payment", "count": 1});
        self.control("faults", fault).await?;
        let now = self.now().await?;
        let today = BeijingDay::of(now);
        let morning = today.ends_at().plus_seconds(RECONCILED_SECONDS);
        self.advance(morning.seconds_since(now)).await?;
        let folder = self
            .folder
            .join(physical("ReportsBucket"))
            .join(shared::rfc3339::format_day(today));
        let done = || folder.join("done.json").exists().then_some(());
        self.until("the reconciled day", RECONCILED_PATIENCE, done)
            .await?;
        let report =
            std::fs::read(folder.join("report.json")).map_err(|error| error.to_string())?;
        let report: Value = serde_json::from_slice(&report).map_err(|error| error.to_string())?;
        let found = report["differences"].as_array().into_iter().flatten();
        let mut kinds: Vec<&str> = found.filter_map(|found| found["kind"].as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.contains(&"paid_here_not_in_bill") {
            return Err(format!(
                "the payment that the bill lacks was not found: {kinds:?}"
            ));
        }
        self.report(
            "the day is reconciled",
            &format!(
                "WeChat Pay's bill lacks a payment, and it is found: {}",
                kinds.join(", ")
            ),
        );
        Ok(())
    }

    /// Waits for something that must happen.
    async fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        look: impl Fn() -> Option<T>,
    ) -> Result<T, String> {
        for _ in 0..patience.as_millis() / LOOK_EVERY.as_millis() {
            if let Some(found) = look() {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("waited for {what} over {} s", patience.as_secs()))
    }

    async fn place(&self, number: &str) -> Result<(), String> {
        let body = json!({
            "trade_type": "native", "out_trade_no": number, "description": "Cake", "amount": {"total": 2550},
        });
        self.send("/orders", body, 201).await?;
        Ok(())
    }

    async fn send(&self, path: &str, body: Value, status: u16) -> Result<Value, String> {
        let merchant = Some(self.merchant_api_key.as_str());
        let answer = self.api(Method::POST, path, merchant, &[], Some(body));
        answer.await?.expect(status)
    }

    async fn pay(&self, number: &str) -> Result<(), String> {
        self.control(&format!("orders/{number}/pay"), json!({}))
            .await?;
        Ok(())
    }

    async fn lose_next_notification(&self) -> Result<(), String> {
        let fault = json!({"name": "notice_lost_for_good", "count": 1});
        self.control("faults", fault).await?;
        Ok(())
    }

    /// Moves the business clock of the service and the simulator.
    async fn advance(&self, seconds: i64) -> Result<(), String> {
        let url = format!("{}/_local/clock", self.control_url);
        let body = json!({"advance_s": seconds});
        let sent = self.http.post(&url).timeout(PATIENCE).json(&body).send();
        let answer = sent.await.map_err(|error| error.to_string())?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(format!("the clock was not moved: {}", answer.status())),
        }
    }

    /// Waits until the record has the order in this state. The day's list is read, which asks WeChat
    /// Pay nothing: what changes the record is the sweep alone.
    async fn until_recorded(&self, number: &str, state: &str) -> Result<(), String> {
        let merchant = Some(self.merchant_api_key.as_str());
        let looks = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
        let mut last = Value::Null;
        for _ in 0..looks {
            for day in self.days().await? {
                let path = format!("/orders?date={day}");
                let page = self.api(Method::GET, &path, merchant, &[], None).await?;
                let page = page.expect(200)?;
                let mut orders = page["items"].as_array().into_iter().flatten();
                let found = orders.find(|order| order["out_trade_no"] == number);
                if let Some(found) = found {
                    last = found["trade_state"].clone();
                }
            }
            if last == state {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let seconds = PATIENCE.as_secs();
        Err(format!(
            "{number} was not {state} within {seconds} s, but {last}"
        ))
    }

    /// Today by the business clock, and the day on which an order may have been placed before it was
    /// moved.
    async fn days(&self) -> Result<Vec<String>, String> {
        let now = self.now().await?;
        let day =
            |seconds: i64| shared::rfc3339::format(now.minus_seconds(seconds))[..10].to_owned();
        let mut days = vec![day(0), day(EXPIRED_SECONDS + 60)];
        days.dedup();
        Ok(days)
    }

    /// The time by the business clock.
    async fn now(&self) -> Result<Timestamp, String> {
        let url = format!("{}/_sim/clock", self.control_url);
        let clock = self.get(&url).await?;
        let now = clock["business_time"].as_str();
        let now = now.and_then(shared::rfc3339::parse);
        now.ok_or_else(|| format!("{clock} has no time"))
    }
}
