//! The tree keeps its layers: who may import whom, and what may be where.

use std::fs;
use std::path::{Path, PathBuf};

use imports::Modules;

#[path = "../imports/mod.rs"]
mod imports;

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
const SHARED_LAYERS: [&str; 21] = [
    "domain",
    "rfc3339",
    "random",
    "refund_mac",
    "panics",
    "clock",
    "telemetry",
    "transport",
    "process",
    "deadline",
    "bucket",
    "wechatpay",
    "store",
    "settlement",
    "bus",
    "config",
    "keyring",
    "settling_client",
    "refund_sender",
    "scheduled",
    "api",
];

/// The layers of `local`, from the bottom up.
const LOCAL_LAYERS: [&str; 16] = [
    "files",
    "lock",
    "loopback",
    "recorder",
    "condition",
    "schedule",
    "template",
    "functions",
    "aws",
    "console",
    "deliverer",
    "gateway",
    "feeder",
    "scheduler",
    "stack",
    "demo",
];

/// The layers of `operator`, from the bottom up.
const OPERATOR_LAYERS: [&str; 20] = [
    "exit",
    "groups",
    "money",
    "day",
    "output",
    "wait",
    "prompt",
    "api",
    "aws",
    "target",
    "orders",
    "refunds",
    "articles",
    "bill",
    "reconcile",
    "secrets",
    "events",
    "logs",
    "doctor",
    "command",
];

fn layer(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// The modules of a crate without its entry points, which may name everything.
fn modules_of(source: &str) -> Modules {
    let mut modules = imports::modules(&root().join(source));
    modules.retain(|module, _| !["lib", "main"].contains(&module.as_str()));
    modules
}

/// Imports that name a layer above the importing file's own, or none of `layers`.
fn climbing_imports(modules: &Modules, layers: &[&str]) -> Vec<String> {
    let place = |name: &str| layers.iter().position(|layer| *layer == name);
    let mut climbing = Vec::new();
    for (module, code) in modules {
        let own = layer(module);
        let Some(own_place) = place(own) else {
            climbing.push(format!("{own} is no layer: give it a place in the list"));
            continue;
        };
        if imports::hidden_roots(code) {
            climbing.push(format!(
                "{module} imports everything, or under another name"
            ));
        }
        for path in imports::named_paths(module, code) {
            if place(layer(&path)).is_none_or(|named| named > own_place) {
                climbing.push(format!("{module} imports {path}"));
            }
        }
    }
    climbing
}

/// Whether `module` stands below `parent`.
fn is_inside(module: &str, parent: &str) -> bool {
    let rest = module.strip_prefix(parent);
    rest.is_some_and(|rest| rest.starts_with("::"))
}

/// The circles of modules. What a child takes from its own parent is left out, since a parent speaks
/// for its children.
fn circles(modules: &Modules) -> Vec<String> {
    let mut imports = imports::imports(modules);
    for (module, named) in &mut imports {
        named.retain(|named| !is_inside(module, named));
    }
    imports::circles(&imports)
}

fn check_layers(source: &str, layers: &[&str]) {
    let modules = modules_of(source);
    assert!(modules.len() > 10, "the files of {source} were not found");
    let climbing = climbing_imports(&modules, layers);
    assert!(climbing.is_empty(), "{source}: {}", climbing.join("\n"));
    let circles = circles(&modules);
    assert!(circles.is_empty(), "{source}: {}", circles.join("\n"));
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
fn the_operators_tool_imports_only_downwards_and_in_no_circle() {
    check_layers("operator/src", &OPERATOR_LAYERS);
}

/// The credentials chain, prompts and progress bars are the tool's alone.
#[test]
fn no_function_links_the_operators_tool() {
    let mut manifests = vec![root().join("shared/Cargo.toml")];
    for entry in fs::read_dir(root().join("functions")).unwrap() {
        manifests.push(entry.unwrap().path().join("Cargo.toml"));
    }
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).unwrap();
        for banned in ["operator", "aws-config", "clap", "dialoguer", "indicatif"] {
            let found = text.contains(&format!("\n{banned}"));
            assert!(!found, "{} depends on {banned}", manifest.display());
        }
    }
}

/// `test = false` spares linking an empty test program; a test that is written there would never run.
#[test]
fn where_a_manifest_says_that_there_are_no_tests_there_are_none() {
    let mut packages: Vec<PathBuf> = ["local", "simulator"].map(|it| root().join(it)).into();
    for entry in fs::read_dir(root().join("functions")).unwrap() {
        packages.push(entry.unwrap().path());
    }
    for package in packages {
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        let untested = |heading: &str| {
            let section = manifest.split_once(heading).map_or("", |(_, after)| after);
            let section = section.split("\n[").next().unwrap_or_default();
            section.lines().any(|line| line == "test = false")
        };
        let source = package.join("src");
        let of_library = rust_files(&source).into_iter();
        let of_library = of_library.filter(|path| !path.ends_with("src/main.rs"));
        let mut silent = Vec::new();
        if untested("[lib]") {
            silent.extend(of_library);
        }
        if untested("[[bin]]") {
            silent.push(source.join("main.rs"));
        }
        for path in silent {
            let text = fs::read_to_string(&path).unwrap();
            let test = ["#[test]", "#[tokio::test", "#[cfg(test)]"]
                .into_iter()
                .find(|test| text.contains(test));
            assert_eq!(test, None, "{} would never run", path.display());
        }
    }
}

/// Names that `domain` gives to others itself, and that a file takes from their module all the same.
fn names_with_two_addresses(domain: &str, code: &str) -> Vec<String> {
    let given = planted(&[("domain", domain)]);
    let given = imports::re_exported(&given);
    let code = code.replace("shared::domain", "crate::domain");
    imports::named_paths("file", &code)
        .into_iter()
        .filter(|path| given.values().any(|given| given == path))
        .collect()
}

/// What `domain` gives to others itself is taken from there, and everything else from its module.
#[test]
fn no_name_of_the_domain_has_two_addresses() {
    let domain = code(&root().join("shared/src/domain.rs"));
    let mut seen = 0;
    for folder in [
        "shared",
        "functions",
        "local",
        "operator",
        "proof",
        "benches/src",
        "fuzz/src",
        "tests",
    ] {
        for path in rust_files(&root().join(folder)) {
            if path.starts_with(root().join("shared/src/domain")) || path.ends_with("it/tree.rs") {
                continue;
            }
            let text = code(&path);
            seen += text.matches("domain::").count();
            let twice = names_with_two_addresses(&domain, &text);
            assert!(twice.is_empty(), "{}: {twice:?}", path.display());
        }
    }
    assert!(seen > 100, "{seen} names of the domain");
    let list = "pub use order::{Order, OrderState};";
    for (code, seen) in [
        ("use crate::domain::Order;", vec![]),
        ("use shared::domain::order::ClosedBy;", vec![]),
        (
            "use crate::domain::order::Order;",
            vec!["domain::order::Order"],
        ),
        (
            "use shared::domain::{Fen, order::{ClosedBy, OrderState}};",
            vec!["domain::order::OrderState"],
        ),
    ] {
        assert_eq!(names_with_two_addresses(list, code), seen, "{code}");
    }
}

fn planted(files: &[(&str, &str)]) -> Modules {
    let files = files.iter();
    files
        .map(|(module, code)| ((*module).to_owned(), (*code).to_owned()))
        .collect()
}

#[test]
fn a_planted_climbing_import_is_seen() {
    let layers = ["domain", "store", "api"];
    let sound = [("domain", ""), ("store", ""), ("api", "")];
    assert!(climbing_imports(&planted(&sound), &layers).is_empty());
    for (module, code, seen) in [
        (
            "domain",
            "use crate::store::Orders;",
            "domain imports store::Orders",
        ),
        (
            "domain",
            "use super::api::Code;",
            "domain imports api::Code",
        ),
        (
            "store::order",
            "use super::super::api::Code;",
            "store::order imports api::Code",
        ),
        (
            "store::order",
            "use crate::{domain::{Fen, Order}, api};",
            "store::order imports api",
        ),
        (
            "store",
            "use crate as c;",
            "store imports everything, or under another name",
        ),
        (
            "extra",
            "",
            "extra is no layer: give it a place in the list",
        ),
    ] {
        let mut files = sound.to_vec();
        files.retain(|(named, _)| *named != module);
        files.push((module, code));
        assert_eq!(
            climbing_imports(&planted(&files), &layers),
            [seen],
            "{code}"
        );
    }
}

#[test]
fn a_planted_circle_is_seen() {
    // Children may use their parent, and each other one way.
    let sound = planted(&[
        ("domain", ""),
        ("store", "pub use order::{Orders, StoredOrder};"),
        (
            "store::item",
            "use super::{StoreError, Table}; use crate::domain::Fen;",
        ),
        (
            "store::order",
            "use super::item::{self, text}; use crate::{domain, store};",
        ),
    ]);
    assert!(circles(&sound).is_empty());
    let round = planted(&[
        ("store", ""),
        ("store::index", "use super::{StoreError, order::commit};"),
        ("store::item", "use crate::store::index::shard;"),
        ("store::order", "use super::item::text;"),
    ]);
    let expected = ["store::index → store::order → store::item → store::index"];
    assert_eq!(circles(&round), expected);
    // Through the names that their parent gives to others.
    let hidden = planted(&[
        (
            "domain",
            "pub use order::Order; pub use refund::{Refund, RefundState};",
        ),
        ("domain::order", "use super::RefundState;"),
        ("domain::refund", "use super::Order;"),
    ]);
    assert_eq!(
        circles(&hidden),
        ["domain::order → domain::refund → domain::order"]
    );
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
        let connects = code(path).contains("transport: Transport");
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

/// The zoo itself takes minutes (tests/zoo/run); that its patches still fit takes none.
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
            let name = test.rsplit("::").next().unwrap();
            let (files, function) = match tests {
                "it" | "operator" => (
                    rust_files(&root().join("tests").join(tests)),
                    format!("fn {name}("),
                ),
                "template" => (
                    ["shape", "least_privilege"]
                        .map(|file| root().join(format!("tests/template/{file}.py")))
                        .to_vec(),
                    format!("def {name}("),
                ),
                _ => (
                    rust_files(&root().join("shared/src")),
                    format!("fn {name}("),
                ),
            };
            let found = files
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
        "operator/src",
        "benches",
        "simulator/src",
        "tests/it",
        "tests/operator",
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
