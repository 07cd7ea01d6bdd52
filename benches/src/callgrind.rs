//! Instructions, counted by callgrind.
//!
//! Valgrind shows every program the same processor (a Haswell with AVX2, without ADX or SHA), whatever
//! the machine has, so AWS-LC and the C library choose the same code everywhere and two machines count
//! alike. What still differs, the C library's version and valgrind's, is recorded with the numbers.
//! Kernel time, page faults and AVX-512 are not seen: that is what the clocks are for.

use std::path::Path;
use std::process::Command;

use crate::Result;

/// What counts depend on besides the binary.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Setting {
    pub(crate) valgrind: String,
    pub(crate) glibc: String,
}

/// The setting here; `None` where there is no valgrind.
pub(crate) fn setting() -> Option<Setting> {
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

/// The instructions of a run that wrote this file.
pub(crate) fn instructions(counts: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(counts)?;
    total(&text).ok_or_else(|| format!("{} has no total", counts.display()).into())
}

/// Runs a program by itself to its end and counts.
pub(crate) fn count(program: &Path, arguments: &[&str], counts: &Path) -> Result<u64> {
    let status = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(program)
        .args(arguments)
        .status()?;
    if !status.success() {
        return Err(format!("{} ended with {status}", program.display()).into());
    }
    instructions(counts)
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
