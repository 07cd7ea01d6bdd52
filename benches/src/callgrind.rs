//! Instructions, counted by callgrind.
//!
//! On any machine with AVX2 valgrind shows programs one and the same processor, a Haswell without ADX
//! and SHA, so AWS-LC and the C library choose the same code everywhere and two machines count alike.
//! What still differs, the C library's version and valgrind's, is recorded with the numbers. Kernel
//! time, page faults and AVX-512 are not seen: that is what the clocks are for.
//!
//! Programs run some fifty times slower under it. So that their timeouts do not go off, which would
//! make them do more than they do, their monotonic clock is slowed down too (`slow_clock.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// Callgrind, ready to count.
#[derive(Clone, Debug)]
pub(crate) struct Callgrind {
    /// Where counts are kept.
    folder: PathBuf,
    slow_clock: PathBuf,
    pub(crate) setting: Setting,
}

/// What counts depend on besides the binary.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Setting {
    pub(crate) valgrind: String,
    pub(crate) glibc: String,
}

impl Callgrind {
    /// Makes ready; `None` where there is no valgrind.
    pub(crate) fn ready(root: &Path, folder: PathBuf) -> Result<Option<Self>> {
        let Some(setting) = setting() else {
            return Ok(None);
        };
        std::fs::create_dir_all(&folder)?;
        let slow_clock = folder.join("libslow_clock.so");
        // The compiler that AWS-LC was built with a moment ago.
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let status = Command::new(&compiler)
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(&slow_clock)
            .arg(root.join("benches/slow_clock.c"))
            .status()
            .map_err(|error| format!("there is no C compiler {}: {error}", compiler.display()))?;
        if !status.success() {
            return Err("benches/slow_clock.c cannot be compiled".into());
        }
        Ok(Some(Self {
            folder,
            slow_clock,
            setting,
        }))
    }

    /// The file of counts for a name.
    pub(crate) fn counts(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.callgrind"))
    }

    /// The command that runs a program, given the variable below, and writes its counts when it ends.
    pub(crate) fn command(&self, program: &Path, counts: &Path) -> Command {
        let mut command = Command::new("valgrind");
        command
            .args(["--quiet", "--tool=callgrind"])
            .arg(format!("--callgrind-out-file={}", counts.display()))
            .arg(program);
        command
    }

    /// The variable that slows a program's clock down.
    pub(crate) fn variable(&self) -> (&'static str, &Path) {
        ("LD_PRELOAD", &self.slow_clock)
    }

    /// Runs a program by itself to its end and counts its instructions.
    pub(crate) fn count(&self, program: &Path, arguments: &[&str], name: &str) -> Result<u64> {
        let counts = self.counts(name);
        let status = self
            .command(program, &counts)
            .args(arguments)
            .envs([self.variable()])
            .status()?;
        if !status.success() {
            return Err(format!("{} ended with {status}", program.display()).into());
        }
        instructions(&counts)
    }
}

/// The instructions of a run that wrote this file.
pub(crate) fn instructions(counts: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(counts)?;
    total(&text).ok_or_else(|| format!("{} has no total", counts.display()).into())
}

fn setting() -> Option<Setting> {
    let first_line = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output
            .status
            .success()
            .then(|| text.lines().next().unwrap_or_default().to_owned())
    };
    let last_word = |line: String| line.rsplit(' ').next().unwrap_or_default().to_owned();
    Some(Setting {
        valgrind: first_line("valgrind")?
            .trim_start_matches("valgrind-")
            .to_owned(),
        glibc: first_line("ldd").map(last_word).unwrap_or_default(),
    })
}

fn total(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| {
            line.strip_prefix("summary:")
                .or_else(|| line.strip_prefix("totals:"))
        })?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_total_is_read_from_what_callgrind_writes() {
        assert_eq!(
            total("version: 1\nevents: Ir\nsummary: 24973841\n\nfn=(1)"),
            Some(24_973_841)
        );
        assert_eq!(total("events: Ir\n1 2\ntotals: 12\n"), Some(12));
        assert_eq!(total("events: Ir\n"), None);
    }
}
