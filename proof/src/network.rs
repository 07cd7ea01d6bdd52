//! The network of this world: a request of a function becomes a call, and on its way it meets what the
//! seed has drawn.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use reqwest::{Body, Request, Response};
use serde_json::Value;
use shared::transport::{Answering, Cause, Failure, InProcess};
use simulator::Embedded;
use tokio::time::sleep;

use crate::aws::{self, Aws, Call};
use crate::fault::{Fault, Place};
use crate::weather::Weather;

/// Where AWS is. Nothing listens there.
pub const AWS_URL: &str = "http://127.0.0.1:7001";

/// WeChat Pay's hosts. Nothing listens there.
pub const WECHAT_PAY_URLS: [&str; 2] = ["http://127.0.0.1:7002", "http://127.0.0.1:7003"];

/// How long something is on its way that is late, in milliseconds, at most.
const LATE_MS: u64 = 4_000;

/// What joins the functions with AWS and WeChat Pay.
#[derive(Clone, Debug)]
pub struct Network {
    /// AWS.
    pub aws: Arc<Aws>,
    /// WeChat Pay.
    pub wechat_pay: Arc<Embedded>,
    /// What goes wrong.
    pub weather: Arc<Weather>,
}

/// A request that was taken apart.
struct Message {
    method: String,
    path: String,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

enum Asked {
    Aws(Call),
    WechatPay(Place, Message),
}

impl Asked {
    const fn place(&self) -> Place {
        match self {
            Self::Aws(call) => call.place,
            Self::WechatPay(place, _) => *place,
        }
    }
}

impl InProcess for Network {
    fn answer(&self, request: Request) -> Answering {
        let network = self.clone();
        Box::pin(async move {
            match request.timeout().copied() {
                None => network.carry(request).await,
                Some(time) => tokio::time::timeout(time, network.carry(request))
                    .await
                    .unwrap_or(Err(Failure::InProcess(Cause::TimedOut))),
            }
        })
    }
}

const BROKEN: Result<Response, Failure> = Err(Failure::InProcess(Cause::Broken));

impl Network {
    async fn carry(self, request: Request) -> Result<Response, Failure> {
        let unbuildable = || Failure::InProcess(Cause::Unbuildable);
        let asked = self.read(&request).map_err(|why| {
            self.weather.broken(why);
            unbuildable()
        })?;
        let place = asked.place();
        self.check_sending(&asked);
        let fault = self.weather.strike(place);
        // Whether the bus leaves anything out is seen when it takes the rest.
        if let Some(fault) = fault.filter(|fault| *fault != Fault::Part) {
            self.weather.struck(fault, place);
        }
        match fault {
            Some(Fault::Refused) => {
                if let Asked::WechatPay(Place::Refund, message) = &asked {
                    let refund = refund_number(&message.body);
                    self.weather.seen(|witness, _| {
                        witness.refund_not_sent(&refund);
                        Ok(())
                    });
                }
                sleep(self.weather.latency()).await;
                return Err(Failure::InProcess(Cause::Unreachable));
            }
            Some(Fault::Late) => {
                let late = Duration::from_millis(self.weather.draw(LATE_MS));
                tokio::spawn(async move {
                    sleep(late).await;
                    self.apply(&asked).await;
                });
                return BROKEN;
            }
            Some(Fault::Delayed) => {
                // It is sent, whether or not anybody waits for the answer.
                let delay = Duration::from_millis(300 + self.weather.draw(LATE_MS));
                let network = self.clone();
                let sent = tokio::spawn(async move {
                    sleep(delay).await;
                    let answer = network.apply(&asked).await;
                    (asked, answer)
                });
                let Ok((asked, answer)) = sent.await else {
                    return BROKEN;
                };
                return self.heard(&asked, answer).await;
            }
            _ => sleep(self.weather.latency()).await,
        }
        let answer = match (fault, &asked) {
            (Some(Fault::Throttled), _) => Some(throttled(&asked)),
            (Some(Fault::Failed), _) => Some(response(aws::error(500, "InternalServerError"))),
            (Some(Fault::Conflict), Asked::Aws(call)) => Some(response(aws::conflict(call))),
            (Some(Fault::Stale), Asked::Aws(call)) => Some(response(self.aws.stale(call))),
            (Some(Fault::Part), Asked::Aws(call)) => {
                let (answer, left_out) = self.aws.part(call);
                if left_out > 0 {
                    self.weather.struck(Fault::Part, place);
                }
                Some(response(answer))
            }
            (Some(Fault::Twice), _) => {
                let first = self.apply(&asked).await;
                self.apply(&asked).await;
                first
            }
            _ => self.apply(&asked).await,
        };
        if fault == Some(Fault::Lost) {
            return BROKEN;
        }
        sleep(self.weather.latency()).await;
        self.heard(&asked, answer).await
    }

    fn read(&self, request: &Request) -> Result<Asked, String> {
        let (method, url) = (request.method().as_str(), request.url());
        let path = url.path();
        let body = request.body().and_then(Body::as_bytes).unwrap_or_default();
        if url.port() == Some(7001) {
            let call = self.aws.read(method, path, request.headers(), body);
            return call.map(Asked::Aws);
        }
        let place = match (method, path) {
            ("POST", path) if path.ends_with("/close") => Place::Close,
            ("POST", path) if path.starts_with("/v3/pay/") => Place::Prepay,
            ("POST", path) if path.starts_with("/v3/refund/") => Place::Refund,
            ("GET", path) if path.starts_with("/v3/pay/") => Place::QueryOrder,
            ("GET", path) if path.starts_with("/v3/refund/") => Place::QueryRefund,
            ("GET", path) if path.starts_with("/v3/bill/") => Place::Bill,
            ("GET", path) if path.starts_with("/v3/billdownload/") => Place::Download,
            ("GET", "/v3/certificates") => Place::Certificates,
            ("GET", "/sns/jscode2session") => Place::Login,
            _ => return Err(format!("nobody expects {method} {path}")),
        };
        let target = match url.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let message = Message {
            method: method.to_owned(),
            path: path.to_owned(),
            target,
            headers: request.headers().clone(),
            body: body.to_vec(),
        };
        Ok(Asked::WechatPay(place, message))
    }

    /// One number, one set of bytes, however often it is sent; and not too often.
    fn check_sending(&self, asked: &Asked) {
        let Asked::WechatPay(place, message) = asked else {
            return;
        };
        let field = match place {
            Place::Prepay => "out_trade_no",
            Place::Refund if message.path.ends_with("/refunds") => "out_refund_no",
            _ => return,
        };
        let body = json(&message.body);
        let number = body[field].as_str().unwrap_or_default();
        let named = format!("{field} {number}");
        self.weather.seen(|witness, at_ms| {
            witness.bytes(&named, &message.body)?;
            if *place == Place::Refund {
                return witness.refund_sent(number, at_ms);
            }
            witness.costs(number, body["amount"]["total"].as_i64().unwrap_or(0));
            Ok(())
        });
    }

    /// What reaches whoever asked. What WeChat Pay says there of a refund that it refuses or does not know, or
    /// of an order that is paid, is kept; but for a refusal, where it has signed it.
    async fn heard(&self, asked: &Asked, answer: Option<Response>) -> Result<Response, Failure> {
        let answer = answer.ok_or(Failure::InProcess(Cause::Broken))?;
        let Asked::WechatPay(place, message) = asked else {
            return Ok(answer);
        };
        let status = answer.status().as_u16();
        match (place, status) {
            (Place::Refund, 400..=499) | (Place::QueryRefund, 404) | (Place::QueryOrder, 200) => {}
            _ => return Ok(answer),
        }
        let headers = answer.headers().clone();
        let bytes = answer.bytes().await;
        let bytes = bytes.map_err(|_| Failure::InProcess(Cause::Broken))?;
        let body = json(&bytes);
        let is_signed = || self.wechat_pay.has_signed(&headers, &bytes);
        let path = message.path.rsplit('/').next().unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        match place {
            // Neither says anything of the refund.
            Place::Refund if path == "refunds" && !matches!(status, 401 | 429) => {
                let refund = refund_number(&message.body);
                self.weather.seen(|witness, _| {
                    witness.refund_refused(&refund);
                    Ok(())
                });
            }
            Place::QueryRefund if text("code") == "RESOURCE_NOT_EXISTS" && is_signed() => {
                self.weather.seen(|witness, at_ms| {
                    witness.refund_absent(path, at_ms);
                    Ok(())
                });
            }
            Place::QueryOrder
                if matches!(text("trade_state"), "SUCCESS" | "REFUND") && is_signed() =>
            {
                // The total of an order is that of the request that placed it.
                let total = body["amount"]["total"].as_i64();
                self.weather.seen(|witness, _| {
                    witness.order_paid(text("out_trade_no"), total);
                    Ok(())
                });
            }
            _ => {}
        }
        let whole = http::Response::builder().status(status).body(bytes);
        let mut whole = whole.unwrap_or_default();
        *whole.headers_mut() = headers;
        Ok(whole.into())
    }

    /// The request arrives, and is answered; `None` where WeChat Pay drops the connection.
    async fn apply(&self, asked: &Asked) -> Option<Response> {
        match asked {
            Asked::Aws(call) => {
                let answered = self.aws.serve(call);
                self.weather.note(&format!(
                    "    {} {} {}",
                    call.caller, call.operation, answered.0
                ));
                if answered.0 == 200 && self.aws.is_second_claim(call) {
                    let key = &call.request["Key"];
                    self.weather.broken(format!("two sweeps took {key}"));
                }
                Some(response(answered))
            }
            Asked::WechatPay(place, message) => {
                let Message {
                    method,
                    target,
                    headers,
                    body,
                    ..
                } = message;
                let body = body.clone().into();
                let answer = self
                    .wechat_pay
                    .call(method, target, headers.clone(), body)
                    .await;
                let status = answer.as_ref().map(|answer| answer.status().as_u16());
                self.weather
                    .note(&format!("    {} {status:?}", place.as_str()));
                Some(answer?.map(Body::wrap).into())
            }
        }
    }
}

/// A body, where it is JSON.
fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The number of a refund that is sent.
fn refund_number(body: &[u8]) -> String {
    let body = json(body);
    body["out_refund_no"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn throttled(asked: &Asked) -> Response {
    match asked.place() {
        Place::Secrets | Place::Bus => response(aws::error(400, "ThrottlingException")),
        Place::Bucket => response((503, Vec::new())),
        Place::Read | Place::Index | Place::Write | Place::Transaction => {
            response(aws::error(400, "ProvisionedThroughputExceededException"))
        }
        _ => response((429, Vec::new())),
    }
}

fn response((status, body): (u16, Vec<u8>)) -> Response {
    let answer = http::Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(body);
    answer.unwrap_or_default().into()
}
