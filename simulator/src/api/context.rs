//! What a handler works with.

use std::sync::Arc;

use super::request::{Caller, Request};
use super::subject::RequestSubject;
use crate::faults::Target;
use crate::handle::SimulatorHandle;
use crate::state::State;

/// What a handler works with; the lock is held.
pub(crate) struct Context<'a> {
    pub(crate) handle: &'a Arc<SimulatorHandle>,
    pub(crate) state: &'a mut State,
    pub(crate) caller: &'a Caller,
    pub(crate) request: &'a Request,
    pub(crate) now_ms: i64,
    pub(crate) subject: &'a RequestSubject,
}

impl Context<'_> {
    /// Whether a fault strikes this request.
    pub(crate) fn fault(&mut self, name: &'static str, operation: &str) -> bool {
        let target = Target {
            operation,
            out_trade_no: self.subject.out_trade_no.as_deref(),
            subject: &self.subject.draw_key,
        };
        self.state.faults.strikes(name, target)
    }
}
