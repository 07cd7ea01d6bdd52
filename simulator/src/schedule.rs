//! What time does: closes orders, ends refunds, sends notices when they are due. The task that
//! waits for it and the call that moves business time on are here, above everything they set in
//! motion.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::handle::SimulatorHandle;
use crate::ledger::{Copy, OrderState, Timer};
use crate::notices::{self, Dispatch};
use crate::refund_ending;

/// The timer task looks at the clock at least this often, in case the system's clock was set.
const NAP_MAX: Duration = Duration::from_secs(60);

/// Moves business time on and does at once what became due; notices are sent in the background.
/// Gives whether it moved: not back, and not too far ahead.
pub(crate) fn advance(handle: &Arc<SimulatorHandle>, seconds: i64) -> bool {
    if !handle.move_on(seconds) {
        return false;
    }
    settle_due(handle);
    true
}

/// Does everything that is due by now.
pub(crate) fn settle_due(handle: &Arc<SimulatorHandle>) {
    if handle.is_stopping() {
        return;
    }
    let mut dispatches: Vec<Dispatch> = Vec::new();
    {
        let now_ms = handle.now_ms();
        let mut state = handle.lock();
        while state
            .timers
            .first()
            .is_some_and(|(due_ms, _)| *due_ms <= now_ms)
        {
            let Some((due_ms, timer)) = state.timers.pop_first() else {
                break;
            };
            match timer {
                Timer::OrderCloses(key) => {
                    let open = state.orders.get(&key).cloned();
                    if let Some(mut order) = open
                        && matches!(order.state, OrderState::NotPaid)
                    {
                        order.state = OrderState::Closed { at_ms: due_ms };
                        state.put_order(order);
                    }
                }
                Timer::RefundEnds(key) => {
                    refund_ending::end_refund_when_due(handle, &mut state, &key);
                }
                Timer::NoticeDue(seq) => {
                    dispatches.extend(notices::prepare(handle, &mut state, seq, Copy::Scheduled));
                }
                Timer::NoticeCopy(seq) => {
                    dispatches.extend(notices::prepare(handle, &mut state, seq, Copy::Extra));
                }
            }
        }
        // While the state is locked, so that nobody finds these neither due nor on their way.
        handle
            .in_flight
            .fetch_add(dispatches.len(), Ordering::SeqCst);
    }
    send(handle, dispatches);
    handle.wake();
}

/// Sends a notice once more, at once and genuine, whatever became of it and whatever faults are on.
/// Gives whether it could: there is no such notice, or the merchant has no APIv3 key to seal it with.
pub(crate) fn resend(handle: &Arc<SimulatorHandle>, seq: u64) -> bool {
    let dispatch = {
        let mut state = handle.lock();
        let dispatch = notices::prepare(handle, &mut state, seq, Copy::Resent);
        let sent = usize::from(dispatch.is_some());
        handle.in_flight.fetch_add(sent, Ordering::SeqCst);
        dispatch
    };
    let sent = dispatch.is_some();
    send(handle, dispatch);
    sent
}

/// Sends what is counted as on its way already.
fn send(handle: &Arc<SimulatorHandle>, dispatches: impl IntoIterator<Item = Dispatch>) {
    for dispatch in dispatches {
        let sender = Arc::clone(handle);
        handle.runtime.spawn(async move {
            notices::deliver(&sender, dispatch).await;
            // A notice that was held may be due now.
            settle_due(&sender);
            sender.in_flight.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Runs until the simulator stops: sleeps until something is due, then does it.
pub(crate) async fn run_timers(handle: Arc<SimulatorHandle>) {
    loop {
        let next_ms = handle.lock().timers.first().map(|(due_ms, _)| *due_ms);
        let nap = next_ms.map_or(NAP_MAX, |due_ms| {
            let left = u64::try_from(due_ms - handle.now_ms()).unwrap_or(0);
            Duration::from_millis(left).min(NAP_MAX)
        });
        // Either ending of the nap leads to the same look at the clock.
        let _ = tokio::time::timeout(nap, handle.woken()).await;
        let due = handle
            .lock()
            .timers
            .first()
            .is_some_and(|(at, _)| *at <= handle.now_ms());
        if due {
            settle_due(&handle);
        }
    }
}
