//! WeChat Pay in trouble: every fault of its side against every function that asks it something.
//!
//! Whatever happens to an answer, its outcome is unknown: the same number goes out again with the same
//! bytes (the watch compares them), no second order, no second refund, no released reservation; and
//! when the trouble is over everything ends balanced, by repeats and by the sweep.

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::harness::{ALICE, Answer, TestStack, native_order};

/// Whether the answer of a function is usable under a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Known,
    Unknown,
    /// Depends on who is faster.
    Either,
}

use Outcome::{Either, Known, Unknown};

/// A fault, and what it does to: placing an order, asking about one, closing one, refunding one.
type Fault = (&'static str, [Outcome; 4]);

const CONNECTIONS: &[Fault] = &[
    ("slow", [Unknown, Unknown, Unknown, Unknown]),
    ("slow_body", [Either, Either, Known, Either]),
    ("request_lost", [Unknown, Unknown, Unknown, Unknown]),
    ("request_late", [Unknown, Unknown, Unknown, Unknown]),
    ("response_lost", [Unknown, Unknown, Unknown, Unknown]),
    ("response_truncated", [Unknown, Unknown, Known, Unknown]),
    ("response_compressed", [Unknown, Unknown, Known, Unknown]),
    ("response_bomb", [Unknown, Unknown, Known, Unknown]),
    (
        "response_endless_headers",
        [Unknown, Unknown, Unknown, Unknown],
    ),
];

const SIGNATURES: &[Fault] = &[
    ("response_unsigned", [Unknown, Unknown, Unknown, Unknown]),
    ("response_stale", [Unknown, Unknown, Unknown, Unknown]),
    (
        "response_unknown_serial",
        [Unknown, Unknown, Unknown, Unknown],
    ),
    ("response_altered", [Unknown, Unknown, Known, Unknown]),
    (
        "response_bad_signature",
        [Unknown, Unknown, Unknown, Unknown],
    ),
    // The request after a probed one is answered genuinely, and a refund is not sent twice at once.
    ("response_probe", [Known, Known, Known, Unknown]),
];

const STATUSES: &[Fault] = &[
    ("server_error", [Unknown, Unknown, Unknown, Unknown]),
    ("server_error_applied", [Unknown, Unknown, Unknown, Unknown]),
    ("html_error", [Unknown, Unknown, Unknown, Unknown]),
    ("unavailable", [Unknown, Unknown, Unknown, Unknown]),
    ("redirected", [Unknown, Unknown, Unknown, Unknown]),
    ("accepted", [Unknown, Unknown, Unknown, Unknown]),
    ("rate_limited", [Unknown, Unknown, Unknown, Unknown]),
    ("rate_limited_applied", [Unknown, Unknown, Unknown, Unknown]),
    ("rate_limited_day", [Unknown, Unknown, Unknown, Unknown]),
    ("response_html", [Unknown, Unknown, Unknown, Unknown]),
];

const CONTENTS: &[Fault] = &[
    ("response_mixed_up", [Known, Unknown, Known, Unknown]),
    ("response_wrong_amount", [Known, Unknown, Known, Unknown]),
    ("unknown_state", [Known, Unknown, Known, Known]),
    ("unknown_fields", [Known, Known, Known, Known]),
    ("response_other_merchant", [Known, Unknown, Known, Known]),
    ("prepay_odd", [Unknown, Known, Known, Known]),
    ("prepay_long", [Unknown, Known, Known, Known]),
    ("prepay_empty", [Unknown, Known, Known, Known]),
    ("close_user_paying", [Known, Known, Unknown, Known]),
    ("refund_not_found", [Known, Known, Known, Unknown]),
    ("refund_not_enough", [Known, Known, Known, Unknown]),
];

fn ordered() -> Value {
    json!({
        "trade_type": "jsapi", "out_trade_no": "trouble-new", "description": "Tea",
        "amount": {"total": 300}, "payer": {"openid": ALICE},
    })
}

/// What is asked of WeChat Pay on somebody's behalf.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Place,
    Query,
    Close,
    Refund,
}

impl Asked {
    const ALL: [Self; 4] = [Self::Place, Self::Query, Self::Close, Self::Refund];

    async fn of(self, stack: &TestStack) -> Answer {
        let merchant = &stack.merchant;
        match self {
            Self::Place => stack.post(merchant, "/orders", ordered()).await,
            Self::Query => stack.get(merchant, "/orders/trouble-paid").await,
            Self::Close => {
                let close = "/orders/trouble-close/close";
                stack.post(merchant, close, json!({})).await
            }
            Self::Refund => stack.refund("trouble-back", "trouble-r1", 600).await,
        }
    }

    /// Whether the answer is one of a question whose outcome is known.
    fn is_known(self, answer: &Answer) -> bool {
        let (status, body) = (answer.status, &answer.body);
        match self {
            Self::Place => {
                let package = body["pay"]["package"].as_str().unwrap_or_default();
                matches!(status, 200 | 201) && package.starts_with("prepay_id=")
            }
            Self::Query => status == 200 && body["trade_state"] == "SUCCESS",
            Self::Close => status == 200 && body["trade_state"] == "CLOSED",
            Self::Refund => {
                let taken = matches!(body["status"].as_str(), Some("PROCESSING" | "SUCCESS"));
                matches!(status, 200 | 202) && taken
            }
        }
    }

    /// Whether it says that the outcome is not known, and what then holds.
    fn is_unknown(self, answer: &Answer) -> bool {
        let (status, body) = (answer.status, &answer.body);
        match self {
            Self::Place => status == 503 && body["code"] == "wechatpay_unavailable",
            Self::Query => {
                status == 200 && body["trade_state"] == "NOTPAY" && body["fresh"] == false
            }
            Self::Close => status == 202 && body["trade_state"] == "CLOSING",
            Self::Refund => {
                let waits = body["next_attempt_at"].is_string();
                matches!(status, 200 | 202) && body["status"] == "RESERVED" && waits
            }
        }
    }
}

/// Everything asked at once, and answered as it has to be under the fault.
async fn answered(stack: &TestStack, fault: &str, outcomes: [Outcome; 4]) {
    let answers = join_all(Asked::ALL.map(|asked| asked.of(stack))).await;
    for ((asked, outcome), answer) in Asked::ALL.into_iter().zip(outcomes).zip(answers) {
        match outcome {
            Unknown => assert!(asked.is_unknown(&answer), "{fault}: {asked:?}: {answer:?}"),
            Either => {
                let fits = asked.is_known(&answer) || asked.is_unknown(&answer);
                assert!(fits, "{fault}: {asked:?}: {answer:?}");
            }
            Known if asked.is_known(&answer) => {}
            // A machine with much else to do may be slow; what is known comes out at a repeat.
            Known => {
                let again = async || {
                    let answer = asked.of(stack).await;
                    json!([asked.is_known(&answer), answer.body])
                };
                stack.until(again, |seen| seen[0] == true).await;
            }
        }
    }
}

/// One fault against everything, then none, until all is at rest.
async fn survived(fault: &'static str, outcomes: [Outcome; 4]) {
    let stack = TestStack::start().await;
    // Notices never arrive here: what is learnt is learnt by asking.
    stack.fault("notice_lost", json!({})).await;
    stack.native("trouble-paid", 200).await;
    stack.pay("trouble-paid").await;
    stack.native("trouble-swept", 200).await;
    stack.pay("trouble-swept").await;
    stack.native("trouble-close", 100).await;
    stack.paid("trouble-back", 1000).await;
    stack.fault(fault, json!({})).await;

    answered(&stack, fault, outcomes).await;
    let held = async || {
        let order = stack.order_item("trouble-back");
        assert_eq!(order["refundable"]["N"], "400", "{fault}: it stays taken");
        let more = stack.refund("trouble-back", "trouble-r2", 500).await;
        more.refused(409, "refund_exceeds");
    };
    held().await;
    // The same again: the same numbers, and nothing more of anything.
    let again = join_all(Asked::ALL.map(|asked| asked.of(&stack))).await;
    assert!(
        again
            .iter()
            .all(|answer| matches!(answer.status, 200..=202 | 503)),
        "{again:?}"
    );
    stack.advance(301).await;
    stack.sweep().await;
    held().await;
    let swept = &stack.order_item("trouble-swept")["trade_state"]["S"];
    match outcomes[1] {
        Unknown => assert_eq!(swept, "NOTPAY", "{fault}"),
        Known => assert_eq!(swept, "SUCCESS", "{fault}"),
        Either => {}
    }

    stack.no_faults().await;
    let merchant = &stack.merchant;
    let payable = async || stack.post(merchant, "/orders", ordered()).await.body;
    let placed = stack.until(payable, |body| body["pay"].is_object()).await;
    let pay = json!({"openid": ALICE, "pay": placed["pay"]});
    stack.control("orders/trouble-new/pay", pay).await;
    // An hour of sweeps: a short balance is tried again after one.
    let at_rest = async || {
        stack.advance(300).await;
        stack.sweep().await;
        json!(stack.open_ends().await)
    };
    stack.until(at_rest, |open| *open == json!([])).await;
    let order = stack.order("trouble-back").await;
    assert_eq!(
        order["amount"],
        json!({"total": 1000, "currency": "CNY", "refunded": 600, "refundable": 400}),
        "{fault}"
    );
    assert_eq!(order["refunds"].as_array().unwrap().len(), 1, "{fault}");
    assert_eq!(stack.order("trouble-close").await["trade_state"], "CLOSED");
    assert_eq!(
        stack.seen("ledger").await.len(),
        6,
        "{fault}: five orders and a refund"
    );
}

/// Several stacks beside each other: under most faults they wait more than they work.
async fn all_survived(faults: &[Fault]) {
    stream::iter(faults)
        .map(|(fault, outcomes)| survived(fault, *outcomes))
        .buffer_unordered(4)
        .collect::<Vec<()>>()
        .await;
}

#[tokio::test]
async fn connections_that_break_or_drag_lose_nothing_and_double_nothing() {
    all_survived(CONNECTIONS).await;
}

/// Apart: making ten mebibytes of JSON keeps a processor busy, and others waiting.
#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    survived("response_oversized", [Unknown, Unknown, Known, Unknown]).await;
}

#[tokio::test]
async fn an_answer_whose_signature_does_not_hold_is_none() {
    all_survived(SIGNATURES).await;
}

#[tokio::test]
async fn statuses_that_may_mean_anything_mean_nothing() {
    all_survived(STATUSES).await;
}

#[tokio::test]
async fn signed_answers_that_do_not_belong_to_the_question_are_none() {
    all_survived(CONTENTS).await;
}

/// A host that cannot be connected to gives way to the backup; two are waited out.
#[tokio::test]
async fn an_unreachable_wechat_pay_is_asked_at_its_other_host_and_then_waited_for() {
    // Taken and not listening: a port that was only free a moment ago may be somebody else's by now.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = taken.local_addr().unwrap().to_string();
    let lead = |parameters: &mut std::collections::BTreeMap<String, String>, backup: &str| {
        let trusted = parameters["WechatpayTrustedHosts"].clone();
        parameters.insert(
            "WechatpayTrustedHosts".to_owned(),
            format!("{trusted},{dead}"),
        );
        parameters.insert("WechatpayBaseUrl".to_owned(), format!("http://{dead}"));
        parameters.insert("WechatpayBackupUrl".to_owned(), backup.to_owned());
    };
    let mut stack = TestStack::start().await;
    stack.fault("notice_lost_for_good", json!({})).await;
    stack.native("trouble-paid", 200).await;
    stack.pay("trouble-paid").await;
    stack.native("trouble-close", 100).await;
    stack.paid("trouble-back", 1000).await;
    let kept = stack.options.parameters.clone();
    lead(&mut stack.options.parameters, &format!("http://{dead}"));
    let mut stack = stack.restarted().await;
    stack.fault("notice_lost", json!({})).await;
    let asked = stack.wire.requests().len();
    answered(&stack, "unreachable", [Unknown; 4]).await;
    assert_eq!(stack.wire.requests().len(), asked);
    // The second host is there: nothing is noticed.
    let backup = stack.wire.url.clone();
    stack.options.parameters.clone_from(&kept);
    lead(&mut stack.options.parameters, &backup);
    let stack = stack.restarted().await;
    let placed = stack.post(&stack.merchant, "/orders", ordered()).await;
    assert!(placed.expect(200)["pay"].is_object());
    stack
        .control("orders/trouble-new/pay", json!({"openid": ALICE}))
        .await;
    let at_rest = async || {
        stack.advance(300).await;
        stack.sweep().await;
        json!(stack.open_ends().await)
    };
    stack.until(at_rest, |open| *open == json!([])).await;
    assert_eq!(stack.seen("ledger").await.len(), 5);
    drop(taken);
}

/// A QR code is asked for by one caller at a time; one whose answer was lost is asked for again.
#[tokio::test]
async fn a_lost_code_is_asked_for_again_once_it_can_no_longer_disturb() {
    let stack = TestStack::start().await;
    stack
        .fault("response_lost", json!({"operation": "order"}))
        .await;
    let order = native_order("trouble-code", 100);
    let lost = stack.post(&stack.merchant, "/orders", order.clone()).await;
    lost.refused(503, "wechatpay_unavailable");
    stack.no_faults().await;
    let again = async || {
        stack
            .post(&stack.merchant, "/orders", order.clone())
            .await
            .body
    };
    let got = stack.until(again, |body| body["pay"].is_object()).await;
    let code = json!({"code_url": got["pay"]["code_url"]});
    stack.control("orders/trouble-code/pay", code).await;
    stack.until_state("trouble-code", "SUCCESS").await;
    assert_eq!(stack.seen("ledger").await.len(), 1);
}

/// A fault that the simulator learns has a row here, or a test of its own that is named.
#[tokio::test]
async fn every_fault_of_an_answer_is_met_here() {
    /// Notices, logins, bills and trade management are asked for by none of the four; how a bank ends a refund
    /// and which certificate a TLS port shows have tests of their own (`refunds`, `tls`).
    const ELSEWHERE: [&str; 8] = [
        "notice_",
        "login_",
        "bill_",
        "tls_",
        "trade_management_busy",
        "refund_closed",
        "refund_abnormal",
        "response_oversized",
    ];
    let stack = TestStack::start().await;
    let mut met: Vec<&str> = [CONNECTIONS, SIGNATURES, STATUSES, CONTENTS]
        .concat()
        .iter()
        .map(|(fault, _)| *fault)
        .collect();
    met.sort_unstable();
    let mut known: Vec<String> = stack
        .seen("faults")
        .await
        .iter()
        .map(|fault| fault["name"].as_str().unwrap().to_owned())
        .filter(|name| !ELSEWHERE.iter().any(|start| name.starts_with(start)))
        .collect();
    known.sort_unstable();
    assert_eq!(met, known);
}
