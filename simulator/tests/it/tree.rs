//! The tree keeps its layers: a file of `simulator/src` imports only what stands below it, and no
//! file is part of a circle. `LAYERS` is the map to read first: what each room is for, from the
//! command at the top to plain values at the bottom.

use std::path::Path;

use imports::{Imports, Modules};

#[path = "../../../tests/imports/mod.rs"]
mod imports;

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
        what: "the same in another program, without ports and folder",
        files: &["embedded"],
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
        what: "who the merchants are, and the tokens of their apps; which faults are on",
        files: &["merchants", "access_tokens", "faults"],
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
            "exchange",
            "outgoing",
            "random",
            "request_body",
        ],
    },
];

fn modules() -> Modules {
    imports::modules(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// Which file imports which. A `mod` is an import of the child, since the parent speaks for it; so a
/// child takes nothing that its parent defines.
fn imports_of(modules: &Modules) -> Imports<'_> {
    let mut imports = imports::imports(modules);
    for module in modules.keys() {
        let parent = module.rsplit_once("::").map(|(parent, _)| parent);
        if let Some(children) = parent.and_then(|parent| imports.get_mut(parent)) {
            children.insert(module);
        }
    }
    imports
}

/// The place of a file among the layers, by the first part of its path.
fn place(module: &str) -> usize {
    let room = module.split("::").next().unwrap();
    LAYERS
        .iter()
        .position(|layer| layer.files.contains(&room))
        .unwrap_or_else(|| panic!("{room}.rs is in no layer: write it into LAYERS"))
}

#[test]
fn layers_import_only_what_is_below_them() {
    let mut broken = Vec::new();
    let modules = modules();
    for (module, files) in imports_of(&modules) {
        assert!(!imports::hidden_roots(&modules[module]), "{module}");
        for file in files {
            let same_room = module.split("::").next() == file.split("::").next();
            if !same_room && place(file) <= place(module) {
                broken.push(format!(
                    "{module} ({}) imports {file} ({})",
                    LAYERS[place(module)].what,
                    LAYERS[place(file)].what,
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
    let modules = modules();
    assert!(modules.len() > 40, "the files were not found");
    let circles = imports::circles(&imports_of(&modules));
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_planted_circle_is_seen() {
    let plant = |code: &str| -> Modules {
        let files = [
            ("api", "mod orders; pub(crate) struct Api;"),
            ("api::orders", code),
            ("ledger", "pub(crate) use order::Order;"),
            ("ledger::order", ""),
        ];
        let files = files.iter();
        files
            .map(|(module, code)| ((*module).to_owned(), (*code).to_owned()))
            .collect()
    };
    let sound = plant("use crate::ledger::{self, Order};");
    assert!(imports::circles(&imports_of(&sound)).is_empty());
    assert!(imports_of(&sound)["api::orders"].contains("ledger::order"));
    let round = plant("use super::Api;");
    let circles = imports::circles(&imports_of(&round));
    assert_eq!(circles, ["api → api::orders → api"]);
}
