//! `wxpay demo`: a payment from login to refund, over HTTP only, each step with what was verified.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use comfy_table::Table;
use reqwest::Method;
use serde_json::{Value, json};
use shared::platform::Platform;
use shared::rfc3339;

use crate::stack::{Options, Stack};

/// How long to wait for something that must happen, at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait for WeChat Pay's minute between two refunds of an order, at most: more than that
/// minute and the one of the sweep, for stacks that keep both at their length.
const MINUTE_PATIENCE: Duration = Duration::from_secs(180);

/// How often to say that it is still being waited for.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// How often to look whether the sweep has come by.
const SWEPT_EVERY: Duration = Duration::from_millis(500);

/// How often to look whether it did.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the demo on a stack of its own, in a folder that goes away afterwards.
///
/// # Errors
/// Says which step did not do what it should.
pub async fn alone() -> Result<(), String> {
    println!("Starting a stack of its own: table, keys, functions, and a simulated WeChat Pay.");
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let mut options = Options::new(folder.path());
    options.port = Some(0);
    options.simulator_port = Some(0);
    options.control_port = Some(0);
    options.aws_port = Some(0);
    let stack = Stack::start(options)
        .await
        .map_err(|error| error.to_string())?;
    let ran = run(&stack.described(), folder.path()).await;
    stack.stop().await;
    ran
}

/// Runs the demo against a stack that is up.
///
/// # Errors
/// Says which step did not do what it should.
pub async fn join(api_url: &str, data_dir: &Path) -> Result<(), String> {
    let file = data_dir.join("local.json");
    let described = std::fs::read(&file).map_err(|error| {
        format!(
            "{} cannot be read ({error}): is a stack up there?",
            file.display()
        )
    })?;
    let mut described: Value = serde_json::from_slice(&described)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    described["api_url"] = Value::from(api_url.trim_end_matches('/'));
    run(&described, data_dir).await
}

struct Shop {
    http: reqwest::Client,
    api_url: String,
    control_url: String,
    merchant_api_key: String,
    appid: String,
    certificate: Vec<u8>,
    step: u32,
}

async fn run(described: &Value, data_dir: &Path) -> Result<(), String> {
    let text = |name: &str| described[name].as_str().unwrap_or_default().to_owned();
    let file = data_dir.join("simulator").join("apiclient_cert.pem");
    let certificate = std::fs::read(&file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let http = Platform::system().map_err(|error| error.to_string())?.http;
    let mut shop = Shop {
        http,
        api_url: text("api_url"),
        control_url: text("control_url"),
        merchant_api_key: text("merchant_api_key"),
        appid: text("appid"),
        certificate,
        step: 0,
    };
    let run = shared::random::token().to_lowercase();
    let order = shop.payers_order(&run).await?;
    let refunds = shop.refunds(&order).await?;
    let native = shop.native(&run).await?;
    shop.books(&[order, native], &refunds).await
}

impl Shop {
    /// Login, order, pay parameters, payment, notice.
    async fn payers_order(&mut self, run: &str) -> Result<String, String> {
        let openid = format!("oDemo{}", &run[..20]);
        let code = self.control("codes", json!({"openid": openid})).await?;
        let session = self
            .api(
                Method::POST,
                "/sessions",
                None,
                &[],
                Some(json!({"code": code["code"]})),
            )
            .await?;
        let token = session.expect(200)?["token"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.told(
            "logged in",
            "a wx.login code became a token; the openid never came from a body",
        );

        let key = format!("demo-{run}");
        let body = json!({"trade_type": "jsapi", "items": [{"sku": "tea", "quantity": 2}]});
        let headers = [("Idempotency-Key", key.as_str())];
        let placed = self
            .api(
                Method::POST,
                "/orders",
                Some(&token),
                &headers,
                Some(body.clone()),
            )
            .await?;
        let placed = placed.expect(201)?;
        let number = placed["out_trade_no"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let total = placed["amount"]["total"].as_i64().unwrap_or_default();
        self.told(
            "order placed",
            &format!("{number}, 2 × tea, priced by the server at {total} fen"),
        );
        self.check_pay_sign(&placed["pay"])?;
        self.told(
            "pay parameters",
            "paySign verifies against the merchant's certificate",
        );

        let again = self
            .api(Method::POST, "/orders", Some(&token), &headers, Some(body))
            .await?;
        let again = again.expect(200)?;
        same(
            "the repeated order's number",
            &again["out_trade_no"],
            &json!(number),
        )?;
        self.told("same request again", "the same order, signed afresh");

        self.control(
            &format!("orders/{number}/pay"),
            json!({"openid": openid, "pay": again["pay"]}),
        )
        .await?;
        self.told(
            "paid on the phone",
            "the simulator checked paySign as WeChat Pay does",
        );
        let paid = self
            .wait(&token, &number, "its payment", |order| {
                order["trade_state"] == "SUCCESS"
            })
            .await?;
        self.notified(&number, None, "TRANSACTION.SUCCESS").await?;
        let payment = paid["transaction_id"].as_str().unwrap_or_default();
        self.told(
            "notice settled",
            &format!("signature held, notice opened, order SUCCESS, payment {payment}"),
        );
        Ok(number)
    }

    /// A part, the rest, and one too many.
    async fn refunds(&mut self, number: &str) -> Result<Vec<String>, String> {
        let merchant = self.merchant_api_key.clone();
        let path = format!("/orders/{number}/refunds");
        let mut refunds = Vec::new();
        for (name, amount) in [("part", 200), ("rest", 400)] {
            let refund_number = format!("{number}-{name}");
            let body = json!({
                "out_refund_no": refund_number, "amount": {"refund": amount}, "reason": "cup broke",
            });
            let asked = self
                .api(Method::POST, &path, Some(&merchant), &[], Some(body))
                .await?;
            let asked = asked.expect(202)?;
            let status = asked["status"].as_str().unwrap_or_default();
            let meaning = match status {
                "RESERVED" => "the amount is held; WeChat Pay wants a minute between two refunds",
                _ => "the amount is held, WeChat Pay's signed answer accepted it",
            };
            self.told(
                &format!("refund of {amount} fen"),
                &format!("{status}: {meaning}"),
            );
            self.until_sent(&path, asked).await?;
            let ended = self
                .wait(&merchant, number, "the refund's end", |order| {
                    order["refunds"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .any(|refund| {
                            refund["out_refund_no"] == refund_number.as_str()
                                && refund["status"] == "SUCCESS"
                        })
                })
                .await?;
            self.notified(number, Some(&refund_number), "REFUND.SUCCESS")
                .await?;
            let left = &ended["amount"]["refundable"];
            self.told(
                "refund notice settled",
                &format!("refund SUCCESS, {left} fen left to give back"),
            );
            refunds.push(refund_number);
        }
        let body = json!({"out_refund_no": format!("{number}-over"), "amount": {"refund": 1}});
        let refused = self
            .api(Method::POST, &path, Some(&merchant), &[], Some(body))
            .await?;
        same(
            "the third refund's code",
            &refused.expect(409)?["code"],
            &json!("refund_exceeds"),
        )?;
        self.told("one fen more", "refused: refund_exceeds, nothing was sent");
        Ok(refunds)
    }

    async fn native(&mut self, run: &str) -> Result<String, String> {
        let merchant = self.merchant_api_key.clone();
        let number = format!("demo-{}", &run[..20]);
        let body = json!({
            "trade_type": "native", "out_trade_no": number, "description": "Cake", "amount": {"total": 2550},
        });
        let placed = self
            .api(Method::POST, "/orders", Some(&merchant), &[], Some(body))
            .await?;
        let placed = placed.expect(201)?;
        let code_url = placed["pay"]["code_url"].clone();
        if !placed["pay"]["qr_svg"]
            .as_str()
            .is_some_and(|svg| svg.starts_with("<svg"))
        {
            return Err("the Native order has no QR code".to_owned());
        }
        let code = code_url.as_str().unwrap_or_default();
        self.told("native order", &format!("{number}, a QR code of {code}"));
        self.control(
            &format!("orders/{number}/pay"),
            json!({"code_url": code_url}),
        )
        .await?;
        self.wait(&merchant, &number, "its payment", |order| {
            order["trade_state"] == "SUCCESS"
        })
        .await?;
        self.told("code scanned and paid", "order SUCCESS");
        Ok(number)
    }

    /// Compares what we and WeChat Pay have on record.
    async fn books(&mut self, numbers: &[String], refund_numbers: &[String]) -> Result<(), String> {
        let ledger = self
            .get(&format!("{}/_sim/ledger", self.control_url))
            .await?;
        let theirs: Vec<&Value> = ledger["items"].as_array().into_iter().flatten().collect();
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
        table.set_header(["", "number", "here", "fen", "at WeChat Pay", "fen"]);
        let mut balanced = true;
        let mut known = 0;
        let (mut taken, mut given) = ((0, 0), (0, 0));
        let merchant = self.merchant_api_key.clone();
        for number in numbers {
            let ours = self
                .api(
                    Method::GET,
                    &format!("/orders/{number}"),
                    Some(&merchant),
                    &[],
                    None,
                )
                .await?;
            let ours = ours.expect(200)?;
            let there = theirs.iter().find(|row| {
                row["out_trade_no"] == number.as_str() && row["out_refund_no"].is_null()
            });
            let state = there.map_or(Value::Null, |row| row["trade_state"].clone());
            let (mine, other) = (
                fen(&ours["amount"]["total"]),
                there.map_or(0, |row| fen_of(row, "total")),
            );
            let paid = state == "SUCCESS" || state == "REFUND";
            balanced &= paid && ours["trade_state"] == "SUCCESS" && mine == other;
            taken = (taken.0 + mine, taken.1 + other);
            table.add_row(row(
                "order",
                number,
                &ours["trade_state"],
                mine,
                &state,
                other,
            ));
            let refunds = ours["refunds"].as_array().cloned().unwrap_or_default();
            let theirs: Vec<&&Value> = theirs
                .iter()
                .filter(|row| row["out_trade_no"] == number.as_str())
                .filter(|row| row["out_refund_no"].is_string())
                .collect();
            // As many on both sides: a refund that one side lacks is no row of the other.
            balanced &= refunds.len() == theirs.len();
            for refund in &refunds {
                let name = refund["out_refund_no"].as_str().unwrap_or_default();
                let there = theirs.iter().find(|row| row["out_refund_no"] == name);
                let status = there.map_or(Value::Null, |row| row["status"].clone());
                let (mine, other) = (
                    fen(&refund["amount"]["refund"]),
                    there.map_or(0, |row| fen_of(row, "refund")),
                );
                balanced &= refund["status"] == status && mine == other;
                known += usize::from(refund_numbers.iter().any(|number| number == name));
                given = (given.0 + mine, given.1 + other);
                table.add_row(row("refund", name, &refund["status"], mine, &status, other));
            }
        }
        balanced &= known == refund_numbers.len();
        let sums = (taken.0 - given.0, taken.1 - given.1);
        table.add_row(row("kept", "", &Value::Null, sums.0, &Value::Null, sums.1));
        println!("\n{table}");
        if balanced && sums.0 == sums.1 {
            println!("The books balance.");
            Ok(())
        } else {
            Err("the books do not balance".to_owned())
        }
    }

    fn told(&mut self, step: &str, verified: &str) {
        self.step += 1;
        println!("{:>3}. {step:<22} {verified}", self.step);
    }

    /// paySign over appid, time, nonce and package, checked with the merchant's certificate.
    fn check_pay_sign(&self, pay: &Value) -> Result<(), String> {
        let text = |name: &str| pay[name].as_str().unwrap_or_default();
        let message = format!(
            "{}\n{}\n{}\n{}\n",
            self.appid,
            text("timeStamp"),
            text("nonceStr"),
            text("package")
        );
        let (_, pem) = x509_parser::pem::parse_x509_pem(&self.certificate)
            .map_err(|error| format!("the merchant's certificate is no PEM: {error}"))?;
        let certificate = pem
            .parse_x509()
            .map_err(|error| format!("the merchant's certificate is none: {error}"))?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, certificate.public_key().raw)
            .map_err(|_| "the merchant's certificate has no RSA key".to_owned())?;
        let signature = STANDARD
            .decode(text("paySign"))
            .map_err(|_| "paySign is not base64".to_owned())?;
        key.verify_sig(message.as_bytes(), &signature)
            .map_err(|_| "paySign does not verify against the merchant's certificate".to_owned())
    }

    /// Waits until a refund that was held back for its order's minute is sent, which the sweep does
    /// when the minute is over.
    async fn until_sent(&self, path: &str, mut refund: Value) -> Result<(), String> {
        let merchant = self.merchant_api_key.clone();
        let number = refund["out_refund_no"].as_str().unwrap_or_default();
        let path = format!("{path}/{number}");
        let mut waited = Duration::ZERO;
        while refund["status"] == "RESERVED" {
            if waited >= MINUTE_PATIENCE {
                return Err(format!(
                    "WeChat Pay's minute between two refunds and the sweep after it took over {} \
                     s: start the stack with --speed 60, where both take a second",
                    MINUTE_PATIENCE.as_secs()
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

    /// How long it is until this moment of business time, which may stand before the wall's.
    async fn left_until(&self, moment: &Value) -> Result<Duration, String> {
        let clock = self
            .get(&format!("{}/_sim/clock", self.control_url))
            .await?;
        let read = |text: &Value| text.as_str().and_then(rfc3339::parse);
        let (Some(now), Some(moment)) = (read(&clock["business_time"]), read(moment)) else {
            return Err(format!("{moment} is no moment at which a refund is sent"));
        };
        let seconds = moment.seconds_since(now);
        Ok(Duration::from_secs(seconds.try_into().unwrap_or(0)))
    }

    /// Waits until the order is as wanted.
    async fn wait(
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
        let refunds: Vec<String> = refunds
            .map(|refund| format!(", a refund {}", refund["status"]))
            .collect();
        Err(format!(
            "the order {number} waited for {awaited} over {} s and is {}{}: start the stack with \
             --speed 60, where WeChat Pay is quick",
            PATIENCE.as_secs(),
            last["trade_state"],
            refunds.concat()
        ))
    }

    /// Waits until WeChat Pay's notice of the payment, or of this refund, was delivered and answered
    /// well.
    async fn notified(
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
            "no notice {event_type} of {number} was delivered and answered with 204"
        ))
    }

    async fn control(&self, path: &str, body: Value) -> Result<Value, String> {
        let url = format!("{}/_sim/{path}", self.control_url);
        let answer = self
            .http
            .post(&url)
            .timeout(PATIENCE)
            .json(&body)
            .send()
            .await
            .map_err(|error| format!("the simulator does not answer: {error}"))?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        if !status.is_success() {
            return Err(format!("the simulator refused {path}: {status} {text}"));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&self, url: &str) -> Result<Value, String> {
        let answer = self
            .http
            .get(url)
            .timeout(PATIENCE)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        answer.json().await.map_err(|error| error.to_string())
    }

    async fn api(
        &self,
        method: Method,
        path: &str,
        credential: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Answer, String> {
        let asked = format!("{method} {path}");
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.api_url))
            .timeout(PATIENCE);
        if let Some(credential) = credential {
            request = request.bearer_auth(credential);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| format!("the API does not answer: {error}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        Ok(Answer {
            asked,
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }
}

struct Answer {
    asked: String,
    status: u16,
    body: Value,
}

impl Answer {
    fn expect(self, status: u16) -> Result<Value, String> {
        if self.status == status {
            return Ok(self.body);
        }
        Err(format!(
            "{} answered {} instead of {status}: {}",
            self.asked, self.status, self.body
        ))
    }
}

fn same(what: &str, is: &Value, should_be: &Value) -> Result<(), String> {
    if is == should_be {
        Ok(())
    } else {
        Err(format!("{what} is {is} instead of {should_be}"))
    }
}

fn fen(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// A ledger row's amount: a number, or an object with this member.
fn fen_of(row: &Value, member: &str) -> i64 {
    row["amount"]
        .as_i64()
        .unwrap_or_else(|| fen(&row["amount"][member]))
}

fn row(kind: &str, name: &str, here: &Value, mine: i64, there: &Value, other: i64) -> Vec<String> {
    let state = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    vec![
        kind.to_owned(),
        name.to_owned(),
        state(here),
        mine.to_string(),
        state(there),
        other.to_string(),
    ]
}
