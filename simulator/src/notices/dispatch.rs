//! How the next attempt of a notice goes out: genuine or distorted by a fault, and under which key.

use std::sync::Arc;

use crate::beijing::SECOND_MS;
use crate::config::Mode;
use crate::faults::Target;
use crate::handle::SimulatorHandle;
use crate::ledger::{Copy, Distortion, Notice, Progress, Timer};
use crate::merchants::MerchantWithKeys;
use crate::state::State;

const COPY_AFTER_MS: i64 = SECOND_MS;

/// Why a notice is not sent that no key can seal.
pub(super) const KEYLESS: &str = "the merchant has no APIv3 key: WeChat Pay sends nothing";

/// An attempt about to be made.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) notice: Notice,
    pub(crate) merchant: Arc<MerchantWithKeys>,
    pub(crate) apiv3_key: String,
    pub(crate) distortion: Distortion,
    pub(crate) copy: Copy,
    pub(super) by_public_key: f64,
    pub(super) by_new_certificate: f64,
}

/// Decides how the next attempt of a notice goes out.
pub(crate) fn prepare(
    handle: &Arc<SimulatorHandle>,
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
    let subject = notice.subject(state.place_of(&notice.mchid), copy);
    let target = Target {
        operation: "notice",
        out_trade_no: Some(&notice.out_trade_no),
        subject: &subject,
    };
    let latest = notice
        .latest
        .or(notice.attempts.last().map(|attempt| attempt.distortion));
    let just_probed = latest == Some(Distortion::Probe);
    let distortion = if copy == Copy::Resent {
        // Who asks for it wants it to arrive, and no die is thrown that others count on.
        Distortion::Genuine
    } else if notice.lost_for_good {
        Distortion::Lost
    } else {
        // The retry after a probe is never probed (docs/simulator.md, `probes`).
        let fits = |candidate| candidate != Distortion::Probe || !just_probed;
        let mut strikes = |name| state.faults.strikes(name, target);
        Distortion::FAULTS
            .into_iter()
            .filter(|(_, candidate)| fits(*candidate))
            .find(|(name, _)| strikes(name))
            .map_or(Distortion::Genuine, |(_, candidate)| candidate)
    };
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
    if copy != Copy::Resent
        && let Some(kept) = state.notices.get_mut(&seq)
    {
        kept.latest = Some(distortion);
        if copy == Copy::Scheduled {
            kept.held = false;
            kept.on_its_way = true;
            copied = std::mem::take(&mut kept.copied);
        }
    }
    // Counted from when this attempt was due, as its retries are.
    if copied && let Some(due_ms) = notice.next_due_ms {
        let copy_ms = due_ms + handle.scaled(COPY_AFTER_MS);
        state.timers.insert((copy_ms, Timer::NoticeCopy(seq)));
    }
    Some(Dispatch {
        notice,
        merchant,
        apiv3_key,
        distortion,
        copy,
        by_public_key,
        by_new_certificate,
    })
}
