//! Notices to the merchant: what they say, when they are sent, and what is made of the answer.
//! Building and signing is `notices/message.rs`'s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::beijing::{self, HOUR_MS, MINUTE_MS, SECOND_MS};
use crate::config::Mode;
use crate::faults::Target;
use crate::ledger::{Order, Refund, RefundStatus};
use crate::merchants::Loaded;
use crate::random;
use crate::state::{State, Timer};
use crate::world::World;

mod message;

pub(crate) use message::Twist;

/// The pauses between an attempt and the next (fidelity point 28).
pub(crate) const RETRY_DELAYS_MS: [i64; 15] = [
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
const LATE_MS: i64 = 30 * SECOND_MS;
const HELD_MS: i64 = 10 * SECOND_MS;
const COPY_AFTER_MS: i64 = SECOND_MS;

/// Whether an attempt belongs to the schedule or is a duplicate beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    Scheduled,
    Extra,
}

/// Where a notice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    Pending,
    Delivered,
    GivenUp,
    /// The merchant gave no URL for it, or has no APIv3 key.
    NotSent,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) at_ms: i64,
    pub(crate) status: Option<u16>,
    pub(crate) took_ms: u64,
    pub(crate) verdict: String,
    pub(crate) twist: Twist,
    pub(crate) serial: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) mchid: String,
    pub(crate) event_type: String,
    pub(crate) summary: String,
    pub(crate) original_type: String,
    pub(crate) out_trade_no: String,
    pub(crate) out_refund_no: Option<String>,
    pub(crate) url: String,
    /// The resource before it is sealed.
    pub(crate) payload: String,
    pub(crate) created_ms: i64,
    pub(crate) next_due_ms: Option<i64>,
    pub(crate) progress: Progress,
    pub(crate) why: Option<String>,
    pub(crate) attempts: Vec<Attempt>,
    /// Attempts of the schedule so far.
    pub(crate) tries: usize,
    /// Waits for another notice to go first.
    pub(crate) held: bool,
    /// A fault's invention: sent once.
    pub(crate) invented: bool,
    pub(crate) extra_fields: bool,
    /// A copy follows the first attempt. Not kept: what a restart cuts off comes once.
    #[serde(skip)]
    pub(crate) copied: bool,
    /// An attempt of the schedule is on its way, so `next_due_ms` is that attempt's. Not kept: one
    /// that a restart cut off is due again.
    #[serde(skip)]
    pub(crate) on_its_way: bool,
    /// How the latest attempt went out, also when nothing is known of it yet.
    #[serde(skip)]
    pub(crate) latest: Option<Twist>,
}

impl Notice {
    /// The words the dice know the attempts of a notice by.
    fn subject(&self, state: &State, copy: Copy) -> String {
        let kind = match (self.invented, copy) {
            (true, _) => "invented ",
            (false, Copy::Extra) => "copy of ",
            (false, Copy::Scheduled) => "",
        };
        let number = self.out_refund_no.as_deref();
        let number = number.unwrap_or(&self.out_trade_no);
        let place = state.place_of(&self.mchid);
        format!("{place} {kind}{} {number}", self.event_type)
    }

    /// Whether it waits until a later one has been sent.
    fn waits(&self) -> bool {
        self.held && self.progress == Progress::Pending
    }

    /// The row of `/_sim/notifications`.
    pub(crate) fn row(&self) -> Value {
        let attempts: Vec<Value> = self
            .attempts
            .iter()
            .map(|attempt| {
                json!({
                    "at": beijing::rfc3339(attempt.at_ms),
                    "at_ms": attempt.at_ms,
                    "status": attempt.status,
                    "took_ms": attempt.took_ms,
                    "verdict": attempt.verdict,
                    "twist": attempt.twist,
                    "serial": attempt.serial,
                })
            })
            .collect();
        json!({
            "entered": self.seq,
            "id": self.id,
            "mchid": self.mchid,
            "event_type": self.event_type,
            "out_trade_no": self.out_trade_no,
            "out_refund_no": self.out_refund_no,
            "url": self.url,
            "state": self.progress,
            "why": self.why,
            "created_at": beijing::rfc3339(self.created_ms),
            "next_attempt_at": self.next_due_ms.map(beijing::rfc3339),
            "invented": self.invented,
            "attempts": attempts,
        })
    }
}

/// An attempt about to be made.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) notice: Notice,
    pub(crate) merchant: Arc<Loaded>,
    pub(crate) apiv3_key: String,
    pub(crate) twist: Twist,
    pub(crate) copy: Copy,
    by_public_key: f64,
    by_new_certificate: f64,
}

/// Sends the notice of a payment.
pub(crate) fn announce_payment(world: &Arc<World>, state: &mut State, order: &Order) {
    let Some(payload) = message::payment(order) else {
        return;
    };
    let draft = Draft {
        mchid: &order.key.mchid,
        event_type: "TRANSACTION.SUCCESS",
        summary: "支付成功",
        original_type: "transaction",
        out_trade_no: &order.key.out_trade_no,
        out_refund_no: None,
        url: Some(&order.notify_url),
        payload,
    };
    announce(world, state, draft);
}

/// Sends the notice of how a refund ended; a refund still in process has none.
pub(crate) fn announce_refund(world: &Arc<World>, state: &mut State, refund: &Refund) {
    let (event_type, summary) = match refund.status {
        RefundStatus::Processing => return,
        RefundStatus::Success => ("REFUND.SUCCESS", "退款成功"),
        RefundStatus::Closed => ("REFUND.CLOSED", "退款关闭"),
        RefundStatus::Abnormal => ("REFUND.ABNORMAL", "退款异常"),
    };
    let draft = Draft {
        mchid: &refund.key.mchid,
        event_type,
        summary,
        original_type: "refund",
        out_trade_no: &refund.order.out_trade_no,
        out_refund_no: Some(&refund.key.out_refund_no),
        url: refund.notify_url.as_deref(),
        payload: message::refund(refund),
    };
    announce(world, state, draft);
}

struct Draft<'a> {
    mchid: &'a str,
    event_type: &'a str,
    summary: &'a str,
    original_type: &'a str,
    out_trade_no: &'a str,
    out_refund_no: Option<&'a str>,
    url: Option<&'a str>,
    payload: String,
}

fn announce(world: &Arc<World>, state: &mut State, draft: Draft<'_>) {
    let now_ms = world.now_ms();
    let Some(merchant) = state.merchants.get(draft.mchid).cloned() else {
        return;
    };
    let mut notice = Notice {
        seq: state.enter(),
        id: random::notice_id(),
        mchid: draft.mchid.to_owned(),
        event_type: draft.event_type.to_owned(),
        summary: draft.summary.to_owned(),
        original_type: draft.original_type.to_owned(),
        out_trade_no: draft.out_trade_no.to_owned(),
        out_refund_no: draft.out_refund_no.map(str::to_owned),
        url: draft.url.unwrap_or_default().to_owned(),
        payload: draft.payload,
        created_ms: now_ms,
        next_due_ms: None,
        progress: Progress::Pending,
        why: None,
        attempts: Vec::new(),
        tries: 0,
        held: false,
        invented: false,
        extra_fields: false,
        copied: false,
        on_its_way: false,
        latest: None,
    };
    let silent = if merchant.record.apiv3_key.is_none() {
        Some(KEYLESS.to_owned())
    } else if draft.url.is_none() {
        Some(merchant.record.refund_notify_url.as_ref().map_or_else(
            || "neither the refund nor the platform names a notify_url: nothing is sent".to_owned(),
            |url| {
                format!(
                    "the refund names no notify_url, so WeChat Pay sends its v2 XML callback to \
                     {url}, which APIv3 code cannot read: send notify_url with the refund"
                )
            },
        ))
    } else {
        None
    };
    if let Some(why) = silent {
        if draft.url.is_none() && merchant.record.refund_notify_url.is_some() {
            state.violation(json!({
                "kind": "v2_callback",
                "at": beijing::rfc3339(now_ms),
                "out_trade_no": notice.out_trade_no,
                "explanation": why,
            }));
        }
        notice.progress = Progress::NotSent;
        notice.why = Some(why);
        state.put_notice(notice);
        return;
    }
    let subject = notice.subject(state, Copy::Scheduled);
    let target = Target {
        operation: "notice",
        out_trade_no: Some(draft.out_trade_no),
        subject: &subject,
    };
    // Two that wait would go out in the order they came in.
    let others_wait =
        recent(state, u64::MAX).any(|(_, other)| other.waits() && other.mchid == notice.mchid);
    let mut strikes = |name| state.faults.strikes(name, target);
    let late = strikes("notice_late");
    notice.held = !others_wait && strikes("notice_reordered");
    notice.extra_fields = strikes("notice_unknown_fields");
    notice.copied = strikes("notice_duplicated");
    let unknown_event = strikes("notice_unknown_event");
    let foreign_order = strikes("notice_foreign_order");
    let mut due_ms = now_ms;
    if late {
        due_ms += world.scaled(LATE_MS);
    }
    if notice.held {
        due_ms += world.scaled(HELD_MS);
    }
    notice.next_due_ms = Some(due_ms);
    if unknown_event {
        invent(
            state,
            &notice,
            "COUPON.USE",
            "代金券核销通知",
            message::coupon(&notice),
        );
    }
    if foreign_order {
        let payload = notice
            .payload
            .replace(&notice.out_trade_no, &random::alphanumeric(24));
        invent(state, &notice, draft.event_type, draft.summary, payload);
    }
    state.put_notice(notice);
    world.wake();
}

/// What is said of a notice that is not sent for want of a key to seal it with.
const KEYLESS: &str = "the merchant has no APIv3 key: WeChat Pay sends nothing";

fn invent(state: &mut State, like: &Notice, event_type: &str, summary: &str, payload: String) {
    let mut invented = like.clone();
    invented.seq = state.enter();
    invented.id = random::notice_id();
    invented.event_type = event_type.to_owned();
    invented.summary = summary.to_owned();
    invented.payload = payload;
    invented.invented = true;
    invented.copied = false;
    if event_type == "COUPON.USE" {
        invented.original_type = "coupon".to_owned();
    }
    state.put_notice(invented);
}

/// Decides how the next attempt of a notice goes out.
pub(crate) fn prepare(
    world: &Arc<World>,
    state: &mut State,
    seq: u64,
    copy: Copy,
) -> Option<Dispatch> {
    let mut notice = state.notices.get(&seq)?.clone();
    if copy == Copy::Scheduled && notice.progress != Progress::Pending {
        return None;
    }
    let merchant = state.merchants.get(&notice.mchid).cloned()?;
    let Some(apiv3_key) = merchant.record.apiv3_key.clone() else {
        if notice.progress == Progress::Pending {
            notice.progress = Progress::NotSent;
            notice.next_due_ms = None;
            notice.why = Some(KEYLESS.to_owned());
            state.put_notice(notice);
        }
        return None;
    };
    let subject = notice.subject(state, copy);
    let target = Target {
        operation: "notice",
        out_trade_no: Some(&notice.out_trade_no),
        subject: &subject,
    };
    let latest = notice
        .latest
        .or(notice.attempts.last().map(|attempt| attempt.twist));
    let just_probed = latest == Some(Twist::Probe);
    let mut twist = Twist::Genuine;
    for (name, candidate) in Twist::FAULTS {
        // The retry after a probe is never probed (fidelity point 12).
        if candidate == Twist::Probe && just_probed {
            continue;
        }
        if state.faults.strikes(name, target) {
            twist = candidate;
            break;
        }
    }
    let by_public_key = match merchant.record.mode {
        Mode::Both => state.faults.throw("notice key", &subject),
        Mode::PublicKey | Mode::Certificate => 0.0,
    };
    let by_new_certificate = if merchant.platform_certificates.len() > 1 {
        state.faults.throw("notice certificate", &subject)
    } else {
        0.0
    };
    // Only in memory: an attempt that a restart cuts off is made again after it.
    let mut copied = false;
    if let Some(kept) = state.notices.get_mut(&seq) {
        kept.latest = Some(twist);
        if copy == Copy::Scheduled {
            kept.held = false;
            kept.on_its_way = true;
            copied = std::mem::take(&mut kept.copied);
        }
    }
    // Counted from when this attempt was due, as its retries are.
    if copied && let Some(due_ms) = notice.next_due_ms {
        let copy_ms = due_ms + world.scaled(COPY_AFTER_MS);
        state.timers.insert((copy_ms, Timer::NoticeCopy(seq)));
    }
    Some(Dispatch {
        notice,
        merchant,
        apiv3_key,
        twist,
        copy,
        by_public_key,
        by_new_certificate,
    })
}

/// Makes one attempt and records what came of it.
pub(crate) async fn deliver(world: &Arc<World>, dispatch: Dispatch) {
    let Ok(_slot) = world.slots.acquire().await else {
        return;
    };
    if world.is_stopping() {
        return;
    }
    let started = Instant::now();
    let at_ms = world.now_ms();
    let signer = dispatch
        .merchant
        .notice_signer(dispatch.by_public_key, dispatch.by_new_certificate);
    let Some((serial, key)) = signer else {
        let mut state = world.lock();
        if let Some(mut notice) = state.notices.get(&dispatch.notice.seq).cloned() {
            notice.progress = Progress::GivenUp;
            notice.why = Some("WeChat Pay has no key to sign it with".to_owned());
            notice.next_due_ms = None;
            notice.on_its_way = false;
            state.put_notice(notice);
        }
        return;
    };
    let message = message::build(&dispatch, serial, key, World::wall_ms());
    let sent_serial = message.serial.clone();
    let answer = if dispatch.twist == Twist::Lost {
        Err("lost on the way: it never reached the merchant".to_owned())
    } else {
        send(world, &dispatch.notice.url, message).await
    };
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let accepts = |status: u16| status == 200 || status == 204;
    let mut state = world.lock();
    let redirect_fails = state.knobs.notice_redirect_fails;
    let accepted = match &answer {
        Ok(status) => accepts(*status) || (!redirect_fails && (300..400).contains(status)),
        Err(_) => false,
    };
    let verdict = match (&answer, dispatch.twist) {
        (Err(reason), _) => reason.clone(),
        (Ok(_), Twist::Genuine | Twist::Lost) if accepted => "accepted".to_owned(),
        (Ok(status), Twist::Genuine | Twist::Lost) => format!(
            "answered {status}: only 200 or 204 within 5 seconds is success, so WeChat Pay sends it \
             again"
        ),
        (Ok(status), twist) if accepted => {
            format!("answered {status} to {}: violation", twist.what())
        }
        (Ok(status), twist) => format!("rightly refused {} with {status}", twist.what()),
    };
    let offence = match (&answer, dispatch.twist) {
        (Ok(_), Twist::Genuine | Twist::Lost) => None,
        (Ok(_), twist) if accepted => Some((
            "accepted_forgery",
            format!(
                "the merchant accepted {}; a merchant that verifies answers 4xx or 5xx",
                twist.what()
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
            "fault": dispatch.twist,
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
        twist: dispatch.twist,
        serial: sent_serial,
    });
    let delivered = accepted && dispatch.twist == Twist::Genuine;
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
                    notice.next_due_ms = Some(due_ms + world.scaled(delay_ms));
                    if !state.knobs.notice_id_stable {
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
    release_held(&mut state, dispatch.notice.seq, world.now_ms());
    drop(state);
    world.settle_due();
}

fn retry_delay_ms(notice: &Notice) -> Option<i64> {
    if notice.invented {
        return None;
    }
    RETRY_DELAYS_MS.get(notice.tries.checked_sub(1)?).copied()
}

/// A notice that let another one go first follows it now.
fn release_held(state: &mut State, after: u64, now_ms: i64) {
    let Some(mchid) = state.notices.get(&after).map(|sent| sent.mchid.clone()) else {
        return;
    };
    let held: Vec<u64> = recent(state, after)
        .filter(|(_, notice)| notice.waits() && notice.mchid == mchid)
        .map(|(seq, _)| *seq)
        .collect();
    for seq in held {
        if let Some(mut notice) = state.notices.get(&seq).cloned() {
            notice.held = false;
            notice.next_due_ms = Some(now_ms);
            state.put_notice(notice);
        }
    }
}

/// How far back a held notice is looked for.
const HELD_LOOKBACK: usize = 1_000;

/// The notices before one, as far back as one may be held.
fn recent(state: &State, before: u64) -> impl Iterator<Item = (&u64, &Notice)> {
    state.notices.range(..before).rev().take(HELD_LOOKBACK)
}

async fn send(world: &World, url: &str, message: message::Message) -> Result<u16, String> {
    let mut request = world
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
