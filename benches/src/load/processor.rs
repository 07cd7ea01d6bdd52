//! What processes use, as the kernel accounts for it: processor time, time spent waiting for the
//! processor, memory.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A reading of some processes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// On the processor.
    pub(crate) ran: Duration,
    /// Ready to run and not on it, because something else was.
    pub(crate) waited: Duration,
}

impl Usage {
    /// What these processes used so far; those of threads that ended is lost, of which a function has
    /// none.
    pub(crate) fn of(processes: &[u32]) -> Self {
        let mut sum = Self::default();
        for thread in processes.iter().flat_map(|id| threads(*id)) {
            let text = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            let mut numbers = text.split(' ').map(|number| number.trim().parse().ok());
            let mut next = || Duration::from_nanos(numbers.next().flatten().unwrap_or_default());
            sum.ran += next();
            sum.waited += next();
        }
        sum
    }

    /// What was used since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            ran: self.ran.saturating_sub(earlier.ran),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

/// The processor time of this process, threads that ended included, to the hundredth of a second.
pub(crate) fn own() -> Duration {
    // Clock ticks of /proc are hundredths of a second on every Linux that Lambda or this runs on.
    const TICKS_PER_SECOND: u64 = 100;
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    // utime and stime are the 14th and 15th field; the name was the second.
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

/// The memory that these processes hold now, in KiB (VmRSS).
pub(crate) fn resident_kib(processes: &[u32]) -> u64 {
    let of = |id: &u32| -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    };
    processes.iter().filter_map(of).sum()
}

/// The load average of the last minute.
pub(crate) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|load| load.parse().ok());
    first.unwrap_or_default()
}

/// A stretch of time in which something is measured.
#[derive(Debug)]
pub(crate) struct Window {
    began: Instant,
    own: Duration,
    system: Usage,
    processes: Vec<u32>,
}

/// What a window showed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) elapsed: Duration,
    pub(crate) generator: Duration,
    pub(crate) system: Usage,
}

impl Window {
    /// Begins one over these processes and this one.
    pub(crate) fn open(processes: Vec<u32>) -> Self {
        Self {
            began: Instant::now(),
            own: own(),
            system: Usage::of(&processes),
            processes,
        }
    }

    /// What was used until now.
    pub(crate) fn used(&self) -> Used {
        Used {
            elapsed: self.began.elapsed(),
            generator: own().saturating_sub(self.own),
            system: Usage::of(&self.processes).since(self.system),
        }
    }
}

impl Used {
    /// A part of one processor, in per cent.
    pub(crate) fn percent(&self, part: Duration) -> f64 {
        part.as_secs_f64() / self.elapsed.as_secs_f64().max(1e-9) * 100.0
    }
}

fn threads(process: u32) -> Vec<PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.map(|task| task.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Usage, own, resident_kib};

    #[test]
    fn this_process_uses_something() {
        // The tests beside this one may have used a hundredth of a second before it begins.
        while own().is_zero() {
            std::hint::spin_loop();
        }
        let this = [std::process::id()];
        assert!(!Usage::of(&this).ran.is_zero());
        assert!(resident_kib(&this) > 0);
    }
}
