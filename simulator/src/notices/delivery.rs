//! One attempt to send a notice, what is made of the merchant's answer, and when the next attempt
//! is.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::dispatch::Dispatch;
use super::held::release_held;
use super::message::{self, Message};
use crate::beijing::{self, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::exchange::{self, Exchange, ExchangeKey};
use crate::handle::SimulatorHandle;
use crate::ledger::{Attempt, Copy, Distortion, Notice, Progress};
use crate::outgoing::SentNotice;
use crate::random;
use crate::state::State;

/// The pauses between an attempt and the next (docs/simulator.md, `notice-schedule`).
const RETRY_DELAYS_MS: [i64; 15] = [
    15 * SECOND_MS,
    15 * SECOND_MS,
    30 * SECOND_MS,
    3 * MINUTE_MS,
    10 * MINUTE_MS,
    20 * MINUTE_MS,
    30 * MINUTE_MS,
    30 * MINUTE_MS,
    30 * MINUTE_MS,
    60 * MINUTE_MS,
    3 * HOUR_MS,
    3 * HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    6 * HOUR_MS,
];

/// The merchant has this long to answer, in real time (docs/simulator.md, `notice-schedule`).
const ANSWER_DEADLINE: Duration = Duration::from_millis(ANSWER_DEADLINE_MS);
const ANSWER_DEADLINE_MS: u64 = 5_000;

/// The event of a payment.
const PAYMENT: &str = "TRANSACTION.SUCCESS";

/// What became of sending one attempt.
struct Sent {
    at_ms: i64,
    took_ms: u64,
    serial: String,
    /// The merchant's status, or why there is none.
    status: Result<u16, String>,
    exchange: Exchange,
}

/// What an answer means.
struct Judgement {
    /// Whether the merchant has the notice: it was genuine, and the status is one of success.
    delivered: bool,
    verdict: String,
    /// The rule that the merchant broke, by its kind, with a sentence.
    violation: Option<(&'static str, String)>,
}

/// Makes one attempt: sends it, judges the answer, records both, and releases the notice that
/// waited for it.
pub(crate) async fn deliver(handle: &Arc<SimulatorHandle>, dispatch: Dispatch) {
    let Ok(_slot) = handle.slots.acquire().await else {
        return;
    };
    if handle.is_stopping() {
        return;
    }
    let signer = dispatch
        .merchant
        .notice_signer(dispatch.by_public_key, dispatch.by_new_certificate);
    let Some((serial, key)) = signer else {
        give_up_unsigned(&mut handle.lock(), dispatch.notice.seq);
        return;
    };
    let message = message::build(&dispatch, serial, key, handle.wall_ms());
    let sent = send(handle, &dispatch, message).await;
    let mut state = handle.lock();
    let judgement = judge(&sent, &dispatch, state.behaviours.notice_redirect_fails);
    record(handle, &mut state, &dispatch, sent, judgement);
    release_held(&mut state, dispatch.notice.seq, handle.now_ms());
}

fn give_up_unsigned(state: &mut State, seq: u64) {
    if let Some(mut notice) = state.notices.get(&seq).cloned() {
        notice.progress = Progress::GivenUp;
        notice.why = Some("WeChat Pay has no key to sign it with".to_owned());
        notice.next_due_ms = None;
        notice.on_its_way = false;
        state.put_notice(notice);
    }
}

async fn send(handle: &SimulatorHandle, dispatch: &Dispatch, message: Message) -> Sent {
    let (started, at_ms) = (Instant::now(), handle.now_ms());
    let notice = &dispatch.notice;
    let serial = message.serial.clone();
    let mut exchange = message.exchange(&notice.url);
    let response = if dispatch.distortion == Distortion::Lost {
        Err("lost on the way: it never reached the merchant".to_owned())
    } else {
        let is_genuine = dispatch.distortion == Distortion::Genuine;
        let tells_payment = is_genuine && notice.event_type == PAYMENT;
        let sent = SentNotice {
            url: notice.url.clone(),
            headers: message.headers,
            body: message.body,
            tells_payment_of: tells_payment.then(|| notice.out_trade_no.clone()),
        };
        handle.outgoing.post(sent, ANSWER_DEADLINE).await
    };
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let status = match response {
        Ok(response) => {
            let status = response.status().as_u16();
            exchange.answer = Some((status, answer(response).await));
            Ok(status)
        }
        Err(reason) => Err(reason),
    };
    Sent {
        at_ms,
        took_ms,
        serial,
        status,
        exchange,
    }
}

/// What the merchant answered, as far as a person will read it. What breaks while it comes, or comes
/// too late, changes nothing of what the status said.
async fn answer(mut response: reqwest::Response) -> exchange::Message {
    let mut body = Vec::new();
    while body.len() <= exchange::BODY_BYTES_MAX
        && let Ok(Some(piece)) = response.chunk().await
    {
        body.extend_from_slice(&piece);
    }
    let headers = response.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("(not text)")));
    exchange::Message::new(headers, &body, None)
}

fn judge(sent: &Sent, dispatch: &Dispatch, redirect_fails: bool) -> Judgement {
    let status = match &sent.status {
        Ok(status) => *status,
        Err(reason) => {
            let late = sent.took_ms >= ANSWER_DEADLINE_MS;
            return Judgement {
                delivered: false,
                verdict: reason.clone(),
                violation: late.then(|| ("late_answer", reason.clone())),
            };
        }
    };
    let accepted =
        status == 200 || status == 204 || (!redirect_fails && (300..400).contains(&status));
    let genuine = match dispatch.distortion {
        Distortion::Genuine | Distortion::Lost => true,
        // Who does not handle a product need not open its events: the signature is genuine.
        Distortion::Unopenable => dispatch.notice.is_another_products(),
        Distortion::Probe
        | Distortion::BadSignature
        | Distortion::UnknownSerial
        | Distortion::Stale => false,
    };
    let what = dispatch.distortion.what();
    let (verdict, violation) = match (genuine, accepted) {
        (true, true) => ("accepted".to_owned(), None),
        (true, false) => {
            let verdict = format!(
                "answered {status}: only 200 or 204 within 5 seconds is success, so WeChat Pay sends it \
                 again"
            );
            (verdict, None)
        }
        (false, true) => {
            let explanation = format!(
                "the merchant accepted {what}; a merchant that verifies answers 4xx or 5xx"
            );
            (
                format!("answered {status} to {what}: violation"),
                Some(("accepted_forgery", explanation)),
            )
        }
        (false, false) => (format!("rightly refused {what} with {status}"), None),
    };
    Judgement {
        delivered: genuine && accepted,
        verdict,
        violation,
    }
}

fn record(
    handle: &SimulatorHandle,
    state: &mut State,
    dispatch: &Dispatch,
    sent: Sent,
    judgement: Judgement,
) {
    if let Some((kind, explanation)) = judgement.violation {
        state.violation(json!({
            "kind": kind,
            "at": beijing::rfc3339(sent.at_ms),
            "notice_id": dispatch.notice.id,
            "out_trade_no": dispatch.notice.out_trade_no,
            "event_type": dispatch.notice.event_type,
            "fault": dispatch.distortion,
            "explanation": explanation,
        }));
    }
    let Some(mut notice) = state.notices.get(&dispatch.notice.seq).cloned() else {
        return;
    };
    let key = ExchangeKey::Attempt {
        notice: notice.seq,
        place: notice.attempts.len(),
    };
    state.exchanges.keep(key, sent.exchange);
    notice.attempts.push(Attempt {
        at_ms: sent.at_ms,
        status: sent.status.ok(),
        took_ms: sent.took_ms,
        verdict: judgement.verdict,
        distortion: dispatch.distortion,
        serial: sent.serial,
        resent: dispatch.copy == Copy::Resent,
    });
    let delivered = judgement.delivered;
    match dispatch.copy {
        Copy::Scheduled => {
            let due_ms = dispatch.notice.next_due_ms.unwrap_or(sent.at_ms);
            let id_stable = state.behaviours.notice_id_stable;
            move_on(handle, &mut notice, delivered, due_ms, id_stable);
        }
        Copy::Extra => {
            if delivered && notice.progress == Progress::Pending {
                notice.progress = Progress::Delivered;
                notice.next_due_ms = None;
            }
        }
        Copy::Resent => {
            if delivered {
                notice.progress = Progress::Delivered;
                notice.next_due_ms = None;
                notice.why = None;
            }
        }
    }
    state.put_notice(notice);
}

/// Decides what follows an attempt of the schedule that was due at `due_ms`.
fn move_on(
    handle: &SimulatorHandle,
    notice: &mut Notice,
    delivered: bool,
    due_ms: i64,
    id_stable: bool,
) {
    notice.on_its_way = false;
    notice.tries += 1;
    notice.next_due_ms = None;
    match notice.progress {
        Progress::Pending if delivered => notice.progress = Progress::Delivered,
        Progress::Pending => match retry_delay_ms(notice) {
            Some(delay_ms) => {
                // Counted from when this attempt was due, so that a clock moved by hours brings
                // every attempt of those hours.
                notice.next_due_ms = Some(due_ms + handle.scaled(delay_ms));
                if !id_stable {
                    notice.id = random::notice_id();
                }
            }
            None => notice.progress = Progress::GivenUp,
        },
        // What became of it meanwhile stays, but for what was taken to be never sent and came.
        Progress::NotSent if delivered => {
            notice.progress = Progress::Delivered;
            notice.why = None;
        }
        Progress::Delivered | Progress::GivenUp | Progress::NotSent => {}
    }
}

fn retry_delay_ms(notice: &Notice) -> Option<i64> {
    if notice.invented {
        return None;
    }
    RETRY_DELAYS_MS.get(notice.tries.checked_sub(1)?).copied()
}
