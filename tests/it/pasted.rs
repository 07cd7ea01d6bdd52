//! What the pages print can be pasted at the prompt of zsh, the shell of macOS. There a `#` begins no
//! remark but is an argument, a `!` recalls an earlier command, and a pattern that matches no file is
//! an error. `readme.rs` runs the walkthrough in zsh; here every block is parsed and none is run.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use crate::documents::{Fence, fences, page, pages};
use crate::tools::are_here;

/// What the info of a block that is pasted begins with; `console` shows a prompt before each command.
const PASTED: [&str; 3] = ["bash", "console", "sh"];

/// Prints what an interactive zsh would take otherwise than bash, a line each, for the text in a file.
///
/// `(z)` splits a text into words as zsh's prompt does, `(Z+C+)` as a script does, which drops remarks.
const DIFFERENCES: &str = r##"
setopt extended_glob
single="'[^']#'"
double='"(\\?|[^"\\])#"'
opens='$(' closes=')'
filled='($[?*#]|${[^}]#}|$\(*\)|\\?)'
differences() {
  local text=$1 word bare
  local -a typed=("${(z)text}") script=("${(Z+C+)text}")
  [[ "${(F)typed}" == "${(F)script}" ]] || print -r -- "a remark"
  for word in $typed; do
    [[ $word == *$opens*$closes* ]] && differences "${${word#*$opens}%$closes*}"
    bare=${word//${~single}/}
    bare=${${bare//${~double}/}//${~filled}/}
    [[ $bare == *[*?\[]* && $bare != ('['|'[[') ]] && print -r -- "a pattern in $word"
  done
  return 0
}
differences "$(<$1)"
"##;

/// Whether zsh is here.
pub fn zsh_is_here() -> bool {
    are_here(&["zsh"], "nothing was pasted into zsh")
}

/// The commands of a block as somebody pastes them, or nothing if it holds none.
fn pasted(block: &Fence) -> Option<String> {
    let kind = block.info.split(' ').next().unwrap_or_default();
    PASTED.contains(&kind).then(|| {
        let lines = block.text.lines().map(|line| match kind {
            "console" => line.strip_prefix("$ ").unwrap_or(line),
            _ => line,
        });
        lines.map(|line| format!("{line}\n")).collect()
    })
}

/// What an interactive zsh would not take as bash does.
fn faults(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("block");
    fs::write(&file, text).unwrap();
    // `-f` reads nobody's start-up files, `-n` runs nothing.
    let parsed = Command::new("zsh")
        .args(["-f", "-i", "-n", "-s"])
        .stdin(Stdio::from(fs::File::open(&file).unwrap()))
        .output()
        .unwrap();
    let mut found = String::new();
    if let Some(message) = String::from_utf8_lossy(&parsed.stderr)
        .lines()
        .find(|line| line.contains("zsh: "))
    {
        writeln!(found, "{message}").unwrap();
    }
    let differences = Command::new("zsh")
        .args(["-f", "-c", DIFFERENCES, "zsh"])
        .arg(&file)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&differences.stderr);
    assert!(differences.status.success() && told.is_empty(), "{told}");
    found.push_str(&String::from_utf8_lossy(&differences.stdout));
    found
}

#[test]
fn every_block_of_commands_can_be_pasted_into_zsh() {
    if !zsh_is_here() {
        return;
    }
    let mut found = String::new();
    let mut blocks = 0;
    for path in pages() {
        let path = path.to_str().unwrap();
        for block in fences(&page(path)) {
            let Some(text) = pasted(&block) else { continue };
            blocks += 1;
            for fault in faults(&text).lines() {
                writeln!(found, "{path}, line {}: {fault}", block.line).unwrap();
            }
        }
    }
    assert!(found.is_empty(), "\n{found}");
    assert!(blocks >= 40, "only {blocks} blocks were found");
}

#[test]
fn what_zsh_takes_otherwise_than_bash_is_noticed() {
    if !zsh_is_here() {
        return;
    }
    for (text, fault) in [
        ("cargo run   # to play with\n", "a remark"),
        ("# the list\nls\n", "a remark"),
        ("key=$(openssl rand -hex 32)   # keep it\n", "a remark"),
        ("echo $(date # now\n)\n", "a remark"),
        ("for f in a b; do   # each\n  echo $f\ndone\n", "a remark"),
        (
            "curl http://127.0.0.1:3000/orders?next_token=a\n",
            "a pattern",
        ),
        ("aws s3 ls --query Stacks[0].Outputs\n", "a pattern"),
        ("echo \"done!now\"\n", "event not found"),
        ("for f in a b; do echo $f\n", "zsh: "),
        ("echo 'open\n", "zsh: "),
    ] {
        let found = faults(text);
        assert!(found.contains(fault), "{text:?} gave {found:?}");
    }
    for text in [
        "echo '# no remark' \"# nor this\" a#b ${x#y} $#\n",
        "[ -s a ] && echo \"$(cat \"$1\")\" 'a*b?' \"c[0]\" $? | sed 's/!.*//'\n",
        "( set -eu\nif ! test -s a; then exit 1; fi )\n",
    ] {
        assert_eq!(faults(text), "", "{text:?}");
    }
}
