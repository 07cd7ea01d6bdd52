//! The pages say what the code does: problem codes, routes, examples, links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use shared::api::Code;

use crate::harness::{TestStack, native_order};

/// The repository's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A page's text.
pub fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A fenced block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// What stands behind the opening fence: a language, and our own words after it.
    pub info: String,
    /// The text between the fences.
    pub text: String,
    /// The line of the opening fence.
    pub line: usize,
    /// Whether nothing but blank lines lies between the block before and this one.
    pub follows: bool,
}

/// The fenced blocks of a page, in order; one that stands in a list is indented, its text is not.
pub fn fences(page: &str) -> Vec<Fence> {
    let mut found: Vec<Fence> = Vec::new();
    let mut indent = None;
    let mut between = true;
    for (index, line) in page.lines().enumerate() {
        let text = line.trim_start_matches(' ');
        match (text.strip_prefix("```"), indent) {
            (Some(info), None) => {
                indent = Some(line.len() - text.len());
                found.push(Fence {
                    info: info.trim().to_owned(),
                    text: String::new(),
                    line: index + 1,
                    follows: !between,
                });
            }
            (Some(_), Some(_)) => {
                indent = None;
                between = false;
            }
            (None, Some(indent)) => {
                let fence = found.last_mut().unwrap();
                let spaces = line.len() - text.len();
                fence.text.push_str(&line[indent.min(spaces)..]);
                fence.text.push('\n');
            }
            (None, None) => between |= !line.trim().is_empty(),
        }
    }
    assert!(indent.is_none(), "a block is not closed");
    found
}

/// Where an answer differs from the one a page shows; `…` in a text stands for anything.
pub fn difference(shown: &Value, answered: &Value) -> Option<String> {
    match (shown, answered) {
        (Value::Object(shown), Value::Object(answered)) => {
            let names: BTreeSet<&String> = shown.keys().chain(answered.keys()).collect();
            names.into_iter().find_map(|name| {
                let (shown, answered) = (shown.get(name), answered.get(name));
                let (Some(shown), Some(answered)) = (shown, answered) else {
                    return Some(format!("{name}: {shown:?} is shown, {answered:?} came"));
                };
                difference(shown, answered).map(|told| format!("{name}.{told}"))
            })
        }
        (Value::Array(shown), Value::Array(answered)) if shown.len() == answered.len() => shown
            .iter()
            .zip(answered)
            .find_map(|(shown, answered)| difference(shown, answered)),
        (Value::String(text), Value::String(came)) if text.contains('…') => {
            (!matches(text, came)).then(|| format!("{text:?} is shown, {came:?} came"))
        }
        _ => (shown != answered).then(|| format!("{shown} is shown, {answered} came")),
    }
}

/// Whether the text came as shown, with anything in place of each `…`.
fn matches(shown: &str, came: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = came.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    shown.ends_with('…') || rest.is_empty()
}

/// The rows of the table whose first column has this heading, cells trimmed.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let rows: Vec<Vec<String>> = page
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {heading} |")))
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(rows.len() > 2, "there is no table headed {heading}");
    rows[2..].to_vec()
}

fn unquoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

#[test]
fn what_is_shown_with_dots_is_compared_around_them() {
    let same = |shown: Value, came: Value| difference(&shown, &came).is_none();
    assert!(same(json!({"a": "…"}), json!({"a": "x"})));
    assert!(same(json!({"a": "4200…"}), json!({"a": "42001"})));
    assert!(!same(json!({"a": "4200…"}), json!({"a": "14200"})));
    assert!(same(json!({"a": "x…z"}), json!({"a": "xyz"})));
    assert!(!same(json!({"a": "x…z"}), json!({"a": "xyzzy"})));
    assert!(!same(json!({"a": "…"}), json!({"a": 1})));
    assert!(!same(json!({"a": 1}), json!({"a": 1, "b": 2})));
    assert!(!same(json!({"a": 1, "b": 2}), json!({"a": 1})));
    assert!(!same(json!([1]), json!([1, 2])));
    assert!(!same(json!([{"a": 1}]), json!([{"a": 2}])));
}

#[test]
fn the_table_of_problems_is_the_codes_in_their_order() {
    let written: Vec<(String, u16)> = table(&page("docs/api.md"), "Code")
        .iter()
        .map(|row| {
            assert!(row[2..].iter().all(|cell| !cell.is_empty()), "{row:?}");
            (unquoted(&row[0]).to_owned(), row[1].parse().unwrap())
        })
        .collect();
    let known: Vec<(String, u16)> = Code::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.status()))
        .collect();
    assert_eq!(written, known);
}

#[tokio::test]
async fn the_table_of_routes_is_the_templates() {
    let stack = TestStack::start().await;
    let declared: BTreeMap<String, String> = stack
        .stack
        .template
        .functions
        .values()
        .flat_map(|function| {
            let routes = function.routes.iter();
            routes.map(|(method, path)| (format!("{method} {path}"), function.binary.clone()))
        })
        .collect();
    let written: BTreeMap<String, String> = table(&page("docs/api.md"), "Route")
        .iter()
        .map(|row| (unquoted(&row[0]).to_owned(), row[2].clone()))
        .collect();
    assert_eq!(written, declared);
}

#[tokio::test]
async fn of_two_faults_the_one_that_stands_first_in_the_table_is_told() {
    // A path, a credential and a body; the code that is told, and the one that would be right too.
    type Case<'a> = (&'a str, Option<&'a str>, Vec<u8>, &'a str, &'a str);
    let stack = TestStack::start().await;
    let payer = stack.login("oPrecedence0000000000000000").await;
    stack.paid("precedence-1", 100).await;
    stack.paid("precedence-2", 100).await;
    stack
        .refund("precedence-1", "precedence-r1", 60)
        .await
        .expect(202);
    let large = vec![b'x'; 70_000];
    let broken = b"{".to_vec();
    let refund = |number: &str, amount: i64| {
        json!({"out_refund_no": number, "amount": {"refund": amount}})
            .to_string()
            .into_bytes()
    };
    let refunds = "/orders/precedence-1/refunds";
    let other = "/orders/precedence-2/refunds";
    let missing = "/orders/precedence-0/refunds";
    let merchant = Some(stack.merchant.as_str());
    let unknown = br#"{"amount": {"refund": 1}, "out_refund_no": "r", "speed": 1}"#.to_vec();
    let cases: [Case<'_>; 11] = [
        ("/orders", None, large, "body_too_large", "unauthenticated"),
        (
            "/orders",
            None,
            broken.clone(),
            "unauthenticated",
            "malformed_json",
        ),
        (
            "/orders/abc/refunds?x=1",
            merchant,
            broken.clone(),
            "malformed_request",
            "invalid_number",
        ),
        (
            "/orders",
            Some(&payer),
            broken.clone(),
            "malformed_request",
            "malformed_json",
        ),
        (
            "/orders/abc/refunds",
            merchant,
            broken.clone(),
            "invalid_number",
            "malformed_json",
        ),
        (missing, merchant, broken, "malformed_json", "not_found"),
        (missing, merchant, unknown, "unknown_field", "not_found"),
        (
            missing,
            merchant,
            refund("r", 0),
            "invalid_value",
            "not_found",
        ),
        (
            refunds,
            merchant,
            refund("precedence-r1", 61),
            "terms_differ",
            "refund_exceeds",
        ),
        (
            other,
            merchant,
            refund("precedence-r1", 101),
            "refund_number_taken",
            "refund_exceeds",
        ),
        (
            refunds,
            merchant,
            refund("precedence-r2", 41),
            "refund_exceeds",
            "refund_too_late",
        ),
    ];
    let place = |name: &str| Code::ALL.iter().position(|code| code.as_str() == name);
    for (path, credential, body, first, second) in cases {
        assert!(
            place(first).unwrap() < place(second).unwrap(),
            "{first} {second}"
        );
        if second == "refund_too_late" {
            stack.advance(366 * 24 * 60 * 60).await;
        }
        let answer = stack
            .send_bytes(Method::POST, path, credential, &[], Some(body))
            .await;
        assert_eq!(answer.body["code"], first, "{path} {answer:?}");
    }
    let order = native_order("precedence-3", 100);
    stack
        .post(&stack.merchant, "/orders", order)
        .await
        .expect(201);
}

/// What the examples of a page remember of earlier answers, to fill `{name}` in later requests.
fn filled(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (name, value) in known {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

#[tokio::test]
async fn the_examples_of_the_api_are_real() {
    // At WeChat Pay's own speed the bank takes five seconds, so a refund is seen pending.
    let stack = TestStack::with(|options| options.speed = 1.0).await;
    let mut known = BTreeMap::from([
        ("merchant".to_owned(), stack.merchant.clone()),
        ("today".to_owned(), stack.new_day().await),
    ]);
    let fences = fences(&page("docs/api.md"));
    let mut compared = 0;
    for (index, fence) in fences.iter().enumerate() {
        if fence.info != "http" {
            continue;
        }
        let request = filled(&fence.text, &known);
        let (head, body) = request.split_once("\n\n").unwrap_or((&request, ""));
        let mut lines = head.lines();
        let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
        let body = (!body.trim().is_empty()).then(|| serde_json::from_str(body).unwrap());
        if let Some(path) = path.strip_prefix("/_sim/") {
            let answer = stack.control(path, body.unwrap_or(json!({}))).await;
            remember(&answer, &mut known);
            continue;
        }
        let headers: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
        let asked = format!("docs/api.md, line {}: {method} {path}", fence.line);
        if (method, path) == ("POST", "/orders") {
            // A list of orders has those of one second in no order that a page could show.
            stack.advance(1).await;
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = stack.send(method, path, None, &headers, body).await;
        let shown = &fences[index + 1];
        let status = shown.info.strip_prefix("json ");
        assert!(shown.follows && status.is_some(), "{asked} has no answer");
        assert_eq!(
            status.unwrap(),
            answer.status.to_string(),
            "{asked}: {answer:?}"
        );
        let shown = serde_json::from_str(&shown.text).unwrap();
        assert_eq!(difference(&shown, &answer.body), None, "{asked}");
        remember(&answer.body, &mut known);
        compared += 1;
    }
    assert!(compared >= 10, "only {compared} examples were found");
}

fn remember(answer: &Value, known: &mut BTreeMap<String, String>) {
    for (name, value) in answer.as_object().into_iter().flatten() {
        // A merchant's numbers are written out; what a page has to refer to is a payer's.
        let referred = ["code", "out_refund_no", "out_trade_no", "token"].contains(&name.as_str());
        if let (true, Some(text)) = (referred, value.as_str())
            && !text.starts_with("counter-")
        {
            known.insert(name.clone(), text.to_owned());
        }
    }
}

/// What programs make in a checkout; `artifacts` and `found` are what fuzzing leaves behind.
const MADE: [&str; 7] = [
    ".aws-sam",
    ".git",
    ".venv",
    ".wxpay",
    "artifacts",
    "found",
    "node_modules",
];

/// Every file of the repository that is ours, by its path from the root.
fn files() -> Vec<PathBuf> {
    let skipped = |name: &str| name.starts_with("target") || MADE.contains(&name);
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if skipped(&entry.file_name().to_string_lossy()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The pages of the repository, but those of others' vectors.
pub fn pages() -> Vec<PathBuf> {
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for path in pages() {
        let text = page(path.to_str().unwrap());
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            followed += 1;
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                root().join(&path)
            } else {
                root().join(path.parent().unwrap()).join(file)
            };
            let headed = || {
                let text = fs::read_to_string(&file).unwrap_or_default();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                headings.any(|line| anchor(line) == place)
            };
            if !file.exists() || (!place.is_empty() && !headed()) {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(followed > 20, "only {followed} links were found");
}

#[test]
fn the_pages_that_others_refer_to_are_there() {
    for path in [
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "README.zh-CN.md",
        "deny.toml",
        "docs/api.md",
        "docs/data-model.md",
        "docs/events.md",
        "docs/events.zh-CN.md",
        "docs/operations.md",
        "docs/performance.md",
        "docs/simulator.md",
        "docs/simulator.zh-CN.md",
        "docs/wechatpay.md",
        "justfile",
    ] {
        assert!(root().join(path).is_file(), "{path} is missing");
    }
    let architecture = page("ARCHITECTURE.md");
    for section in ["Two libraries", "Entropy"] {
        let heading = format!("\n## {section}\n");
        assert!(architecture.contains(&heading), "{section} is referred to");
    }
}

/// The rust files of a folder, as one text.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    text
}

#[test]
fn the_data_model_says_which_handles_each_function_holds() {
    let store = sources(&root().join("shared/src/store"));
    let handles: BTreeSet<&str> = store
        .lines()
        .filter(|line| line.ends_with("Table);"))
        .filter_map(|line| line.strip_prefix("pub struct ")?.split('(').next())
        // It comes with the keys, and is nobody's own.
        .filter(|handle| *handle != "Certificates")
        .collect();
    assert!(handles.len() > 5, "{handles:?}");
    let rows = table(&page("docs/data-model.md"), "Function");
    let told: BTreeMap<&str, BTreeSet<&str>> = rows
        .iter()
        .map(|row| (unquoted(&row[0]), row[1].split(", ").collect()))
        .collect();
    for entry in fs::read_dir(root().join("functions")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let code = sources(&folder.join("src"));
        let makes = |handle: &&str| {
            [' ', '(']
                .iter()
                .any(|before| code.contains(&format!("{before}{handle}::new(")))
        };
        let made: BTreeSet<&str> = handles.iter().copied().filter(makes).collect();
        let told = told.get(name).cloned().unwrap_or_default();
        assert_eq!(told, made, "docs/data-model.md about {name}");
    }
}

/// A new function would make each such sentence wrong.
#[test]
fn no_page_counts_the_functions() {
    let numbers = [
        "six", "seven", "eight", "nine", "ten", "sixth", "seventh", "eighth",
    ];
    let others = ["justfile", "samconfig.toml", "template.yaml"].map(PathBuf::from);
    for path in pages().into_iter().chain(others) {
        let text = page(path.to_str().unwrap()).to_lowercase();
        let words: Vec<&str> = text.split_whitespace().collect();
        for words in words.windows(4) {
            let counted = words[1..].iter().any(|word| word.starts_with("function"));
            let count = words[0].trim_start_matches(['(', '*', '"']);
            assert!(
                !(numbers.contains(&count) && counted),
                "{}: {words:?}",
                path.display()
            );
        }
    }
}

#[test]
fn what_the_architecture_says_of_libraries_is_so() {
    let lock = page("Cargo.lock");
    // Only the operator's tool leads to one, by the AWS configuration that it reads.
    let holders: BTreeMap<&str, Vec<&str>> = lock
        .split("[[package]]")
        .skip(1)
        .map(|package| {
            let quoted = |line: &str| line.split('"').nth(1).is_some();
            let names: Vec<&str> = package
                .lines()
                .filter(|line| line.starts_with("name = ") || line.starts_with(" \""))
                .filter(|line| quoted(line))
                .filter_map(|line| line.split('"').nth(1)?.split(' ').next())
                .collect();
            (names[0], names[1..].to_vec())
        })
        .collect();
    assert!(holders.len() > 100);
    let mut reached: Vec<&str> = vec!["simulator"];
    let functions = std::fs::read_dir(root().join("functions")).unwrap();
    let functions: Vec<String> = functions
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    reached.extend(functions.iter().map(String::as_str));
    let mut place = 0;
    while let Some(&name) = reached.get(place) {
        let next: Vec<&str> = holders[name]
            .iter()
            .copied()
            .filter(|name| !reached.contains(name))
            .collect();
        reached.extend(next);
        place += 1;
    }
    assert!(reached.contains(&"aws-sdk-dynamodb"), "{reached:?}");
    let xml: Vec<&&str> = reached.iter().filter(|name| name.contains("xml")).collect();
    assert!(xml.is_empty(), "{xml:?}");
    // What would let `rsa` compute with a private key's raw operations.
    let raw: Vec<PathBuf> = files()
        .into_iter()
        .filter(|path| path.ends_with("Cargo.toml"))
        .filter(|path| page(path.to_str().unwrap()).contains("\"hazmat\""))
        .collect();
    assert_eq!(raw, [PathBuf::from("simulator/Cargo.toml")]);
    let config = page(".cargo/config.toml");
    assert!(config.contains("\nAWS_LC_SYS_NO_JITTER_ENTROPY = \"1\"\n"));
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    // Written apart, so that this file holds none of them.
    let folders = ["work", "root", "home", "Users"].map(|name| format!("/{name}/"));
    for path in files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        for folder in &folders {
            assert!(!text.contains(folder), "{} names {folder}", path.display());
        }
    }
}

// Keys that others published guard nothing, but a tree that holds one teaches that keys may be kept.
#[test]
fn private_keys_stand_with_the_vectors_alone() {
    // Written apart, so that this file holds none of them: a PEM's head and its first letters, and the
    // first letters of RSA keys of 2048 bits without a head.
    let head = ["PRIVATE", " KEY-----"].concat();
    let bare = ["MIIEv", "MIIEp", "MIIEo"];
    let base64 = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/');
    let long = |text: &str| text.chars().take_while(|letter| base64(*letter)).count() >= 40;
    let mut found = BTreeSet::new();
    for path in files() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else {
            continue;
        };
        let mut headed = text.split(head.as_str()).skip(1);
        let mut named = bare
            .iter()
            .flat_map(|letters| text.match_indices(letters).map(|(at, _)| at));
        let starts = |rest: &str| long(rest.trim_start_matches(['\\', 'n', 'r', '\n', '\r']));
        if headed.any(starts) || named.any(|at| text.get(at..).is_some_and(long)) {
            found.insert(path);
        }
    }
    let keys = Path::new("tests/vectors/wechatpay/keys");
    let ours: BTreeSet<PathBuf> = files()
        .into_iter()
        .filter(|path| path.starts_with(keys) && path.to_string_lossy().ends_with("_private.pem"))
        .collect();
    assert!(ours.len() >= 5, "{ours:?}");
    // What is read of keys is fuzzed from copies of these; a copy has their bytes.
    let bytes = |path: &PathBuf| fs::read(root().join(path)).unwrap();
    let known: BTreeSet<Vec<u8>> = ours.iter().map(bytes).collect();
    found.retain(|path| !(path.starts_with("fuzz/corpus/pem") && known.contains(&bytes(path))));
    assert_eq!(found, ours);
}
