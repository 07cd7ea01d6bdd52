//! What shows that something is under way: on a terminal only, and never in an answer.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often it turns.
const TURN: Duration = Duration::from_millis(120);

/// A sign that something is under way, until it is dropped.
#[derive(Debug)]
pub struct Waiting(ProgressBar);

impl Waiting {
    /// Says what is waited for.
    pub fn for_(what: impl Into<String>) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what.into());
        // Without a terminal at standard error it draws nothing.
        bar.enable_steady_tick(TURN);
        Self(bar)
    }

    /// Something that is counted, such as bytes or articles; `of` says how many there will be.
    pub fn counting(what: impl Into<String>, of: u64) -> Self {
        let bar = ProgressBar::new(of).with_message(what.into());
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// One more of what is counted.
    pub fn one_more(&self) {
        self.0.inc(1);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
