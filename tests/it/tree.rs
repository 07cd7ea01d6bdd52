//! The tree keeps its layers: who may import whom, and what may be where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The code of a file, without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_test(path: &Path) -> bool {
    path.components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

/// The layers of `shared`, from the bottom up: each may import those written above it in this list, and
/// itself. A new file or folder in `shared/src` finds its place here.
const SHARED_LAYERS: [&str; 16] = [
    "domain",
    "rfc3339",
    "random",
    "record_keys",
    "clock",
    "telemetry",
    "platform",
    "deadline",
    "wechatpay",
    "store",
    "settlement",
    "bus",
    "config",
    "settling_client",
    "refund_sender",
    "api",
];

/// The layers of `local`, from the bottom up.
const LOCAL_LAYERS: [&str; 14] = [
    "files",
    "lock",
    "loopback",
    "condition",
    "schedule",
    "template",
    "functions",
    "console",
    "aws",
    "gateway",
    "feeder",
    "scheduler",
    "stack",
    "demo",
];

/// The modules that a file's code names below `root` (`crate` or `super`), as paths from there.
fn named_below(root: &str, code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for part in code.split(&format!("{root}::")).skip(1) {
        let (mut depth, mut prefix, mut path) = (0_usize, String::new(), String::new());
        for letter in part.chars() {
            match letter {
                '{' => {
                    depth += 1;
                    if depth == 1 {
                        prefix = std::mem::take(&mut path);
                    }
                }
                '}' if depth <= 1 => break,
                '}' => depth -= 1,
                ',' if depth == 1 => named.push(format!("{prefix}{}", std::mem::take(&mut path))),
                _ if depth > 1 => {}
                _ if letter.is_alphanumeric() || letter == '_' || letter == ':' => {
                    path.push(letter);
                }
                _ if depth == 1 && letter.is_whitespace() => {}
                _ => break,
            }
        }
        named.push(prefix + &path);
    }
    named.retain(|path| !path.is_empty());
    named
}

/// A crate's source files by module path (`store::order`), its entry points and tests apart.
fn modules(source: &Path) -> BTreeMap<String, String> {
    let files = rust_files(source);
    let files = files.iter().filter(|path| !is_test(path));
    let named = files.map(|path| {
        let inside = path.strip_prefix(source).unwrap().with_extension("");
        let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
        (parts.join("::"), code(path))
    });
    named
        .filter(|(module, _)| !["lib", "main"].contains(&module.as_str()))
        .collect()
}

fn layer(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// Imports that name a layer above the importing file's own, or none of `layers`.
fn climbing_imports(modules: &BTreeMap<String, String>, layers: &[&str]) -> Vec<String> {
    let place = |name: &str| layers.iter().position(|layer| *layer == name);
    let mut climbing = Vec::new();
    for (module, code) in modules {
        let own = layer(module);
        let Some(own_place) = place(own) else {
            climbing.push(format!("{own} is no layer: give it a place in the list"));
            continue;
        };
        for path in named_below("crate", code) {
            if place(layer(&path)).is_none_or(|named| named > own_place) {
                climbing.push(format!("{module} imports {path}"));
            }
        }
    }
    climbing
}

/// The modules that each module imports; what a child takes from its own parent is left out, since a
/// parent is the face of its children.
fn imports(modules: &BTreeMap<String, String>) -> BTreeMap<&str, Vec<&str>> {
    let nearest = |path: &str| {
        let mut path = path;
        loop {
            if let Some((module, _)) = modules.get_key_value(path) {
                return Some(module.as_str());
            }
            path = path.rsplit_once("::")?.0;
        }
    };
    let mut imports = BTreeMap::new();
    for (module, code) in modules {
        let mut paths = named_below("crate", code);
        if let Some((parent, _)) = module.rsplit_once("::") {
            let beside = named_below("super", code);
            paths.extend(beside.iter().map(|path| format!("{parent}::{path}")));
        }
        let found = paths.iter().filter_map(|path| nearest(path));
        let found = found.filter(|found| *found != module && !is_inside(module, found));
        imports.insert(module.as_str(), found.collect());
    }
    imports
}

fn is_inside(module: &str, parent: &str) -> bool {
    let rest = module.strip_prefix(parent);
    rest.is_some_and(|rest| rest.starts_with("::"))
}

/// A circle of modules that import each other, if there is one.
fn circle(imports: &BTreeMap<&str, Vec<&str>>) -> Option<String> {
    fn walk<'a>(
        module: &'a str,
        imports: &BTreeMap<&'a str, Vec<&'a str>>,
        way: &mut Vec<&'a str>,
        done: &mut Vec<&'a str>,
    ) -> Option<String> {
        if let Some(start) = way.iter().position(|earlier| *earlier == module) {
            return Some(format!("{} → {module}", way[start..].join(" → ")));
        }
        if done.contains(&module) {
            return None;
        }
        way.push(module);
        for next in &imports[module] {
            if let Some(circle) = walk(next, imports, way, done) {
                return Some(circle);
            }
        }
        way.pop();
        done.push(module);
        None
    }
    let mut done = Vec::new();
    imports
        .keys()
        .find_map(|module| walk(module, imports, &mut Vec::new(), &mut done))
}

fn check_layers(source: &str, layers: &[&str]) {
    let modules = modules(&root().join(source));
    let climbing = climbing_imports(&modules, layers);
    assert!(climbing.is_empty(), "{source}: {}", climbing.join("\n"));
    assert_eq!(circle(&imports(&modules)), None, "{source}");
}

#[test]
fn shared_imports_only_downwards_and_in_no_circle() {
    check_layers("shared/src", &SHARED_LAYERS);
}

#[test]
fn the_local_stack_imports_only_downwards_and_in_no_circle() {
    check_layers("local/src", &LOCAL_LAYERS);
}

#[test]
fn a_planted_circle_and_a_climbing_import_are_seen() {
    let modules = |files: &[(&str, &str)]| -> BTreeMap<String, String> {
        let files = files.iter();
        files
            .map(|(module, code)| ((*module).to_owned(), (*code).to_owned()))
            .collect()
    };
    let below = ("domain", "");
    let layers = ["domain", "store"];
    let climbs = modules(&[("domain", "use crate::store::Orders;"), ("store", "")]);
    assert_eq!(
        climbing_imports(&climbs, &layers),
        ["domain imports store::Orders"]
    );
    let elsewhere = modules(&[below, ("extra", "")]);
    assert_eq!(climbing_imports(&elsewhere, &layers).len(), 1);
    // Children may use their parent, and each other one way.
    let sound = modules(&[
        below,
        ("store", ""),
        (
            "store::item",
            "use super::{StoreError, Table}; use crate::domain::Fen;",
        ),
        (
            "store::order",
            "use super::item::{self, text}; use crate::{domain, store};",
        ),
    ]);
    assert!(climbing_imports(&sound, &layers).is_empty());
    assert_eq!(circle(&imports(&sound)), None);
    let round = modules(&[
        ("store", ""),
        ("store::index", "use super::{StoreError, order::commit};"),
        ("store::item", "use crate::store::index::shard;"),
        ("store::order", "use super::item::text;"),
    ]);
    let found = circle(&imports(&round));
    let expected = "store::index → store::order → store::item → store::index";
    assert_eq!(found.as_deref(), Some(expected));
}

#[test]
fn the_domain_knows_no_crate_no_clock_and_no_float() {
    for path in rust_files(&root().join("shared/src/domain"))
        .iter()
        .filter(|path| !is_test(path))
    {
        let code = code(path);
        for banned in [
            "async ",
            "serde",
            "SystemTime",
            "Instant",
            "f64",
            "f32",
            "rand",
            "tokio",
            "aws_",
        ] {
            assert!(
                !code.contains(banned),
                "{} holds {banned:?}",
                path.display()
            );
        }
    }
}

#[test]
fn only_the_client_connects_to_wechat_pay() {
    for path in rust_files(&root().join("shared/src/wechatpay"))
        .iter()
        .filter(|path| !is_test(path))
    {
        let connects = code(path).contains("reqwest::Client");
        assert_eq!(connects, path.ends_with("client.rs"), "{}", path.display());
    }
}

#[test]
fn the_simulator_shares_nothing_with_the_bundle() {
    let manifest = fs::read_to_string(root().join("simulator/Cargo.toml")).unwrap();
    for ours in ["shared", "local", "create-order", "aes-gcm"] {
        assert!(
            !manifest.contains(&format!("\n{ours}")),
            "the simulator depends on {ours}"
        );
    }
}

#[test]
fn the_webhook_holds_no_key_that_signs() {
    let code = code(&root().join("functions/notify-callback/src/lib.rs"));
    for banned in [
        "SigningSecret",
        "SettlingClient",
        "MerchantKey",
        "SIGNING_SECRET_ARN",
        "RefundSender",
    ] {
        assert!(!code.contains(banned), "notify-callback holds {banned}");
    }
}

/// The code that a patch of the bug zoo breaks, hunk by hunk, as it stands before and with its file.
fn broken_by(patch: &str) -> Vec<(String, String)> {
    let mut hunks: Vec<(String, String)> = Vec::new();
    let mut file = String::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            path.clone_into(&mut file);
        } else if line.starts_with("@@ ") {
            hunks.push((file.clone(), String::new()));
        } else if let (Some((_, before)), Some(kept)) = (
            hunks.last_mut(),
            line.strip_prefix(' ').or(line.strip_prefix('-')),
        ) && !line.starts_with("---")
        {
            before.push_str(kept);
            before.push('\n');
        }
    }
    hunks
}

/// The zoo itself takes a quarter of an hour (tests/zoo/run); that its patches still fit takes none.
#[test]
fn the_bug_zoo_is_in_step_with_the_code() {
    let mut stale = Vec::new();
    let mut patches = 0;
    for entry in fs::read_dir(root().join("tests/zoo")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        patches += 1;
        let patch = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let hunks = broken_by(&patch);
        assert!(!hunks.is_empty(), "{name} breaks nothing");
        for (file, before) in hunks {
            let code = fs::read_to_string(root().join(&file)).unwrap_or_default();
            if !code.contains(&before) {
                stale.push(format!(
                    "{name}: {file} has changed where it was to be broken"
                ));
            }
        }
        let reds: Vec<&str> = patch
            .lines()
            .filter_map(|line| line.strip_prefix("Red: "))
            .collect();
        assert!(!reds.is_empty(), "{name} names no test");
        for red in reds {
            let (tests, test) = red.trim().split_once(' ').unwrap();
            let folder = if tests == "it" {
                "tests/it"
            } else {
                "shared/src"
            };
            let function = format!("fn {}(", test.rsplit("::").next().unwrap());
            let found = rust_files(&root().join(folder))
                .iter()
                .any(|file| fs::read_to_string(file).unwrap().contains(&function));
            if !found {
                stale.push(format!("{name}: there is no test {test}"));
            }
        }
    }
    assert!(patches >= 30, "{patches} patches");
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for folder in [
        "shared/src",
        "functions",
        "local/src",
        "benches",
        "simulator/src",
        "tests/it",
        "tests/harness",
    ] {
        for path in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(
                text.trim().is_empty() || text.starts_with("//!"),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn a_functions_main_is_a_dozen_lines() {
    for entry in fs::read_dir(root().join("functions")).unwrap() {
        let main = entry.unwrap().path().join("src/main.rs");
        assert!(
            fs::read_to_string(&main).unwrap().lines().count() <= 12,
            "{}",
            main.display()
        );
    }
}
