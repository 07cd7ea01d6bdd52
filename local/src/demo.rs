//! `wxpay demo`: a payment from login to refund, over HTTP only, each step with what was verified.

mod books;
mod shop;
mod trouble;
mod waiting;

use std::path::Path;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use shared::process::Process;

use crate::stack::{Options, Stack};
use shop::Shop;

/// Runs the demo on a stack of its own, in a folder that goes away afterwards; `all` of it, with what
/// goes wrong, which moves the stack's clock.
///
/// # Errors
/// Says which step did not do what it should.
pub async fn alone(all: bool) -> Result<(), String> {
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
    let ran = run(&stack.described(), folder.path(), all).await;
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
    let api_url = api_url.trim_end_matches('/');
    let own = described["api_url"].as_str().unwrap_or_default();
    is_the_api(api_url)
        .await
        .map_err(|why| format!("{why}; {} says {own}", file.display()))?;
    described["api_url"] = Value::from(api_url);
    run(&described, data_dir, false).await
}

/// Whether the API answers at this address, and not another port of the stack, or anybody else.
async fn is_the_api(api_url: &str) -> Result<(), String> {
    let http = Process::system().map_err(|error| error.to_string())?.http;
    let asked = http
        .get(format!("{api_url}/orders"))
        .timeout(shop::PATIENCE);
    let answer = asked.send().await.map_err(|error| {
        let refused = error.is_connect();
        let how = if refused {
            "nothing listens"
        } else {
            "nothing answers"
        };
        format!("{how} at {api_url}")
    })?;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap_or_default();
    if (status, body["code"].as_str()) == (401, Some("unauthenticated")) {
        Ok(())
    } else {
        Err(format!("what answers at {api_url} is not the API"))
    }
}

async fn run(described: &Value, data_dir: &Path, all: bool) -> Result<(), String> {
    let text = |name: &str| described[name].as_str().unwrap_or_default().to_owned();
    let file = data_dir.join("simulator").join("apiclient_cert.pem");
    let certificate = std::fs::read(&file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let http = Process::system().map_err(|error| error.to_string())?.http;
    let mut shop = Shop {
        http,
        api_url: text("api_url"),
        control_url: text("control_url"),
        merchant_api_key: text("merchant_api_key"),
        appid: text("payer_appid"),
        certificate,
        folder: data_dir.to_owned(),
        step: 0,
    };
    let run = shared::random::token().to_lowercase();
    let order = shop.payers_order(&run).await?;
    let mut refunds = shop.refunds(&order).await?;
    let mut orders = vec![order, shop.native(&run).await?];
    if all {
        let (more_orders, more_refunds) = shop.trouble(&run[..20]).await?;
        orders.extend(more_orders);
        refunds.extend(more_refunds);
        shop.events(&orders).await?;
        shop.reconciled_day().await?;
    }
    shop.books(&orders, &refunds).await
}

impl Shop {
    /// Login, order, pay parameters, payment, notice.
    async fn payers_order(&mut self, run: &str) -> Result<String, String> {
        let openid = format!("oDemo{}", &run[..20]);
        let code = self
            .control("codes", json!({"openid": openid, "appid": self.appid}))
            .await?;
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
        self.report(
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
        self.report(
            "order placed",
            &format!("{number}, 2 × tea, priced by the server at {total} fen"),
        );
        self.check_pay_sign(&placed["pay"])?;
        self.report(
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
        self.report("same request again", "the same order, signed afresh");

        self.control(
            &format!("orders/{number}/pay"),
            json!({"openid": openid, "pay": again["pay"]}),
        )
        .await?;
        self.report(
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
        self.report(
            "notified",
            &format!("signature verified, notification opened, order SUCCESS, payment {payment}"),
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
            self.report(
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
            self.report(
                "refund notified",
                &format!("refund SUCCESS, {left} fen can still be refunded"),
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
        self.report("one fen more", "refused: refund_exceeds, nothing was sent");
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
        self.report("native order", &format!("{number}, a QR code of {code}"));
        self.control(
            &format!("orders/{number}/pay"),
            json!({"code_url": code_url}),
        )
        .await?;
        self.wait(&merchant, &number, "its payment", |order| {
            order["trade_state"] == "SUCCESS"
        })
        .await?;
        self.report("code scanned and paid", "order SUCCESS");
        Ok(number)
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
            .map_err(|error| format!("the merchant's certificate cannot be read: {error}"))?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, certificate.public_key().raw)
            .map_err(|_| "the merchant's certificate has no RSA key".to_owned())?;
        let signature = STANDARD
            .decode(text("paySign"))
            .map_err(|_| "paySign is not base64".to_owned())?;
        key.verify_sig(message.as_bytes(), &signature)
            .map_err(|_| "paySign does not verify against the merchant's certificate".to_owned())
    }
}

fn same(what: &str, is: &Value, should_be: &Value) -> Result<(), String> {
    if is == should_be {
        Ok(())
    } else {
        Err(format!("{what} is {is} instead of {should_be}"))
    }
}
