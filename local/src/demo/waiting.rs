//! Waiting for what has to happen: that a refund is sent, an order changes, a notice is answered.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use shared::rfc3339;

use super::shop::{PATIENCE, Shop};

/// How long to wait for WeChat Pay's minute between two refunds of an order, at most: more than that
/// minute and the one of the sweep, for stacks that keep both at their length.
const MINUTE_PATIENCE: Duration = Duration::from_secs(180);

/// How often to say that it is still being waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How often to look whether the sweep has sent a refund.
const SWEPT_EVERY: Duration = Duration::from_millis(500);

/// How often to look whether something has happened.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Shop {
    /// Waits until a refund that was held back for its order's minute is sent, which the sweep does
    /// when the minute is over.
    pub(super) async fn until_sent(&self, path: &str, mut refund: Value) -> Result<(), String> {
        let merchant = self.merchant_api_key.clone();
        let number = refund["out_refund_no"].as_str().unwrap_or_default();
        let path = format!("{path}/{number}");
        let mut waited = Duration::ZERO;
        while refund["status"] == "RESERVED" {
            if waited >= MINUTE_PATIENCE {
                return Err(format!(
                    "the refund {} waited over {} s to be sent, and is RESERVED: {}",
                    refund["out_refund_no"],
                    MINUTE_PATIENCE.as_secs(),
                    self.why_not_sent().await
                ));
            }
            let left = self.left_until(&refund["next_attempt_at"]).await?;
            match left.as_secs() {
                0 => {}
                left => println!("     … {left} s until the next refund may be sent"),
            }
            let pause = left.clamp(SWEPT_EVERY, TELL_EVERY);
            tokio::time::sleep(pause).await;
            waited += pause;
            refund = self
                .api(Method::GET, &path, Some(&merchant), &[], None)
                .await?
                .expect(200)?;
        }
        Ok(())
    }

    /// How long it is until this time by the business clock, which may be ahead of the wall's.
    pub(super) async fn left_until(&self, moment: &Value) -> Result<Duration, String> {
        let clock = self
            .get(&format!("{}/_sim/clock", self.control_url))
            .await?;
        let read = |text: &Value| text.as_str().and_then(rfc3339::parse);
        let (Some(now), Some(moment)) = (read(&clock["business_time"]), read(moment)) else {
            return Err(format!("{moment} is not a time at which a refund is sent"));
        };
        let seconds = moment.seconds_since(now);
        Ok(Duration::from_secs(seconds.try_into().unwrap_or(0)))
    }

    /// Waits until the order is as wanted.
    pub(super) async fn wait(
        &self,
        credential: &str,
        number: &str,
        awaited: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let looks = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
        let mut last = Value::Null;
        for _ in 0..looks {
            let path = format!("/orders/{number}");
            last = self
                .api(Method::GET, &path, Some(credential), &[], None)
                .await?
                .expect(200)?;
            if wanted(&last) {
                return Ok(last);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let refunds = last["refunds"].as_array().into_iter().flatten();
        let statuses: Vec<&str> = refunds
            .filter_map(|refund| refund["status"].as_str())
            .collect();
        let told: Vec<String> = statuses
            .iter()
            .map(|status| format!(", a refund {status}"))
            .collect();
        let why = match statuses.contains(&"PROCESSING") {
            true => self.why_not_ended().await,
            false => self.why_else(),
        };
        Err(format!(
            "the order {number} waited for {awaited} over {} s and is {}{}: {why}",
            PATIENCE.as_secs(),
            last["trade_state"].as_str().unwrap_or_default(),
            told.concat()
        ))
    }

    /// Why WeChat Pay's minute between two refunds is not over, and what to do about it.
    async fn why_not_sent(&self) -> String {
        let (speed, knobs) = self.pace().await;
        match knobs["refund_interval_s"].as_f64() {
            Some(seconds) if (seconds + 60.0) / speed > MINUTE_PATIENCE.as_secs_f64() => format!(
                "two refunds of an order are {seconds} s apart (the simulator's knob \
                 refund_interval_s), and the stack runs {speed} times as fast; start it with a \
                 higher --speed"
            ),
            _ => self.why_else(),
        }
    }

    /// Why a refund that WeChat Pay has does not end, and what to do about it.
    async fn why_not_ended(&self) -> String {
        let (speed, knobs) = self.pace().await;
        let knob = format!(
            "curl -X POST {}/_sim/knobs -d '{{\"refund_delay_s\": 5}}'",
            self.control_url
        );
        match knobs["refund_delay_s"].as_f64() {
            None if knobs["refund_delay_s"].is_null() && knobs.is_object() => format!(
                "the simulator's knob refund_delay_s is null, so refunds wait until somebody ends \
                 them; end it on the phone ({}), or turn the knob: {knob}",
                self.control_url
            ),
            Some(seconds) if seconds / speed > PATIENCE.as_secs_f64() => format!(
                "the bank takes {seconds} s for a refund (the simulator's knob refund_delay_s), and \
                 the stack runs {speed} times as fast; start it with a higher --speed, or turn the \
                 knob: {knob}"
            ),
            _ => self.why_else(),
        }
    }

    fn why_else(&self) -> String {
        format!(
            "look for faults that are switched on at the phone ({}), and at the functions' log",
            self.control_url
        )
    }

    /// How many times faster the stack runs, and how the simulator's knobs are set.
    async fn pace(&self) -> (f64, Value) {
        let of = async |name: &str| {
            let url = format!("{}/_sim/{name}", self.control_url);
            self.get(&url).await.unwrap_or_default()
        };
        let speed = of("clock").await["speed"].as_f64().unwrap_or(1.0);
        (speed, of("knobs").await)
    }

    /// Waits until WeChat Pay's notice of the payment, or of this refund, was delivered and answered
    /// well.
    pub(super) async fn notified(
        &self,
        number: &str,
        refund_number: Option<&str>,
        event_type: &str,
    ) -> Result<(), String> {
        let looks = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..looks {
            let notices = self
                .get(&format!("{}/_sim/notifications", self.control_url))
                .await?;
            let answered = notices["items"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|notice| {
                    notice["out_trade_no"] == number
                        && notice["out_refund_no"].as_str() == refund_number
                        && notice["event_type"] == event_type
                        && notice["attempts"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .any(|attempt| attempt["status"] == 204)
                });
            if answered {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!(
            "no notification {event_type} of {number} was delivered and answered with 204"
        ))
    }
}
