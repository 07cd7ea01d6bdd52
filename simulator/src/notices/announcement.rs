//! Notices begin here: one is put on record and on the schedule, or the record says why none is sent.

use std::sync::Arc;

use serde_json::json;

use super::dispatch::KEYLESS;
use super::held::recent;
use super::resource;
use crate::beijing::{self, SECOND_MS};
use crate::faults::Target;
use crate::handle::SimulatorHandle;
use crate::ledger::{Copy, Notice, Order, Progress, Refund, RefundStatus};
use crate::merchants::Merchant;
use crate::random;
use crate::state::State;

const LATE_MS: i64 = 30 * SECOND_MS;
const HELD_MS: i64 = 10 * SECOND_MS;

/// Sends the notice of a payment.
pub(crate) fn announce_payment(handle: &Arc<SimulatorHandle>, state: &mut State, order: &Order) {
    let Some(payload) = resource::payment(order) else {
        return;
    };
    let announcement = Announcement {
        mchid: &order.key.mchid,
        event_type: "TRANSACTION.SUCCESS",
        summary: "支付成功",
        original_type: "transaction",
        out_trade_no: &order.key.out_trade_no,
        out_refund_no: None,
        url: Some(&order.notify_url),
        payload,
    };
    announce(handle, state, announcement);
}

/// Sends the notice of how a refund ended; a refund still in process has none.
pub(crate) fn announce_refund(handle: &Arc<SimulatorHandle>, state: &mut State, refund: &Refund) {
    let (event_type, summary) = match refund.status {
        RefundStatus::Processing => return,
        RefundStatus::Success => ("REFUND.SUCCESS", "退款成功"),
        RefundStatus::Closed => ("REFUND.CLOSED", "退款关闭"),
        RefundStatus::Abnormal => ("REFUND.ABNORMAL", "退款异常"),
    };
    let announcement = Announcement {
        mchid: &refund.key.mchid,
        event_type,
        summary,
        original_type: "refund",
        out_trade_no: &refund.order.out_trade_no,
        out_refund_no: Some(&refund.key.out_refund_no),
        url: refund.notify_url.as_deref(),
        payload: resource::refund(refund),
    };
    announce(handle, state, announcement);
}

struct Announcement<'a> {
    mchid: &'a str,
    event_type: &'a str,
    summary: &'a str,
    original_type: &'a str,
    out_trade_no: &'a str,
    out_refund_no: Option<&'a str>,
    url: Option<&'a str>,
    payload: String,
}

fn announce(handle: &Arc<SimulatorHandle>, state: &mut State, announcement: Announcement<'_>) {
    let Some(merchant) = state.merchants.get(announcement.mchid).cloned() else {
        return;
    };
    let now_ms = handle.now_ms();
    let mut notice = announcement.notice(state.enter(), now_ms);
    if let Some(why) = unsent(&merchant.record, announcement.url) {
        if announcement.url.is_none() && merchant.record.refund_notify_url.is_some() {
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
    let extras = draw(handle, state, &mut notice);
    if extras.unknown_event {
        let payload = resource::coupon(&notice);
        invent(state, &notice, "COUPON.USE", "代金券核销通知", payload);
    }
    if extras.foreign_order {
        let payload = notice
            .payload
            .replace(&notice.out_trade_no, &random::alphanumeric(24));
        let (event_type, summary) = (announcement.event_type, announcement.summary);
        invent(state, &notice, event_type, summary, payload);
    }
    state.put_notice(notice);
    handle.wake();
}

impl Announcement<'_> {
    fn notice(&self, seq: u64, now_ms: i64) -> Notice {
        Notice {
            seq,
            id: random::notice_id(),
            mchid: self.mchid.to_owned(),
            event_type: self.event_type.to_owned(),
            summary: self.summary.to_owned(),
            original_type: self.original_type.to_owned(),
            out_trade_no: self.out_trade_no.to_owned(),
            out_refund_no: self.out_refund_no.map(str::to_owned),
            url: self.url.unwrap_or_default().to_owned(),
            payload: self.payload.clone(),
            created_ms: now_ms,
            next_due_ms: None,
            progress: Progress::Pending,
            why: None,
            attempts: Vec::new(),
            tries: 0,
            held: false,
            invented: false,
            extra_fields: false,
            lost_for_good: false,
            copied: false,
            on_its_way: false,
            latest: None,
        }
    }
}

/// Why WeChat Pay sends nothing, where that is so.
fn unsent(merchant: &Merchant, url: Option<&str>) -> Option<String> {
    if merchant.apiv3_key.is_none() {
        return Some(KEYLESS.to_owned());
    }
    if url.is_some() {
        return None;
    }
    Some(merchant.refund_notify_url.as_ref().map_or_else(
        || "neither the refund nor the platform names a notify_url: nothing is sent".to_owned(),
        |url| {
            format!(
                "the refund names no notify_url, so WeChat Pay sends its v2 XML callback to {url}, \
                 which APIv3 code cannot read: send notify_url with the refund"
            )
        },
    ))
}

/// What faults send beside a notice.
struct Extras {
    unknown_event: bool,
    foreign_order: bool,
}

/// Draws the faults of a notice and sets when its first attempt is due.
fn draw(handle: &SimulatorHandle, state: &mut State, notice: &mut Notice) -> Extras {
    let subject = notice.subject(state.place_of(&notice.mchid), Copy::Scheduled);
    let out_trade_no = notice.out_trade_no.clone();
    let target = Target {
        operation: "notice",
        out_trade_no: Some(&out_trade_no),
        subject: &subject,
    };
    // Two that wait would go out in the order they came in.
    let others_wait =
        recent(state, u64::MAX).any(|(_, other)| other.waits() && other.mchid == notice.mchid);
    let mut strikes = |name| state.faults.strikes(name, target);
    let late = strikes("notice_late");
    notice.held = !others_wait && strikes("notice_reordered");
    notice.lost_for_good = strikes("notice_lost_for_good");
    notice.extra_fields = strikes("notice_unknown_fields");
    notice.copied = strikes("notice_duplicated");
    let extras = Extras {
        unknown_event: strikes("notice_unknown_event"),
        foreign_order: strikes("notice_foreign_order"),
    };
    let mut due_ms = notice.created_ms;
    if late {
        due_ms += handle.scaled(LATE_MS);
    }
    if notice.held {
        due_ms += handle.scaled(HELD_MS);
    }
    notice.next_due_ms = Some(due_ms);
    extras
}

fn invent(state: &mut State, like: &Notice, event_type: &str, summary: &str, payload: String) {
    let mut invented = like.clone();
    invented.seq = state.enter();
    invented.id = random::notice_id();
    invented.event_type = event_type.to_owned();
    invented.summary = summary.to_owned();
    invented.payload = payload;
    invented.invented = true;
    invented.lost_for_good = false;
    invented.copied = false;
    if event_type == "COUPON.USE" {
        invented.original_type = "coupon".to_owned();
    }
    state.put_notice(invented);
}
