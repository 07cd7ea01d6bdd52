//! What a run draws and writes down: faults from the seed, the trace and its hash, promises that were
//! broken, and what was covered.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use crate::fault::{Fault, Place, Switches};
use crate::witness::Witness;

/// How often each fault met each place.
pub type Struck = BTreeMap<(Fault, Place), u64>;

/// Which states led to which, of orders and of refunds: `order NOTPAY SUCCESS`.
pub type Edges = BTreeMap<String, u64>;

/// What a run has drawn and seen.
#[derive(Debug)]
pub struct Weather {
    seed: u64,
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rng: Rng,
    switches: Option<Switches>,
    hash: DefaultHasher,
    lines: Option<Vec<String>>,
    broken: Option<String>,
    struck: Struck,
    /// Whether any fault met anything in this step.
    struck_in_step: bool,
    edges: Edges,
    witness: Witness,
    /// A fault that an operation brings itself: it strikes there after so many calls.
    forced: Option<(Fault, Place, u32)>,
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The hash of the trace.
    pub hash: u64,
    /// The trace, if it was kept.
    pub lines: Vec<String>,
    /// The first promise that was broken.
    pub broken: Option<String>,
    /// Which faults met which places.
    pub struck: Struck,
    /// Which states led to which.
    pub edges: Edges,
}

impl Weather {
    /// Nothing was seen yet; `keep` keeps the trace for a person.
    pub fn new(seed: u64, switches: Switches, keep: bool) -> Self {
        Self {
            seed,
            started: Instant::now(),
            inner: Mutex::new(Inner {
                rng: Rng::with_seed(seed),
                switches: Some(switches),
                hash: DefaultHasher::new(),
                lines: keep.then(Vec::new),
                broken: None,
                struck: Struck::new(),
                struck_in_step: false,
                edges: Edges::new(),
                witness: Witness::default(),
                forced: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the run has lasted by its own clock, in milliseconds.
    pub fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Draws from the step's own number from now on, and the pauses of this thread with it.
    pub fn begin_step(&self, id: u32) {
        let mixed = self
            .seed
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(u64::from(id).wrapping_mul(0xd1b5_4a32_d192_ed03));
        let mut inner = self.lock();
        inner.rng = Rng::with_seed(mixed);
        inner.forced = None;
        inner.struck_in_step = false;
        drop(inner);
        fastrand::seed(mixed ^ 0x00ff_00ff_00ff_00ff);
    }

    /// Whether this seed is one of every so many.
    pub const fn is_one_of(&self, every: u64) -> bool {
        self.seed.is_multiple_of(every)
    }

    /// No faults any more.
    pub fn heal(&self) {
        self.lock().switches = None;
    }

    /// Lets this fault strike there once, after so many calls of this step.
    pub(crate) fn force(&self, fault: Fault, place: Place, after: u32) {
        self.lock().forced = Some((fault, place, after));
    }

    /// The fault that meets a call there, if one does.
    pub fn strike(&self, place: Place) -> Option<Fault> {
        let mut inner = self.lock();
        let Inner {
            rng,
            switches,
            struck,
            forced,
            ..
        } = &mut *inner;
        if let Some((fault, _, after)) = forced.as_mut().filter(|(_, at, _)| *at == place) {
            let fault = *fault;
            if *after == 0 {
                *forced = None;
                return Some(fault);
            }
            *after -= 1;
            return None;
        }
        let switches = switches.as_ref()?;
        let met = switches.aim().and_then(|aim| struck.get(&aim).copied());
        switches.strike(place, met.unwrap_or(0), rng)
    }

    /// A fault did meet a call there.
    pub fn struck(&self, fault: Fault, place: Place) {
        let mut inner = self.lock();
        *inner.struck.entry((fault, place)).or_default() += 1;
        inner.struck_in_step = true;
        drop(inner);
        self.note(&format!("    {} at {}", fault.as_str(), place.as_str()));
    }

    /// Whether a fault explains that a request runs out of time: one of this step, or a clock that is wrong.
    pub(crate) fn explains_lateness(&self) -> bool {
        let struck_in_step = self.lock().struck_in_step;
        struck_in_step || self.has_met(Fault::Skew)
    }

    /// Whether this fault struck anywhere.
    pub(crate) fn has_met(&self, wanted: Fault) -> bool {
        let inner = self.lock();
        inner.struck.keys().any(|(fault, _)| *fault == wanted)
    }

    /// A number below `end`.
    pub fn draw(&self, end: u64) -> u64 {
        self.lock().rng.u64(..end.max(1))
    }

    /// How long a message is on its way.
    pub fn latency(&self) -> Duration {
        Duration::from_millis(1 + self.draw(9))
    }

    /// Writes a line into the trace.
    pub fn note(&self, line: &str) {
        let at = self.elapsed_ms();
        let mut inner = self.lock();
        (at, line).hash(&mut inner.hash);
        if let Some(lines) = &mut inner.lines {
            lines.push(format!("{at:>9} {line}"));
        }
    }

    /// A promise was broken; the first one counts.
    pub fn broken(&self, promise: String) {
        self.note(&format!("BROKEN: {promise}"));
        self.lock().broken.get_or_insert(promise);
    }

    /// The first promise that was broken.
    pub fn first_broken(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// A record came from one state to another.
    pub fn edge(&self, edge: String) {
        *self.lock().edges.entry(edge).or_default() += 1;
    }

    /// Tells the witness what was seen, and at which millisecond; it may find a promise broken.
    pub(crate) fn seen(&self, what: impl FnOnce(&mut Witness, i64) -> Result<(), String>) {
        let at = self.elapsed_ms();
        let judged = what(&mut self.lock().witness, at);
        if let Err(promise) = judged {
            self.broken(promise);
        }
    }

    /// Whether WeChat Pay refused a refund since it was last tried again.
    pub(crate) fn was_refused(&self, refund: &str) -> bool {
        self.lock().witness.was_refused(refund)
    }

    /// What is left.
    pub fn finish(&self) -> Outcome {
        let mut inner = self.lock();
        Outcome {
            hash: inner.hash.finish(),
            lines: inner.lines.take().unwrap_or_default(),
            broken: inner.broken.take(),
            struck: std::mem::take(&mut inner.struck),
            edges: std::mem::take(&mut inner.edges),
        }
    }
}
