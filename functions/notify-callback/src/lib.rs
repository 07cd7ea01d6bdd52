//! `POST /wechatpay/notify`: receives WeChat Pay's notifications.
//!
//! It is open to anybody. Size → headers' shape → time → serial → signature over the raw
//! bytes → parse → open → match with our order → settle → 204: cheap refusals first, and before the
//! signature holds nothing is written, asked or looked up. A 2xx is answered only when the effect, or
//! the decision to set the notice aside, is in the table; for everything else WeChat Pay's own
//! retries over 24 hours are the queue. This function cannot sign: it holds no merchant key.

// A new state must visit each place that decides by states.
#![warn(clippy::wildcard_enum_match_arm)]

use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};
use shared::api::{Answer, Code, HttpFunction, Incoming, Problem, note_unusable_secrets};
use shared::config::secrets::{AnySecret, Secret, SecretError};
use shared::config::{ConfigError, Environment, Vars};
use shared::domain::terms::Payee;
use shared::domain::{Contradiction, Mchid, OrderId, OrderReport, RefundReport};
use shared::keyring::Keyring;
use shared::process::Process;
use shared::rfc3339;
use shared::settlement::notes::{note_order, note_refund};
use shared::settlement::{Settled, Settlement};
use shared::store::{Evidence, EvidenceOf, Orders, Refunds, StoreError};
use shared::telemetry::{Level, LogLine, Metric};
use shared::wechatpay::{
    Apiv3Keys, Notification, NotificationError, SignatureHeaders, Signed, VerifyError,
    read_notification, verify,
};

/// Receives notices.
#[derive(Debug)]
pub struct NotifyCallback {
    platform_keys: Keyring,
    apiv3_keys: Arc<Secret<Apiv3Keys>>,
    settlement: Settlement,
    evidence: Evidence,
    payee: Payee,
    process: Process,
}

/// What is answered, in WeChat Pay's own dialect (docs/wechatpay.md, "Notices"): constant texts, so
/// that nothing is learnt by trying.
#[derive(Clone, Copy)]
enum Reply {
    Done,
    Malformed,
    TooLarge,
    Unauthorized,
    NoSuchAddress,
    UnknownOrder,
    Contradiction,
    Unreadable,
    Later,
}

impl Reply {
    fn answer(self) -> Answer {
        let (status, message) = match self {
            Self::Done => return Answer::nothing(),
            Self::Malformed => (400, "bad request"),
            Self::TooLarge => (413, "bad request"),
            Self::Unauthorized => (401, "unauthorized"),
            Self::NoSuchAddress | Self::UnknownOrder => (404, "rejected"),
            Self::Contradiction => (409, "rejected"),
            Self::Unreadable => (500, "rejected"),
            Self::Later => (503, "try again"),
        };
        Answer::json(status, json!({"code": "FAIL", "message": message}))
    }
}

impl HttpFunction for NotifyCallback {
    const NAME: &'static str = "notify-callback";

    fn from_vars(vars: &Vars, process: &Process) -> Result<Self, ConfigError> {
        let mut environment = Environment::new(vars, process);
        let payee = environment.merchant().payee();
        let table = environment.table();
        let settlement = Settlement::new(Orders::new(table.clone()), Refunds::new(table.clone()));
        let apiv3_keys = Secret::from_environment(&mut environment, "APIV3_SECRET_ARN");
        let apiv3_keys = Arc::new(apiv3_keys);
        let platform_keys = Keyring::sharing(&mut environment, &table, |_| Arc::clone(&apiv3_keys));
        environment.finish()?;
        Ok(Self {
            platform_keys,
            apiv3_keys,
            settlement,
            evidence: Evidence::new(table),
            payee,
            process: process.clone(),
        })
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn secrets(&self) -> Vec<&dyn AnySecret> {
        vec![&self.platform_keys, &*self.apiv3_keys]
    }

    fn refused_unread(&self, problem: Problem, line: &mut LogLine) -> Answer {
        let (notice, reply) = if problem.code == Code::BodyTooLarge {
            ("too large", Reply::TooLarge)
        } else {
            ("malformed", Reply::Malformed)
        };
        line.field("notice", notice);
        reply.answer()
    }

    fn out_of_time(&self, _: Problem, line: &mut LogLine) -> Answer {
        line.field("notice", "no time left").raise(Level::Warn);
        Reply::Later.answer()
    }

    async fn serve(&self, incoming: &Incoming, line: &mut LogLine) -> Result<Answer, Problem> {
        Ok(self.receive(incoming, line).await.answer())
    }
}

impl NotifyCallback {
    async fn receive(&self, incoming: &Incoming, line: &mut LogLine) -> Reply {
        // WeChat Pay's addresses have no query: whatever adds one is not WeChat Pay.
        if incoming.query([]).is_err() {
            line.field("notice", "no such address");
            return Reply::NoSuchAddress;
        }
        let headers = match SignatureHeaders::parse(|name| incoming.header(name)) {
            Ok(headers) if !incoming.body.is_empty() => headers,
            Ok(_) | Err(_) => {
                line.field("notice", "malformed");
                return Reply::Malformed;
            }
        };
        // Both were read at start and are read again by time, never because of what a request says.
        let (platform_keys, apiv3_keys) =
            tokio::join!(self.platform_keys.get(), self.apiv3_keys.get());
        let (platform_keys, apiv3_keys) = match (platform_keys, apiv3_keys) {
            (Ok(platform_keys), Ok(apiv3_keys)) => (platform_keys, apiv3_keys),
            (platform_keys, apiv3_keys) => {
                let unusable: Vec<SecretError> = [platform_keys.err(), apiv3_keys.err()]
                    .into_iter()
                    .flatten()
                    .collect();
                note_unusable_secrets(&unusable, line);
                line.count(Metric::NotConfigured).raise(Level::Error);
                return Reply::Later;
            }
        };
        let now = self.process.clock.wall();
        let verified = match verify(&platform_keys, &headers, incoming.body.as_slice(), now) {
            Ok(verified) => verified,
            Err(error) => {
                let reason = match error {
                    VerifyError::StaleTimestamp { .. } => "timestamp",
                    VerifyError::UnknownSerial => "serial",
                    VerifyError::BadSignature => "signature",
                };
                line.field("notice", "unauthorized").field("reason", reason);
                line.count(Metric::NotifyUnauthorized).raise(Level::Warn);
                return Reply::Unauthorized;
            }
        };
        let envelope = String::from_utf8_lossy(&incoming.body).into_owned();
        match read_notification(&verified, &apiv3_keys) {
            Ok(read) => {
                line.field("notice.id", read.id.clone());
                // While a key is replaced this tells when WeChat Pay has gone over to the other.
                if let Some(slot) = read.key_slot {
                    line.field("notice.key", slot.as_str());
                }
                self.settle(&read.id, read.notice, &envelope, line).await
            }
            Err(error) => self.unread(&error, &envelope, line).await,
        }
    }

    async fn settle(
        &self,
        id: &str,
        notice: Notification,
        envelope: &str,
        line: &mut LogLine,
    ) -> Reply {
        match notice {
            Notification::Payment(report) => self.payment(id, &report, envelope, line).await,
            Notification::Refund(report) => self.refund(id, &report, envelope, line).await,
            Notification::UnknownState {
                event_type,
                mchid,
                sub_mchid,
                state,
                order_id,
                refund_id,
            } => {
                line.field("notice", "unknown state")
                    .field("notice.event_type", event_type.clone())
                    .field("notice.state", state);
                if let Some(refund_id) = refund_id {
                    line.field("refund.out_refund_no", refund_id.as_str());
                }
                let order = order_id.as_ref().map(OrderId::as_str);
                if let Some(order) = order {
                    line.field("order.out_trade_no", order);
                }
                let draft = EvidenceDraft {
                    id,
                    event_type: &event_type,
                    outcome: "unknown state",
                    order,
                };
                if let Some(field) = self.foreign_in(mchid.as_deref(), sub_mchid.as_deref()) {
                    return self.foreign(field, &draft, envelope, line).await;
                }
                line.count(Metric::NeedsHuman).raise(Level::Error);
                self.set_aside(&draft, envelope, line, Reply::Done).await
            }
            Notification::Unhandled { event_type } => {
                line.field("notice", "unhandled")
                    .field("notice.event_type", event_type.clone());
                let draft = EvidenceDraft {
                    id,
                    event_type: &event_type,
                    outcome: "not handled",
                    order: None,
                };
                self.set_aside(&draft, envelope, line, Reply::Done).await
            }
        }
    }

    async fn payment(
        &self,
        id: &str,
        report: &Signed<OrderReport>,
        envelope: &str,
        line: &mut LogLine,
    ) -> Reply {
        let order_id = report.get().order_id.clone();
        line.field("order.out_trade_no", order_id.as_str());
        let mchid = report.get().mchid.as_ref().map(Mchid::as_str);
        let sub_mchid = report.get().sub_mchid.as_ref().map(Mchid::as_str);
        if let Some(field) = self.foreign_in(mchid, sub_mchid) {
            let draft = EvidenceDraft {
                id,
                event_type: "TRANSACTION",
                outcome: "for another merchant",
                order: Some(order_id.as_str()),
            };
            return self.foreign(field, &draft, envelope, line).await;
        }
        let settled = self
            .settlement
            .order(report, self.process.clock.business())
            .await;
        match settled {
            Ok(settled) => {
                note_order(&settled, report, line);
                let draft = EvidenceDraft {
                    id,
                    event_type: "TRANSACTION",
                    outcome: set_aside_reason(&settled),
                    order: Some(order_id.as_str()),
                };
                self.reply(&settled, &draft, envelope, line).await
            }
            Err(error) => later(&error, line),
        }
    }

    async fn refund(
        &self,
        id: &str,
        report: &Signed<RefundReport>,
        envelope: &str,
        line: &mut LogLine,
    ) -> Reply {
        let order_id = report.get().order_id.clone();
        line.field("order.out_trade_no", order_id.as_str());
        line.field("refund.out_refund_no", report.get().refund_id.as_str());
        let mchid = report.get().mchid.as_ref().map(Mchid::as_str);
        let sub_mchid = report.get().sub_mchid.as_ref().map(Mchid::as_str);
        if let Some(field) = self.foreign_in(mchid, sub_mchid) {
            let draft = EvidenceDraft {
                id,
                event_type: "REFUND",
                outcome: "for another merchant",
                order: Some(order_id.as_str()),
            };
            return self.foreign(field, &draft, envelope, line).await;
        }
        match self
            .settlement
            .refund(report, self.process.clock.business())
            .await
        {
            Ok(settled) => {
                note_refund(&settled, line);
                let settled = settled.settled;
                let draft = EvidenceDraft {
                    id,
                    event_type: "REFUND",
                    outcome: set_aside_reason(&settled),
                    order: Some(order_id.as_str()),
                };
                self.reply(&settled, &draft, envelope, line).await
            }
            Err(error) => later(&error, line),
        }
    }

    /// In which number a notice is for a merchant that is not this stack's; the order's own merchant and app
    /// are compared when it is settled, but such a notice may name no order of ours at all. One that names
    /// a merchant says by that whether it is a sub-merchant's.
    fn foreign_in(&self, mchid: Option<&str>, sub_mchid: Option<&str>) -> Option<&'static str> {
        let own = &self.payee;
        if mchid.is_some_and(|mchid| mchid != own.mchid.as_str()) {
            return Some("mchid");
        }
        let names_merchant = mchid.is_some() || sub_mchid.is_some();
        let is_other = names_merchant && sub_mchid != own.sub_mchid.as_ref().map(Mchid::as_str);
        is_other.then_some("sub_mchid")
    }

    async fn foreign(
        &self,
        field: &'static str,
        draft: &EvidenceDraft<'_>,
        envelope: &str,
        line: &mut LogLine,
    ) -> Reply {
        line.field(
            "contradiction",
            Contradiction::Differs { field }.to_string(),
        )
        .count(Metric::MoneyMismatch)
        .raise(Level::Error);
        self.set_aside(draft, envelope, line, Reply::Contradiction)
            .await
    }

    async fn reply<T: Sync>(
        &self,
        settled: &Settled<T>,
        draft: &EvidenceDraft<'_>,
        envelope: &str,
        line: &mut LogLine,
    ) -> Reply {
        match settled {
            Settled::Changed(_) | Settled::Unchanged(_) => Reply::Done,
            Settled::Unknown => {
                // Money moved that no order here explains.
                line.count(Metric::NeedsHuman).raise(Level::Error);
                self.set_aside(draft, envelope, line, Reply::UnknownOrder)
                    .await
            }
            Settled::Contradiction(..) => {
                self.set_aside(draft, envelope, line, Reply::Contradiction)
                    .await
            }
        }
    }

    /// A signed notice that could not be read or believed.
    async fn unread(&self, error: &NotificationError, envelope: &str, line: &mut LogLine) -> Reply {
        line.field("notice", "unreadable")
            .field("error", error.to_string())
            .raise(Level::Error);
        let (id, outcome) = match error {
            NotificationError::Undecryptable { .. } => {
                line.count(Metric::Apiv3KeyMismatch);
                // Read at once where the floor allows: WeChat Pay's next try may then succeed.
                let _ = self.apiv3_keys.refreshed().await;
                (error.notification_id(), Reply::Unreadable)
            }
            NotificationError::Contradiction { what, .. } => {
                line.field("contradiction", *what)
                    .count(Metric::MoneyMismatch);
                (error.notification_id(), Reply::Contradiction)
            }
            NotificationError::Envelope | NotificationError::Content { .. } => {
                // WeChat Pay says something in a new way.
                line.count(Metric::NeedsHuman);
                (error.notification_id(), Reply::Unreadable)
            }
        };
        let digest = digest(envelope);
        let draft = EvidenceDraft {
            id: id.unwrap_or(&digest),
            event_type: "-",
            outcome: "unreadable",
            order: None,
        };
        self.set_aside(&draft, envelope, line, outcome).await
    }

    /// Keeps the evidence and answers; without the evidence WeChat Pay is asked to come back.
    async fn set_aside(
        &self,
        draft: &EvidenceDraft<'_>,
        envelope: &str,
        line: &mut LogLine,
        outcome: Reply,
    ) -> Reply {
        if self.keep(draft, envelope, line).await {
            outcome
        } else {
            Reply::Later
        }
    }

    async fn keep(&self, draft: &EvidenceDraft<'_>, envelope: &str, line: &mut LogLine) -> bool {
        let now = self.process.clock.wall();
        let evidence = EvidenceOf {
            notice_id: draft.id,
            day: &rfc3339::beijing_day(now),
            event_type: draft.event_type,
            outcome: draft.outcome,
            out_trade_no: draft.order,
            envelope,
        };
        match self.evidence.keep(&evidence, now).await {
            Ok(()) => true,
            Err(error) => {
                line.field("error", error.to_string()).raise(Level::Warn);
                false
            }
        }
    }
}

/// What evidence is kept of.
struct EvidenceDraft<'a> {
    id: &'a str,
    event_type: &'a str,
    outcome: &'static str,
    order: Option<&'a str>,
}

const fn set_aside_reason<T>(settled: &Settled<T>) -> &'static str {
    match settled {
        Settled::Changed(_) => "applied",
        Settled::Unchanged(_) => "repeated",
        Settled::Unknown => "no such record here",
        Settled::Contradiction(..) => "contradicts the record",
    }
}

fn later(error: &StoreError, line: &mut LogLine) -> Reply {
    line.field("error", error.to_string()).raise(Level::Warn);
    match error {
        StoreError::Unavailable { .. } | StoreError::Contended { .. } => Reply::Later,
        StoreError::Unreadable { .. } => {
            line.count(Metric::NeedsHuman).raise(Level::Error);
            Reply::Unreadable
        }
    }
}

/// A name for a notice whose own id could not be read: the same body, the same name.
fn digest(envelope: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(envelope.as_bytes())[..16])
}
