//! How a refund ends: by itself after the delay that the behaviour `refund_delay_s` sets, or by a
//! control call.

use std::sync::Arc;

use crate::handle::SimulatorHandle;
use crate::ledger::{Refund, RefundKey, RefundStatus};
use crate::notices;
use crate::state::State;

/// Ends a refund whose time has come, as it was decided when it was accepted.
pub(crate) fn end_refund_when_due(
    handle: &Arc<SimulatorHandle>,
    state: &mut State,
    key: &RefundKey,
) {
    let Some(refund) = state.refunds.get(key) else {
        return;
    };
    if refund.status != RefundStatus::Processing || refund.due_ms.is_none() {
        return;
    }
    let outcome = refund.outcome;
    end_refund(handle, state, refund.clone(), outcome);
}

/// Ends a refund one way and sends its notice. A closed one frees what it held.
pub(crate) fn end_refund(
    handle: &Arc<SimulatorHandle>,
    state: &mut State,
    mut refund: Refund,
    outcome: RefundStatus,
) -> Refund {
    let now_ms = handle.now_ms();
    refund.status = outcome;
    refund.due_ms = None;
    if outcome == RefundStatus::Success {
        refund.success_ms = Some(now_ms);
        if refund.to_card {
            refund.channel = "OTHER_BANKCARD".to_owned();
        }
    }
    if outcome == RefundStatus::Closed {
        refund.closed_ms = Some(now_ms);
        let merchant = state.merchants.get(&refund.key.mchid).cloned();
        if let Some(merchant) = merchant
            && let Some(balance) = merchant.record.balance_fen
        {
            // A balance may have been set to any number; a full one stays full.
            let balance = balance.saturating_add(refund.refund_fen);
            crate::merchant_platform::set_balance(state, &refund.key.mchid, balance);
        }
    }
    state.put_refund(refund.clone());
    notices::announce_refund(handle, state, &refund);
    refund
}
