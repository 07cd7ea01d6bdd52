//! Which module of a crate imports which, read from its source files: what the tests of the tree ask.
//!
//! A name that a parent re-exports (`pub use order::Order`) leads to the child that it comes from, so
//! that children which import each other through their parent are seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A crate's modules (`store::order`; the root is empty) with their code.
pub type Modules = BTreeMap<String, String>;

/// Which module imports which.
pub type Imports<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The modules of the crate in this folder; tests may look at everything and are left out.
pub fn modules(source: &Path) -> Modules {
    let mut modules = Modules::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
                let inside = path.strip_prefix(source).unwrap().with_extension("");
                let parts: Vec<_> = inside.iter().map(|part| part.to_str().unwrap()).collect();
                let code = code(&fs::read_to_string(&path).unwrap());
                modules.insert(parts.join("::"), code);
            }
        }
    }
    modules
}

/// A file's code without comments, and without the module of tests that ends it.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a module's code names from the crate's root: those that begin with `crate` or
/// `super`, each as far as it is written.
pub fn named_paths(module: &str, code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if starts_a_word(code, at) {
            expand("", &code[at + "crate::".len()..], &mut named);
        }
    }
    for (at, _) in code.match_indices("super::") {
        if !starts_a_word(code, at) || code[..at].ends_with("super::") {
            continue;
        }
        let (mut base, mut rest) = (module, &code[at..]);
        while let Some(after) = rest.strip_prefix("super::") {
            base = base.rsplit_once("::").map_or("", |(parent, _)| parent);
            rest = after;
        }
        expand(base, rest, &mut named);
    }
    named
}

/// Names under which a whole crate or parent is hidden from this reading.
pub fn hidden_roots(code: &str) -> bool {
    ["use crate as ", "use super as ", "crate::*", "super::*"]
        .iter()
        .any(|hidden| code.contains(hidden))
}

fn starts_a_word(code: &str, at: usize) -> bool {
    // `$crate::` and `my_crate::` are none of this crate's own.
    !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$')
}

/// Reads `a::b::{c, d::e}` into the paths that it names below `base`.
fn expand(base: &str, text: &str, named: &mut Vec<String>) {
    let is_path = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let end = text.find(|letter| !is_path(letter)).unwrap_or(text.len());
    let path = joined(base, text[..end].trim_end_matches(':'));
    let Some(group) = text[end..].strip_prefix('{') else {
        named.push(path);
        return;
    };
    let (mut depth, mut start) = (0_u32, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                let item = group[start..at].trim();
                if !item.is_empty() {
                    expand(&path, item, named);
                }
                if letter == '}' {
                    return;
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

fn joined(base: &str, path: &str) -> String {
    match (base, path) {
        ("", path) => path.to_owned(),
        (base, "" | "self") => base.to_owned(),
        (base, path) => format!("{base}::{path}"),
    }
}

/// What a module re-exports: the name that others use, and the path that it comes from.
fn re_exports(module: &str, code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in ["pub use ", "pub(crate) use ", "pub(super) use "] {
        for (at, _) in code.match_indices(line) {
            let text = &code[at + line.len()..];
            let text = &text[..text.find(';').unwrap_or(text.len())];
            let mut paths = Vec::new();
            if text.starts_with("crate::") || text.starts_with("super::") {
                paths = named_paths(module, text);
            } else {
                expand(module, text.trim_start_matches("self::"), &mut paths);
            }
            for path in paths {
                let name = path.rsplit("::").next().unwrap().to_owned();
                found.push((joined(module, &name), path));
            }
        }
    }
    found
}

/// The names that modules give to others, each with the path that it comes from.
pub fn re_exported(modules: &Modules) -> BTreeMap<String, String> {
    modules
        .iter()
        .flat_map(|(module, code)| re_exports(module, code))
        .collect()
}

/// Which module imports which, by all paths that their code names.
pub fn imports(modules: &Modules) -> Imports<'_> {
    let re_exported = re_exported(modules);
    let mut imports = Imports::new();
    for (module, code) in modules {
        let found = named_paths(module, code)
            .into_iter()
            .filter_map(|path| owner(&path, modules, &re_exported))
            .filter(|found| found != module);
        imports.insert(module, found.collect());
    }
    imports
}

/// The module that a path leads to, behind what is re-exported on the way.
fn owner<'a>(
    path: &str,
    modules: &'a Modules,
    re_exported: &BTreeMap<String, String>,
) -> Option<&'a str> {
    let mut path = path.to_owned();
    // Chains of re-exports are short; a bound keeps a circle of them from going on for ever.
    for _ in 0..8 {
        let prefixes = || {
            let ends = path.match_indices("::").map(|(at, _)| at);
            ends.chain([path.len()]).map(|end| &path[..end])
        };
        let Some(known) = prefixes().find(|prefix| re_exported.contains_key(*prefix)) else {
            break;
        };
        let next = format!("{}{}", re_exported[known], &path[known.len()..]);
        if next == path {
            break;
        }
        path = next;
    }
    let mut path = path.as_str();
    loop {
        if let Some((module, _)) = modules.get_key_value(path) {
            return Some(module);
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// For each module that is part of a circle the shortest way from it back to itself, each way once.
pub fn circles(imports: &Imports<'_>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for start in imports.keys() {
        let mut reached: BTreeMap<&str, &str> = BTreeMap::new();
        let mut ends = std::collections::VecDeque::from([*start]);
        while let Some(module) = ends.pop_front() {
            for next in imports.get(module).into_iter().flatten() {
                if !reached.contains_key(next) {
                    reached.insert(next, module);
                    ends.push_back(next);
                }
            }
        }
        let Some(last) = reached.get(start) else {
            continue;
        };
        let mut way = vec![*start];
        let mut module = *last;
        while module != *start {
            way.push(module);
            module = reached[module];
        }
        way.reverse();
        let least = way.iter().enumerate().min_by_key(|(_, module)| **module);
        let least = least.unwrap().0;
        way.rotate_left(least);
        way.push(way[0]);
        found.insert(way.join(" → "));
    }
    found.into_iter().collect()
}
