//! What a handler works with.

use std::sync::Arc;

use super::about::About;
use super::request::{Caller, Request};
use crate::faults::Target;
use crate::state::State;
use crate::world::World;

/// What a handler works with; the lock is held.
pub(crate) struct Context<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) state: &'a mut State,
    pub(crate) caller: &'a Caller,
    pub(crate) request: &'a Request,
    pub(crate) now_ms: i64,
    pub(crate) about: &'a About,
}

impl Context<'_> {
    /// Whether a fault strikes this request.
    pub(crate) fn fault(&mut self, name: &'static str, operation: &str) -> bool {
        let target = Target {
            operation,
            out_trade_no: self.about.out_trade_no.as_deref(),
            subject: &self.about.subject,
        };
        self.state.faults.strikes(name, target)
    }
}
