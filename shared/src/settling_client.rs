//! Calls WeChat Pay with the merchant's key and settles each signed answer; signs what is paid with; vouches
//! for refunds and checks that they were vouched for.
//!
//! The functions that hold the `signing` secret hold a [`SettlingClient`]; notify-callback holds none, so no
//! byte from the internet ever meets the key that signs refunds.

mod error;

use std::time::Duration;

use crate::clock::Clock;
use crate::config::secrets::{AnySecret, Secret, SecretError, SigningSecret};
use crate::config::{Environment, Merchant};
use crate::deadline::Deadline;
use crate::domain::absence::Heard;
use crate::domain::certificates::Trust;
use crate::domain::refund::Application;
use crate::domain::terms::Payee;
use crate::domain::{
    BeijingDay, OrderId, OrderReport, Refund, RefundId, RefundReport, Terms, TransactionId,
};
use crate::keyring::Keyring;
use crate::random;
use crate::refund_mac::Stage;
use crate::settlement::notes::{note_call, note_elsewhere, note_order, note_refund, note_settled};
use crate::settlement::{Settled, Settlement};
use crate::store::{SealedCertificates, StoredOrder, StoredRefund, Table};
use crate::telemetry::LogLine;
use crate::wechatpay::{
    AbnormalRefund, BillKind, BillOffer, Call, CallError, Client, Keys, PayParameters, Prepaid,
    PrepayRequest, Signed,
};

pub use error::{FetchError, NotAuthentic, SettlingError};

/// How long one question to WeChat Pay may take in all.
const CALL_MAX: Duration = Duration::from_millis(4_000);

/// How long the download of a bill may take; its address lives five minutes.
const DOWNLOAD_TIME_MAX: Duration = Duration::from_secs(240);

/// What WeChat Pay answered about an order, and what that led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedOrder {
    /// Whether it knows the order.
    pub heard: Heard,
    /// What became of the record.
    pub settled: Settled<StoredOrder>,
}

/// What WeChat Pay answered about a refund, and what that led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedRefund {
    /// Whether it knows the refund.
    pub heard: Heard,
    /// What became of the record.
    pub settled: Settled<StoredRefund>,
}

/// What a refund's record is about to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The merchant approves what a payer asked for.
    Approval,
    /// It is sent.
    Sending,
    /// WeChat Pay, which has taken it, is asked to pay it another way.
    Application,
}

/// What became of an application for an abnormal refund; the record as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// WeChat Pay took it, signed.
    Now(StoredRefund),
    /// It has taken one, and whether this one or another is not known.
    Already(StoredRefund),
    /// The refund is not abnormal, and nothing was sent.
    NotAbnormal(StoredRefund),
}

/// Asks WeChat Pay, and settles what it says.
#[derive(Debug)]
pub struct SettlingClient {
    client: Client,
    payee: Payee,
    signing: Secret<SigningSecret>,
    platform_keys: Keyring,
    settlement: Settlement,
    clock: Clock,
}

impl SettlingClient {
    /// A client for this merchant, from `SIGNING_SECRET_ARN`, WeChat Pay's keys and its hosts.
    pub fn from_environment(
        environment: &mut Environment<'_>,
        merchant: &Merchant,
        table: &Table,
        settlement: Settlement,
    ) -> Self {
        let signing = Secret::from_environment(environment, "SIGNING_SECRET_ARN");
        let platform_keys = Keyring::from_environment(environment, table);
        let endpoints = environment.endpoints();
        let process = environment.process();
        Self {
            client: Client::new(process.transport.clone(), endpoints, merchant.payee()),
            payee: merchant.payee(),
            signing,
            platform_keys,
            settlement,
            clock: process.clock.clone(),
        }
    }

    /// The secrets that it signs and verifies with.
    pub const fn secrets(&self) -> [&dyn AnySecret; 2] {
        [&self.signing, &self.platform_keys]
    }

    /// Begins to open a connection to WeChat Pay, for who will ask it soon ([`Client::open`]).
    pub fn open(&self) {
        self.client.open();
    }

    /// Whose orders it asks about.
    pub const fn payee(&self) -> &Payee {
        &self.payee
    }

    /// What WeChat Pay's signatures are checked with.
    pub const fn keyring(&self) -> &Keyring {
        &self.platform_keys
    }

    /// The keys in force.
    ///
    /// # Errors
    /// A secret is not usable.
    async fn keys(&self) -> Result<Keys, SecretError> {
        let (signing, platform_keys) = tokio::join!(self.signing.get(), self.platform_keys.get());
        match (signing, platform_keys) {
            (Ok(signing), Ok(platform_keys)) => Ok(Keys {
                merchant: signing.key(),
                platform: platform_keys,
            }),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(signing), Err(platform_keys)) => Err(signing.and(platform_keys)),
        }
    }

    /// Places the order at WeChat Pay, and signs what it is paid with; the same order may be placed
    /// again, and gives something payable again.
    ///
    /// # Errors
    /// A refusal moves no state: WeChat Pay may know the order nevertheless.
    pub async fn prepay(
        &self,
        request: &PrepayRequest<'_>,
        deadline: &Deadline,
    ) -> Result<PayParameters, SettlingError> {
        let keys = self.keys().await?;
        let prepaid = self
            .client
            .prepay(&self.call(&keys, deadline), request)
            .await;
        let prepaid = self.refresh_keys_after(prepaid).await?.into_inner();
        Ok(PayParameters::of(
            prepaid,
            request.terms(),
            &keys.merchant,
            self.clock.wall(),
            &random::nonce(),
        ))
    }

    /// Signs anew what the order is paid with, out of what WeChat Pay gave a moment ago (the text of
    /// [`PayParameters::given`]).
    ///
    /// # Errors
    /// The keys are not usable.
    pub async fn pay_again(
        &self,
        terms: &Terms,
        given: String,
    ) -> Result<PayParameters, SecretError> {
        let keys = self.keys().await?;
        Ok(PayParameters::of(
            Prepaid::kept(terms.trade_type, given),
            terms,
            &keys.merchant,
            self.clock.wall(),
            &random::nonce(),
        ))
    }

    /// Asks about an order by its number, and settles the answer.
    ///
    /// # Errors
    /// WeChat Pay gave no usable answer, or refused with something else than a signed "no such
    /// order"; the record stands.
    pub async fn ask_order(
        &self,
        order_id: &OrderId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<AskedOrder, SettlingError> {
        let keys = self.keys().await?;
        let answer = self
            .client
            .query_order(&self.call(&keys, deadline), order_id)
            .await;
        let error = match self.refresh_keys_after(answer).await {
            Ok(report) => {
                return Ok(AskedOrder {
                    heard: Heard::Report,
                    settled: self.settle_order(&report, line).await?,
                });
            }
            Err(error) => error,
        };
        let Some(absence) = error.absence() else {
            return Err(error.into());
        };
        let now = self.clock.business();
        let settled = self
            .settlement
            .absent(order_id, &self.payee, &absence, now)
            .await?;
        note_settled(&settled, line);
        line.field("wechatpay.trade_state", "ORDER_NOT_EXIST");
        Ok(AskedOrder {
            heard: Heard::Absence,
            settled,
        })
    }

    /// Asks about a payment by WeChat Pay's number of it, and settles the answer.
    ///
    /// # Errors
    /// As [`Self::ask_order`]; here a signed "no such order" is an error, since nothing of ours is
    /// named by it.
    pub async fn ask_transaction(
        &self,
        transaction_id: &TransactionId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Settled<StoredOrder>, SettlingError> {
        let keys = self.keys().await?;
        let answer = self
            .client
            .query_transaction(&self.call(&keys, deadline), transaction_id)
            .await;
        let report = self.refresh_keys_after(answer).await?;
        self.settle_order(&report, line).await
    }

    /// Stores the intention to close the order; one of another merchant's is a contradiction.
    ///
    /// # Errors
    /// The table is unavailable.
    pub async fn begin_close(
        &self,
        order_id: &OrderId,
        line: &mut LogLine,
    ) -> Result<Settled<StoredOrder>, SettlingError> {
        let now = self.clock.business();
        let begun = self.settlement.begin_close(order_id, &self.payee, now);
        let begun = begun.await?;
        note_settled(&begun, line);
        Ok(begun)
    }

    /// Closes the order at WeChat Pay and settles it; the intention must be stored before.
    ///
    /// # Errors
    /// WeChat Pay gave no usable answer or refused; the record stands.
    pub async fn close_order(
        &self,
        order_id: &OrderId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Settled<StoredOrder>, SettlingError> {
        let keys = self.keys().await?;
        let answer = self
            .client
            .close(&self.call(&keys, deadline), order_id)
            .await;
        let closed = self.refresh_keys_after(answer).await?;
        let settled = self
            .settlement
            .closed(order_id, &self.payee, &closed, self.clock.business())
            .await?;
        note_settled(&settled, line);
        Ok(settled)
    }

    /// The refund with proof of its terms and of how far it was decided, to be stored with it.
    ///
    /// # Errors
    /// The key is not usable.
    pub async fn vouch(&self, refund: Refund, stage: Stage) -> Result<Refund, SecretError> {
        let signing = self.signing.get().await?;
        Ok(signing.refund_mac_keys().vouch(refund, stage))
    }

    /// Checks that a refund on record was written by who may send refunds: one that a payer asked for
    /// before it is approved, one that is approved before anything of it goes to WeChat Pay. The latter
    /// must have its number's guard, too, and one that is sent a guard that is not burnt.
    ///
    /// # Errors
    /// It is not, or that cannot be found out.
    pub async fn authenticate(
        &self,
        refund: &Refund,
        purpose: Purpose,
    ) -> Result<(), SettlingError> {
        let stage = match purpose {
            Purpose::Approval => Stage::Requested,
            Purpose::Sending | Purpose::Application => Stage::Approved,
        };
        if !self
            .signing
            .get()
            .await?
            .refund_mac_keys()
            .vouches(refund, stage)
        {
            // It may be vouched for with a key that another process read before this one did.
            let signing = self.signing.refreshed().await?;
            if !signing.refund_mac_keys().vouches(refund, stage) {
                return Err(NotAuthentic::Mac.into());
            }
        }
        let guarded = match purpose {
            Purpose::Approval => true,
            Purpose::Sending => {
                let guard = self.settlement.own_guard(refund).await?;
                guard.is_some_and(|guard| !guard.is_burnt)
            }
            // What WeChat Pay took although it was withdrawn has a burnt number.
            Purpose::Application => self.settlement.own_guard(refund).await?.is_some(),
        };
        if guarded {
            Ok(())
        } else {
            Err(NotAuthentic::Guard.into())
        }
    }

    /// Sends a reserved refund that is authentic and not withdrawn, with the same bytes as ever, and settles
    /// the answer.
    ///
    /// A withdrawal that comes between this last look and the bytes finds them on their way. It frees
    /// nothing by itself: WeChat Pay must say twice that it has no such refund, minutes apart and later
    /// than anything can be on its way (`Refund::observe_absence`), and what it took all the same wins.
    ///
    /// # Errors
    /// WeChat Pay gave no usable answer or refused; the reservation stands.
    pub async fn send_refund(
        &self,
        refund: &Refund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Settled<StoredRefund>, SettlingError> {
        self.authenticate(refund, Purpose::Sending).await?;
        let keys = self.keys().await?;
        let sent = self
            .client
            .refund(&self.call(&keys, deadline), refund)
            .await;
        let report = self.refresh_keys_after(sent).await?;
        let settled = self
            .settlement
            .refund_answer(refund, &report, self.clock.business())
            .await?;
        note_refund(&settled, line);
        Ok(settled.settled)
    }

    /// Asks about a refund, and settles what WeChat Pay reports.
    ///
    /// # Errors
    /// WeChat Pay gave no usable answer or refused, also with "no such refund"; the record stands.
    pub async fn ask_refund(
        &self,
        refund: &Refund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Settled<StoredRefund>, SettlingError> {
        let (settled, _) = self.hear_refund(refund, deadline, line).await?;
        Ok(settled)
    }

    /// Asks about a refund of this order that never left from the record. Where WeChat Pay knows it, the order
    /// counts as refunded elsewhere.
    ///
    /// # Errors
    /// As [`Self::ask_refund`].
    pub async fn ask_refund_elsewhere(
        &self,
        order_id: &OrderId,
        refund_id: &RefundId,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Settled<StoredOrder>, SettlingError> {
        let keys = self.keys().await?;
        let call = self.call(&keys, deadline);
        let sub_mchid = self.payee.sub_mchid.as_ref();
        let answer = self.client.query_refund(&call, refund_id, sub_mchid).await;
        let report = self.refresh_keys_after(answer).await?;
        let now = self.clock.business();
        let settled = self
            .settlement
            .refund_elsewhere(order_id, &report, now)
            .await?;
        note_settled(&settled, line);
        if let Settled::Changed(_) = settled {
            note_elsewhere(line);
        }
        Ok(settled)
    }

    /// Asks about a refund and settles the answer, which is given, too.
    async fn hear_refund(
        &self,
        refund: &Refund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<(Settled<StoredRefund>, Signed<RefundReport>), SettlingError> {
        let keys = self.keys().await?;
        let answer = self
            .client
            .query_refund(
                &self.call(&keys, deadline),
                &refund.refund_id,
                refund.sub_mchid.as_ref(),
            )
            .await;
        let report = self.refresh_keys_after(answer).await?;
        let now = self.clock.business();
        let settled = self.settlement.refund_answer(refund, &report, now).await?;
        note_refund(&settled, line);
        Ok((settled.settled, report))
    }

    /// Applies for the end of an abnormal refund, if WeChat Pay says right now that it is abnormal, and
    /// settles the answer. Where none comes, or a refusal, it is asked whether it took the application.
    ///
    /// # Errors
    /// The record is not authentic; WeChat Pay refused, or it is unknown whether it took the application:
    /// the same application again finds out.
    pub async fn apply_abnormal(
        &self,
        stored: StoredRefund,
        application: &AbnormalRefund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<Applied, SettlingError> {
        let refund = &stored.refund;
        self.authenticate(refund, Purpose::Application).await?;
        let (settled, heard) = self.hear_refund(refund, deadline, line).await?;
        let stored = match settled {
            Settled::Changed(stored) | Settled::Unchanged(stored) => stored,
            // What does not fit the record is no reason to send anything.
            Settled::Contradiction(stored, _) => return Ok(Applied::NotAbnormal(stored)),
            Settled::Unknown => return Ok(Applied::NotAbnormal(stored)),
        };
        match stored.refund.application(&heard.get().status) {
            Application::Send => {}
            Application::Taken => return Ok(Applied::Already(stored)),
            Application::NotAbnormal => return Ok(Applied::NotAbnormal(stored)),
        }
        let refund = &stored.refund;
        let keys = self.keys().await?;
        let call = self.call(&keys, deadline);
        let known_as = &heard.get().wechatpay_refund_id;
        let sent = self
            .client
            .apply_abnormal(&call, refund, known_as, application)
            .await;
        let error = match self.refresh_keys_after(sent).await {
            Ok(report) => {
                let now = self.clock.business();
                let settled = self.settlement.refund_answer(refund, &report, now).await?;
                note_refund(&settled, line);
                return Ok(Applied::Now(settled.settled.record().unwrap_or(stored)));
            }
            Err(error) => error,
        };
        match self.hear_refund(refund, deadline, line).await {
            Ok((settled, heard)) if refund.was_applied_for(&heard.get().status) => {
                note_call(&error, line);
                // A refusal is of an application that came after another; without an answer nobody knows.
                Ok(Applied::Already(settled.record().unwrap_or(stored)))
            }
            Ok(_) | Err(_) => Err(error.into()),
        }
    }

    /// As [`Self::ask_refund`], and settles a signed "no such refund" of one that is or was withdrawn:
    /// for the sweep, the only one that may release an amount for it and burn its number.
    ///
    /// # Errors
    /// As [`Self::ask_refund`], but for that "no such refund".
    pub async fn follow_refund(
        &self,
        refund: &Refund,
        deadline: &Deadline,
        line: &mut LogLine,
    ) -> Result<AskedRefund, SettlingError> {
        let error = match self.ask_refund(refund, deadline, line).await {
            Ok(settled) => {
                let heard = Heard::Report;
                return Ok(AskedRefund { heard, settled });
            }
            Err(SettlingError::Call(error)) => error,
            Err(error) => return Err(error),
        };
        let counts = refund.state.was_withdrawn();
        let Some(absence) = error.refund_absence().filter(|_| counts) else {
            return Err(error.into());
        };
        let now = self.clock.business();
        let absent = self
            .settlement
            .refund_absent(refund, &self.payee, &absence, now);
        let settled = absent.await?;
        note_refund(&settled, line);
        line.field("wechatpay.status", "RESOURCE_NOT_EXISTS");
        Ok(AskedRefund {
            heard: Heard::Absence,
            settled: settled.settled,
        })
    }

    /// Applies for a bill of a day.
    ///
    /// # Errors
    /// The keys are not usable, or WeChat Pay offers none.
    pub async fn bill(
        &self,
        kind: BillKind,
        day: BeijingDay,
        deadline: &Deadline,
    ) -> Result<Signed<BillOffer>, SettlingError> {
        let keys = self.keys().await?;
        let call = self.call(&keys, deadline);
        let offered = self.client.bill(&call, kind, day).await;
        Ok(self.refresh_keys_after(offered).await?)
    }

    /// Downloads an offered bill into `spool`, which is worth nothing until its hash held.
    ///
    /// # Errors
    /// As [`Client::download`]; and the keys may not be usable.
    pub async fn download(
        &self,
        offer: &Signed<BillOffer>,
        spool: &mut impl std::io::Write,
        deadline: &Deadline,
    ) -> Result<u64, FetchError> {
        let keys = self.keys().await?;
        let call = Call {
            time_left: deadline.left(&self.clock, DOWNLOAD_TIME_MAX),
            ..self.call(&keys, deadline)
        };
        Ok(self.client.download(&call, offer, spool).await?)
    }

    /// Downloads WeChat Pay's platform certificates; `None` where none are used.
    ///
    /// # Errors
    /// WeChat Pay gave no usable answer, or one that is not believed.
    pub async fn download_certificates(
        &self,
        trust: Trust,
        deadline: &Deadline,
    ) -> Result<Option<SealedCertificates>, SettlingError> {
        let Some(apiv3_keys) = self.platform_keys.apiv3_keys().await? else {
            return Ok(None);
        };
        let keys = Keys {
            merchant: self.signing.get().await?.key(),
            platform: self.platform_keys.get_or_none().await?,
        };
        let answer = self
            .client
            .certificates(&self.call(&keys, deadline), &apiv3_keys, trust)
            .await?;
        Ok(Some(SealedCertificates {
            answer: answer.into_inner(),
            downloaded_at: self.clock.business(),
        }))
    }

    async fn settle_order(
        &self,
        report: &Signed<OrderReport>,
        line: &mut LogLine,
    ) -> Result<Settled<StoredOrder>, SettlingError> {
        let settled = self.settlement.order(report, self.clock.business()).await?;
        note_order(&settled, report, line);
        Ok(settled)
    }

    fn call<'a>(&'a self, keys: &'a Keys, deadline: &Deadline) -> Call<'a> {
        Call {
            keys,
            clock: &self.clock,
            time_left: deadline.left(&self.clock, CALL_MAX),
        }
    }

    /// Reads newer keys where an answer hints that there are: one that does not verify, or a
    /// refusal of our own signature. The call is not made again; its caller decides that.
    async fn refresh_keys_after<T>(&self, outcome: Result<T, CallError>) -> Result<T, CallError> {
        match &outcome {
            Err(error) if error.is_unverified() => {
                self.platform_keys.refresh_after(error).await;
            }
            Err(error) if error.is_unauthorized() => {
                let _ = self.signing.refreshed().await;
            }
            Ok(_) | Err(_) => {}
        }
        outcome
    }
}
