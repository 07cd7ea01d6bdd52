//! Notices that wait until a later one has been sent (the fault `notice_reordered`).

use crate::ledger::Notice;
use crate::state::State;

/// How far back a held notice is looked for.
const HELD_LOOKBACK: usize = 1_000;

/// The notices before one, as far back as one may be held.
pub(super) fn recent(state: &State, before: u64) -> impl Iterator<Item = (&u64, &Notice)> {
    state.notices.range(..before).rev().take(HELD_LOOKBACK)
}

/// A notice that let another one go first follows it now.
pub(super) fn release_held(state: &mut State, after: u64, now_ms: i64) {
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
