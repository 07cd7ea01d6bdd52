//! One attempt to send a notice, what is made of the merchant's answer, and when the next attempt is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::dispatch::Dispatch;
use super::held::release_held;
use super::message;
use crate::beijing::{self, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::handle::SimulatorHandle;
use crate::ledger::{Attempt, Copy, Distortion, Notice, Progress};
use crate::random;

/// The pauses between an attempt and the next (fidelity point 28).
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

/// The merchant has this long to answer, in real time (fidelity point 28).
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Makes one attempt and records what came of it.
pub(crate) async fn deliver(handle: &Arc<SimulatorHandle>, dispatch: Dispatch) {
    let Ok(_slot) = handle.slots.acquire().await else {
        return;
    };
    if handle.is_stopping() {
        return;
    }
    let started = Instant::now();
    let at_ms = handle.now_ms();
    let signer = dispatch
        .merchant
        .notice_signer(dispatch.by_public_key, dispatch.by_new_certificate);
    let Some((serial, key)) = signer else {
        let mut state = handle.lock();
        if let Some(mut notice) = state.notices.get(&dispatch.notice.seq).cloned() {
            notice.progress = Progress::GivenUp;
            notice.why = Some("WeChat Pay has no key to sign it with".to_owned());
            notice.next_due_ms = None;
            notice.on_its_way = false;
            state.put_notice(notice);
        }
        return;
    };
    let message = message::build(&dispatch, serial, key, SimulatorHandle::wall_ms());
    let sent_serial = message.serial.clone();
    let answer = if dispatch.distortion == Distortion::Lost {
        Err("lost on the way: it never reached the merchant".to_owned())
    } else {
        send(handle, &dispatch.notice.url, message).await
    };
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let accepts = |status: u16| status == 200 || status == 204;
    let mut state = handle.lock();
    let redirect_fails = state.behaviours.notice_redirect_fails;
    let accepted = match &answer {
        Ok(status) => accepts(*status) || (!redirect_fails && (300..400).contains(status)),
        Err(_) => false,
    };
    let verdict = match (&answer, dispatch.distortion) {
        (Err(reason), _) => reason.clone(),
        (Ok(_), Distortion::Genuine | Distortion::Lost) if accepted => "accepted".to_owned(),
        (Ok(status), Distortion::Genuine | Distortion::Lost) => format!(
            "answered {status}: only 200 or 204 within 5 seconds is success, so WeChat Pay sends it \
             again"
        ),
        (Ok(status), distortion) if accepted => {
            format!("answered {status} to {}: violation", distortion.what())
        }
        (Ok(status), distortion) => format!("rightly refused {} with {status}", distortion.what()),
    };
    let offence = match (&answer, dispatch.distortion) {
        (Ok(_), Distortion::Genuine | Distortion::Lost) => None,
        (Ok(_), distortion) if accepted => Some((
            "accepted_forgery",
            format!(
                "the merchant accepted {}; a merchant that verifies answers 4xx or 5xx",
                distortion.what()
            ),
        )),
        (Ok(_), _) => None,
        (Err(reason), _) if took_ms >= 5_000 => Some(("late_answer", reason.clone())),
        (Err(_), _) => None,
    };
    if let Some((kind, explanation)) = offence {
        state.violation(json!({
            "kind": kind,
            "at": beijing::rfc3339(at_ms),
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
    notice.attempts.push(Attempt {
        at_ms,
        status: answer.ok(),
        took_ms,
        verdict,
        distortion: dispatch.distortion,
        serial: sent_serial,
    });
    let delivered = accepted && dispatch.distortion == Distortion::Genuine;
    if dispatch.copy == Copy::Scheduled {
        let due_ms = dispatch.notice.next_due_ms.unwrap_or(at_ms);
        notice.on_its_way = false;
        notice.tries += 1;
        notice.next_due_ms = None;
        match notice.progress {
            Progress::Pending if delivered => notice.progress = Progress::Delivered,
            Progress::Pending => match retry_delay_ms(&notice) {
                Some(delay_ms) => {
                    // Counted from when this attempt was due, so that a clock moved by hours brings
                    // every attempt of those hours.
                    notice.next_due_ms = Some(due_ms + handle.scaled(delay_ms));
                    if !state.behaviours.notice_id_stable {
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
    } else if delivered && notice.progress == Progress::Pending {
        notice.progress = Progress::Delivered;
        notice.next_due_ms = None;
    }
    state.put_notice(notice);
    release_held(&mut state, dispatch.notice.seq, handle.now_ms());
}

fn retry_delay_ms(notice: &Notice) -> Option<i64> {
    if notice.invented {
        return None;
    }
    RETRY_DELAYS_MS.get(notice.tries.checked_sub(1)?).copied()
}

async fn send(
    handle: &SimulatorHandle,
    url: &str,
    message: message::Message,
) -> Result<u16, String> {
    let mut request = handle
        .client
        .post(url)
        .timeout(ANSWER_DEADLINE)
        .body(message.body);
    for (name, value) in message.headers {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) if error.is_timeout() => {
            Err("no answer within 5 seconds: answer first, work after".to_owned())
        }
        Err(error) if error.is_builder() => Err(format!("notify_url {url:?} is no usable URL")),
        Err(error) => Err(format!("no answer: {}", root_cause(&error))),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
