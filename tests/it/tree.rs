//! The tree keeps its layers: who may import whom, and what may be where.

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

/// The layer of a file of `shared`: the first part of its path.
fn layer(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("shared/src")).unwrap();
    let first = inside
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn shared_layers_import_only_downwards() {
    // Each layer and the layers of `shared` it may name.
    let arrows: [(&str, &[&str]); 15] = [
        ("domain", &["domain"]),
        ("clock", &["domain"]),
        ("random", &[]),
        ("rfc3339", &["domain"]),
        ("telemetry", &["telemetry", "clock", "domain", "rfc3339"]),
        ("platform", &["clock", "telemetry"]),
        (
            "wechatpay",
            &["wechatpay", "domain", "clock", "random", "rfc3339"],
        ),
        ("store", &["store", "domain", "random"]),
        ("settlement", &["store", "wechatpay", "domain"]),
        (
            "config",
            &[
                "config",
                "clock",
                "domain",
                "platform",
                "store",
                "telemetry",
                "wechatpay",
            ],
        ),
        (
            "api",
            &[
                "api",
                "config",
                "clock",
                "domain",
                "platform",
                "rfc3339",
                "store",
                "telemetry",
                "wechatpay",
            ],
        ),
        (
            "settling_client",
            &[
                "api",
                "config",
                "clock",
                "domain",
                "settlement",
                "store",
                "telemetry",
                "wechatpay",
            ],
        ),
        (
            "refund_sender",
            &[
                "api",
                "clock",
                "settling_client",
                "domain",
                "store",
                "telemetry",
                "wechatpay",
            ],
        ),
        ("lib", &[]),
        ("", &[]),
    ];
    let mut broken = Vec::new();
    for path in rust_files(&root().join("shared/src"))
        .iter()
        .filter(|path| !is_test(path))
    {
        let layer = layer(path);
        let allowed = arrows.iter().find(|(name, _)| *name == layer);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{layer} is no layer: add its arrows"));
        for part in code(path).split("crate::").skip(1) {
            let named: String = part
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            if !allowed.contains(&named.as_str()) {
                broken.push(format!("{}: {layer} imports {named}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
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
