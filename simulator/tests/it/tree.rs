//! The tree keeps its layers: a file of `simulator/src` imports only what stands below it, and no
//! file is part of a circle. `LAYERS` is the map to read first: what each room is for, from the
//! command at the top to plain values at the bottom.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A layer: what it is for, and its files. A folder belongs to the file that it is named after.
struct Layer {
    what: &'static str,
    files: &'static [&'static str],
}

/// From top to bottom. Files of one layer import each other only within one folder.
const LAYERS: &[Layer] = &[
    Layer {
        what: "the command and the library's names",
        files: &["main", "lib"],
    },
    Layer {
        what: "starting and stopping",
        files: &["simulator"],
    },
    Layer {
        what: "the ports: sockets of the API, and the control calls with the page",
        files: &["server", "control"],
    },
    Layer {
        what: "what a merchant asks of the API, from request bytes to signed answer bytes",
        files: &["api"],
    },
    Layer {
        what: "what a payer does on the phone",
        files: &["phone"],
    },
    Layer {
        what: "what time does: closes orders, ends refunds, sends notices that are due",
        files: &["schedule"],
    },
    Layer {
        what: "how a refund ends",
        files: &["refund_ending"],
    },
    Layer {
        what: "notices to the merchant; the merchant platform; bill files",
        files: &["notices", "merchant_platform", "bill_file"],
    },
    Layer {
        what: "the state behind its lock, and the two clocks",
        files: &["handle"],
    },
    Layer {
        what: "the state: everything the simulator knows",
        files: &["state"],
    },
    Layer {
        what: "the file that the state is kept in",
        files: &["journal"],
    },
    Layer {
        what: "who the merchants are; which faults are on",
        files: &["merchants", "faults"],
    },
    Layer {
        what: "records of orders, refunds, notices, codes and timers; keys and certificates",
        files: &["ledger", "keys"],
    },
    Layer {
        what: "what is forged alike in answers and notices",
        files: &["forgeries"],
    },
    Layer {
        what: "values that know nothing of the simulator",
        files: &[
            "beijing",
            "canonical",
            "changes",
            "config",
            "behaviours",
            "compression",
            "random",
            "request_body",
        ],
    },
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The files of `src` by their module paths, such as `api/orders`, with their code.
fn modules() -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![source()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(source()).unwrap().with_extension("");
                let name = name.to_str().unwrap().replace('\\', "/");
                // Tests inside the tree may look at everything beside them.
                if !name.ends_with("/tests") {
                    modules.insert(name, code(&fs::read_to_string(&path).unwrap()));
                }
            }
        }
    }
    modules
}

/// The code of a file, without comments, texts and its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a file names: after `crate::`, after `super::`, and after a `mod` of its own, each
/// as segments from the root of the crate. Groups in braces are taken apart.
fn named_paths(module: &str, code: &str) -> Vec<Vec<String>> {
    let own: Vec<String> = module.split('/').map(str::to_owned).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` and names that end in crate are none of ours.
        if !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            expand(&[], &code[at + "crate::".len()..], &mut found);
        }
    }
    let mut rest = code;
    let mut offset = 0;
    while let Some(at) = rest.find("super::") {
        let mut parents = 0;
        let mut after = &rest[at..];
        while let Some(deeper) = after.strip_prefix("super::") {
            parents += 1;
            after = deeper;
        }
        let base = &own[..own.len().saturating_sub(parents)];
        expand(base, after, &mut found);
        offset += rest.len() - after.len();
        rest = &code[offset..];
    }
    for line in code.lines() {
        let line = line
            .trim_start_matches("pub(crate) ")
            .trim_start_matches("pub ");
        if let Some(child) = line
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            let mut path = if module == "lib" {
                Vec::new()
            } else {
                own.clone()
            };
            path.push(child.to_owned());
            found.push(path);
        }
    }
    found
}

/// Reads `a::b::{c, d::e}` into the paths that it names below `base`.
fn expand(base: &[String], text: &str, found: &mut Vec<Vec<String>>) {
    let mut path = base.to_vec();
    let mut rest = text;
    loop {
        let name: String = rest
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        rest = &rest[name.len()..];
        if !name.is_empty() {
            path.push(name);
        }
        match rest.strip_prefix("::") {
            Some(deeper) => rest = deeper,
            None => break,
        }
    }
    let Some(group) = rest.strip_prefix('{') else {
        found.push(path);
        return;
    };
    let mut depth = 0;
    let mut item = String::new();
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&path, item.trim(), found);
                item.clear();
                continue;
            }
            _ => {}
        }
        item.push(letter);
    }
    if !item.trim().is_empty() {
        expand(&path, item.trim(), found);
    }
}

/// The file that a path leads to: the longest beginning that is one.
fn file_of(path: &[String], modules: &BTreeMap<String, String>) -> Option<String> {
    (1..=path.len())
        .rev()
        .map(|length| path[..length].join("/"))
        .find(|name| modules.contains_key(name))
}

/// Which file imports which. A `mod` is an import of the child, since the parent speaks for it.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let modules = modules();
    modules
        .iter()
        .map(|(module, code)| {
            let files = named_paths(module, code)
                .iter()
                .filter_map(|path| file_of(path, &modules))
                .filter(|file| file != module)
                .collect();
            (module.clone(), files)
        })
        .collect()
}

/// The place of a file among the layers, by the first part of its path.
fn place(module: &str) -> usize {
    let room = module.split('/').next().unwrap();
    LAYERS
        .iter()
        .position(|layer| layer.files.contains(&room))
        .unwrap_or_else(|| panic!("{room}.rs is in no layer: write it into LAYERS"))
}

#[test]
fn layers_import_only_what_is_below_them() {
    let mut broken = Vec::new();
    for (module, files) in imports() {
        for file in files {
            let same_room = module.split('/').next() == file.split('/').next();
            if !same_room && place(&file) <= place(&module) {
                broken.push(format!(
                    "{module}.rs ({}) imports {file}.rs ({})",
                    LAYERS[place(&module)].what,
                    LAYERS[place(&file)].what,
                ));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_file_named_in_a_layer_exists() {
    let modules = modules();
    for file in LAYERS.iter().flat_map(|layer| layer.files) {
        assert!(modules.contains_key(*file), "LAYERS names {file}.rs");
    }
}

#[test]
fn no_file_is_part_of_a_circle() {
    let imports = imports();
    assert!(imports.len() > 40, "the files were not found");
    let circles = circles(&imports);
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

/// Every shortest way from a file back to itself, each once.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for start in imports.keys() {
        let mut reached: BTreeMap<&String, &String> = BTreeMap::new();
        let mut ends = vec![start];
        while let Some(file) = ends.pop() {
            for next in &imports[file] {
                if !reached.contains_key(next) {
                    reached.insert(next, file);
                    ends.insert(0, next);
                }
            }
        }
        if let Some(last) = reached.get(start) {
            let mut way = vec![start.as_str()];
            let mut file = *last;
            while file != start {
                way.push(file);
                file = reached[file];
            }
            way.reverse();
            let first = way.iter().enumerate().min_by_key(|(_, file)| **file);
            let first = first.unwrap().0;
            way.rotate_left(first);
            way.push(way[0]);
            found.insert(way.join(" -> "));
        }
    }
    found.into_iter().collect()
}

#[test]
fn circles_and_groups_are_found() {
    let of = |pairs: &[(&str, &[&str])]| {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pairs
            .iter()
            .map(|(file, names)| ((*file).to_owned(), owned(names)))
            .collect::<BTreeMap<String, BTreeSet<String>>>()
    };
    let open = of(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]);
    assert_eq!(circles(&open), [""; 0]);
    let closed = of(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["a"])]);
    assert_eq!(circles(&closed), ["a -> b -> c -> a"]);
    let code = "use crate::ledger::{self, order::{Order, OrderKey}};\nuse super::request::Request;";
    let paths = named_paths("api/orders", code);
    let paths: Vec<String> = paths.iter().map(|path| path.join("/")).collect();
    let wanted = [
        "ledger/self",
        "ledger/order/Order",
        "ledger/order/OrderKey",
        "api/request/Request",
    ];
    assert_eq!(paths, wanted);
}
