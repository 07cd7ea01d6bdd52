//! The README's walkthrough, run as a reader runs it: bash or zsh, and curl, against `cargo run`.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::documents::{Fence, difference, fences, page};
use crate::pasted::zsh_is_here;
use crate::tools::are_here;

/// What a block of the walkthrough begins with.
const WALKTHROUGH: &str = "sh walkthrough";

/// What the script prints between the output of two blocks.
const SEPARATOR: char = '\u{1e}';

/// `wxpay up`, ended when dropped.
struct Up {
    child: Child,
    // Kept open: a process that prints into a closed pipe dies of it.
    _told: BufReader<ChildStdout>,
}

impl Drop for Up {
    fn drop(&mut self) {
        // It may be dead already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn up(folder: &Path) -> Up {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wxpay"))
        .args(["up", "--port", "0", "--simulator-port", "0"])
        // A bank slow enough that a refund is seen under way on a busy machine too.
        .args(["--control-port", "0", "--speed", "10", "--data-dir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first line is printed when everything answers.
    let mut first = String::new();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    told.read_line(&mut first).unwrap();
    assert!(first.starts_with("The API"), "{first:?}");
    Up { child, _told: told }
}

fn walkthrough(path: &str) -> Vec<Fence> {
    let blocks = fences(&page(path));
    blocks
        .into_iter()
        .filter(|block| block.info == WALKTHROUGH)
        .collect()
}

/// Runs the walkthrough in a shell that takes it from its standard input, and compares the answers.
fn walk_in(shell: &mut Command) {
    if !are_here(&["bash", "curl"], "the README's walkthrough was not run") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let _up = up(&folder.path().join(".wxpay"));
    let blocks = walkthrough("README.md");
    let mut script = "set -eu\n".to_owned();
    for block in &blocks {
        script.push_str(&block.text);
        script.push_str(&format!("printf '%b' '\\{:03o}'\n", u32::from(SEPARATOR)));
    }
    let mut running = shell
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = running.stdin.take().unwrap();
    typed.write_all(script.as_bytes()).unwrap();
    drop(typed);
    let ran = running.wait_with_output().unwrap();
    let printed = String::from_utf8(ran.stdout).unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{printed}\n{told}");

    let fences = fences(&page("README.md"));
    let mut compared = 0;
    for (block, output) in blocks.iter().zip(printed.split(SEPARATOR)) {
        let after = fences.iter().position(|fence| fence == block).unwrap() + 1;
        let Some(shown) = fences.get(after).filter(|shown| shown.follows) else {
            continue;
        };
        let place = format!("README.md, line {}", block.line);
        match shown.info.as_str() {
            "json" => {
                let last = output.trim_end().lines().last().unwrap_or_default();
                let answered: Value = serde_json::from_str(last)
                    .unwrap_or_else(|error| panic!("{place}: {error}: {output}"));
                let shown = serde_json::from_str(&shown.text).unwrap();
                assert_eq!(difference(&shown, &answered), None, "{place}");
            }
            "text" => assert_eq!(output.trim(), shown.text.trim(), "{place}"),
            _ => continue,
        }
        compared += 1;
    }
    assert!(compared >= 8, "only {compared} answers were compared");
    let picture = std::fs::read_to_string(folder.path().join(".wxpay/code.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
}

#[test]
fn the_walkthrough_answers_as_printed() {
    walk_in(&mut Command::new("bash"));
}

/// At the prompt: with remarks as arguments, recalled commands, and patterns that must match.
#[test]
fn the_walkthrough_answers_as_printed_at_the_prompt_of_zsh() {
    if zsh_is_here() {
        walk_in(Command::new("zsh").args(["-f", "-i", "-s"]));
    }
}

#[test]
fn the_chinese_walkthrough_is_the_same() {
    let shown = |path: &str| -> Vec<(String, String)> {
        let blocks = fences(&page(path)).into_iter();
        blocks
            .filter(|block| [WALKTHROUGH, "json"].contains(&block.info.as_str()))
            .map(|block| (block.info, block.text))
            .collect()
    };
    assert_eq!(shown("README.zh-CN.md"), shown("README.md"));
}
