//! Programs that some tests need beside Rust.

use std::io::Write;
use std::process::Command;

/// Whether all of these are here. Where they must be and one is not, the test fails; elsewhere it is said aloud
/// what was not done.
pub fn are_here(programs: &[&str], not_done: &str) -> bool {
    // Not all of them know the argument, and all begin to run.
    let runs = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let Some(missing) = programs.iter().find(|program| !runs(program)) else {
        return true;
    };
    assert!(std::env::var_os("CI").is_none(), "{missing} is missing");
    // Past the test harness, which shows nothing of a test that passes.
    let line = format!("SKIPPED: {not_done}, since there is no {missing}");
    let mut stderr = std::io::stderr();
    writeln!(stderr, "{line}").unwrap();
    false
}
