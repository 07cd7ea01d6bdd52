//! Many mistakes in one tree, of which an environment variable chooses one when the program runs.
//!
//! The body of a function that mistakes change becomes a `match`: an arm for each of them, and the body as
//! it was for everything else. What a mistake changes in a constant is put before the bodies of the
//! functions that use it, where it hides the constant. A `const fn` loses its `const`, and so do those that
//! call it, as the variable is read at run time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::source::{Constant, Difference, Function, Source};

/// The variable that names the mistake to make.
pub(crate) const SWITCH: &str = "ZOO";

/// Read once by each function that asks.
const ASKED: &str = r#"match { static ZOO: ::std::sync::LazyLock<::std::string::String> = ::std::sync::LazyLock::new(|| ::std::env::var("ZOO").unwrap_or_default()); ZOO.as_str() }"#;

/// A mistake: the files that it changes, each as a whole.
pub(crate) struct Mutant {
    pub(crate) name: String,
    pub(crate) files: BTreeMap<PathBuf, String>,
    /// Where it is all at one place: that, as bytes of the one file, and what stands there with it.
    pub(crate) only: Option<(Range<usize>, String)>,
}

/// Where in the tree a mistake is.
pub(crate) struct Arm {
    pub(crate) file: PathBuf,
    /// The first and the last line.
    pub(crate) lines: (usize, usize),
    pub(crate) mutant: String,
}

/// The files with all mistakes in them.
#[derive(Default)]
pub(crate) struct Woven {
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) arms: Vec<Arm>,
}

/// The files of the tree, taken apart.
pub(crate) type Tree = BTreeMap<PathBuf, Source>;

/// What stands at a place of a file under a mistake.
type Places<'m> = BTreeMap<(&'m Path, usize), Choice<'m>>;

struct Choice<'m> {
    place: Range<usize>,
    arms: Vec<(&'m str, &'m str)>,
}

/// A mistake, by what it puts where.
pub(crate) struct Placed<'t> {
    pub(crate) name: String,
    arms: Vec<(&'t Path, Range<usize>, String)>,
}

/// The mistakes by what they put where, and those that no switch can choose, with the reason.
pub(crate) fn placed<'t>(
    tree: &'t Tree,
    mutants: &[Mutant],
) -> (Vec<Placed<'t>>, BTreeMap<String, String>) {
    let fixed = called_by_constants(tree);
    let mut placed = Vec::new();
    let mut alone = BTreeMap::new();
    for mutant in mutants {
        let name = mutant.name.clone();
        match arms_of(tree, mutant, &fixed) {
            Ok(arms) => placed.push(Placed { name, arms }),
            Err(why) => {
                alone.insert(name, why);
            }
        }
    }
    (placed, alone)
}

/// Puts all of them into the files.
pub(crate) fn weave(tree: &Tree, placed: &[Placed<'_>]) -> Woven {
    let mut woven = Woven::default();
    let mut places = Places::new();
    for Placed { name, arms } in placed {
        for (file, place, text) in arms {
            let choice = places
                .entry((*file, place.start))
                .or_insert_with(|| Choice {
                    place: place.clone(),
                    arms: Vec::new(),
                });
            choice.arms.push((name, text));
        }
    }
    let unconst = without_const(tree, &places);
    let files: BTreeSet<&Path> = places
        .keys()
        .map(|(file, _)| *file)
        .chain(unconst.keys().map(|(file, _)| *file))
        .collect();
    for file in files {
        write_file(file, &tree[file].text, &places, &unconst, &mut woven);
    }
    woven
}

fn write_file(
    file: &Path,
    before: &str,
    places: &Places<'_>,
    unconst: &BTreeMap<(&Path, usize), Range<usize>>,
    woven: &mut Woven,
) {
    let mut text = String::new();
    let mut reached = 0;
    let choices = places.range((file, 0)..=(file, usize::MAX));
    let mut edits: BTreeMap<usize, (Range<usize>, Option<&Choice<'_>>)> = choices
        .map(|((_, start), choice)| (*start, (choice.place.clone(), Some(choice))))
        .collect();
    let words = unconst.range((file, 0)..=(file, usize::MAX));
    edits.extend(words.map(|((_, start), place)| (*start, (place.clone(), None))));
    for (_, (place, choice)) in edits {
        text.push_str(&before[reached..place.start]);
        reached = place.end;
        let Some(choice) = choice else { continue };
        let _ = writeln!(text, "{{ {ASKED} {{");
        let mut last = text.matches('\n').count();
        for (mutant, arm) in &choice.arms {
            let first = last + 1;
            let _ = writeln!(text, "{mutant:?} => {{ {arm} }}");
            last = first + arm.matches('\n').count();
            woven.arms.push(Arm {
                file: file.to_owned(),
                lines: (first, last),
                mutant: (*mutant).to_owned(),
            });
        }
        let _ = write!(text, "_ => {{ {} }} }} }}", &before[place]);
    }
    text.push_str(&before[reached..]);
    woven.files.insert(file.to_owned(), text);
}

/// A file, a body in it, and what a mistake makes of that.
type Change<'t> = (&'t Path, Range<usize>, String);

/// What a mistake at one place puts there, if that is in a function whose body can be chosen. To take the broken
/// file apart for it would take longer than all the rest.
fn arm_at<'t>(tree: &'t Tree, mutant: &Mutant, fixed: &BTreeSet<&str>) -> Option<Change<'t>> {
    let (at, new) = mutant.only.as_ref()?;
    let (file, source) = tree.get_key_value(mutant.files.keys().next()?)?;
    let around = source.functions.values().filter(|function| {
        let braces = &function.braces;
        braces.start <= at.start && at.end <= braces.end
    });
    let function = around.max_by_key(|function| function.braces.len())?;
    let is_fixed = function.constness.is_some() && fixed.contains(function.name.as_str());
    if function.lets.is_some() || is_fixed {
        return None;
    }
    let braces = function.braces.clone();
    let text = &source.text;
    let body = format!(
        "{}{new}{}",
        &text[braces.start..at.start],
        &text[at.end..braces.end]
    );
    Some((file, braces, body))
}

/// What a mistake puts where.
fn arms_of<'t>(
    tree: &'t Tree,
    mutant: &Mutant,
    fixed: &BTreeSet<&str>,
) -> Result<Vec<Change<'t>>, String> {
    if let Some(arm) = arm_at(tree, mutant, fixed) {
        return Ok(vec![arm]);
    }
    let mut arms = Vec::new();
    let mut bodies = BTreeMap::new();
    let mut constants = Vec::new();
    for (file, text) in &mutant.files {
        let (file, source) = tree
            .get_key_value(file)
            .ok_or("it changes what is no code")?;
        let broken = Source::parse(text.clone()).map_err(|error| error.to_string())?;
        let Difference {
            functions,
            constants: changed,
        } = source.difference(&broken)?;
        for path in functions {
            let (ours, theirs) = (&source.functions[&path], &broken.functions[&path]);
            if let Some(lets) = &ours.lets {
                let place = ours
                    .differing_let(theirs)
                    .ok_or("it changes the type of an `impl Trait`")?;
                let value = theirs.lets.as_ref().map(|lets| lets[place].place.clone());
                let value = &broken.text[value.unwrap_or_default()];
                arms.push((file.as_path(), lets[place].place.clone(), value.to_owned()));
            } else {
                let body = &broken.text[theirs.braces.clone()];
                bodies.insert((file.as_path(), path), body.to_owned());
            }
        }
        for path in changed {
            constants.push((file.as_path(), &source.constants[&path], {
                let text = broken
                    .constants
                    .get(&path)
                    .map(|constant| constant.text.clone());
                text.unwrap_or_default()
            }));
        }
    }
    if !constants.is_empty() {
        hide(tree, constants, &mut bodies)?;
    }
    for ((file, path), body) in bodies {
        let function = &tree[file].functions[&path];
        if function.lets.is_some() {
            return Err("it changes a constant of an `impl Trait`".to_owned());
        }
        if function.constness.is_some() && fixed.contains(function.name.as_str()) {
            return Err("it changes a function that a constant calls".to_owned());
        }
        arms.push((file, function.braces.clone(), body));
    }
    if arms.is_empty() {
        return Err("it changes nothing that is used".to_owned());
    }
    Ok(arms)
}

/// A constant that a mistake changes, or one that is made of such: where it is, its name and new text.
struct Hidden<'t> {
    file: &'t Path,
    name: &'t str,
    is_public: bool,
    text: String,
}

impl Hidden<'_> {
    /// Whether the name means this constant in a file.
    fn is_meant_in(&self, tree: &Tree, file: &Path) -> bool {
        if file == self.file {
            return true;
        }
        let home = crate_of(self.file);
        if !self.is_public && crate_of(file) != home {
            return false;
        }
        let has = |source: &Source| source.constants.values().any(|one| one.name == self.name);
        if tree.get(file).is_some_and(has) {
            return false;
        }
        let same = tree
            .iter()
            .filter(|(path, source)| crate_of(path) == home && has(source));
        same.count() == 1 || file.starts_with(self.file.with_extension(""))
    }
}

/// Puts changed constants before the bodies of the functions that use them.
fn hide<'t>(
    tree: &'t Tree,
    changed: Vec<(&'t Path, &'t Constant, String)>,
    bodies: &mut BTreeMap<(&'t Path, String), String>,
) -> Result<(), String> {
    let mut hidden: Vec<Hidden<'t>> = changed
        .into_iter()
        .map(|(file, constant, text)| Hidden {
            file,
            name: &constant.name,
            is_public: constant.is_public,
            text,
        })
        .collect();
    // Constants that are made of these change with them.
    let mut looked = 0;
    while looked < hidden.len() {
        for (file, source) in tree {
            for constant in source.constants.values() {
                let known = hidden
                    .iter()
                    .any(|one| one.file == file && one.name == constant.name);
                let one = &hidden[looked];
                if !known && has_word(&constant.text, one.name) && one.is_meant_in(tree, file) {
                    hidden.push(Hidden {
                        file,
                        name: &constant.name,
                        is_public: constant.is_public,
                        text: constant.text.clone(),
                    });
                }
            }
        }
        looked += 1;
    }
    let before = bodies.len();
    let mut used = false;
    for (file, source) in tree {
        let meant: Vec<&Hidden<'_>> = hidden
            .iter()
            .filter(|one| has_word(&source.text, one.name) && one.is_meant_in(tree, file))
            .collect();
        if meant.is_empty() {
            continue;
        }
        for (path, function) in &source.functions {
            let key = (file.as_path(), path.clone());
            let own = source.text[function.braces.clone()].to_owned();
            let mut body = bodies.get(&key).cloned().unwrap_or(own);
            if !meant.iter().any(|one| has_word(&body, one.name)) {
                continue;
            }
            used = true;
            for one in &meant {
                body = unqualified(&body, one.name);
            }
            let mut all = String::new();
            for one in &hidden {
                let mut text = one.text.clone();
                for other in &hidden {
                    text = unqualified(&text, other.name);
                }
                let _ = writeln!(all, "const {}: {text};", one.name);
            }
            bodies.insert(key, format!("{{ {all} {body} }}"));
        }
    }
    if used || before > 0 {
        Ok(())
    } else {
        Err("it changes a constant that no function uses".to_owned())
    }
}

/// The `const`s that have to go: those of functions that ask, and of those that call them.
fn without_const<'t>(
    tree: &'t Tree,
    places: &Places<'t>,
) -> BTreeMap<(&'t Path, usize), Range<usize>> {
    let mut gone = BTreeMap::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    loop {
        let before = gone.len();
        for (file, source) in tree {
            for function in source.functions.values() {
                let Some(word) = &function.constness else {
                    continue;
                };
                let calls = || names.iter().any(|name| calls(function, name, source));
                if places.contains_key(&(file.as_path(), function.braces.start)) || calls() {
                    gone.insert((file.as_path(), word.start), word.clone());
                    names.insert(&function.name);
                }
            }
        }
        if gone.len() == before {
            return gone;
        }
    }
}

/// The names of the functions that have to stay `const`: those that constants and statics call, and those that
/// these call. What a macro makes of its text is not looked at: it is mostly tests.
fn called_by_constants(tree: &Tree) -> BTreeSet<&str> {
    let is_called = |text: &str, name: &str| {
        words(text, name).any(|(_, after)| after.starts_with('(') || after.starts_with(" ("))
    };
    let of_tree = || {
        let functions = tree
            .values()
            .map(|source| (source, source.functions.values()));
        functions.flat_map(|(source, functions)| functions.map(move |one| (source, one)))
    };
    let consts = || of_tree().filter(|(_, function)| function.constness.is_some());
    let names: BTreeSet<&str> = consts()
        .map(|(_, function)| function.name.as_str())
        .collect();
    let mut fixed: BTreeSet<&str> = BTreeSet::new();
    for source in tree.values() {
        let constants = source
            .constants
            .values()
            .map(|constant| constant.text.as_str());
        for text in constants.chain([source.statics.as_str()]) {
            fixed.extend(names.iter().filter(|name| is_called(text, name)));
        }
    }
    loop {
        let before = fixed.len();
        for (source, function) in consts() {
            if fixed.contains(function.name.as_str()) {
                let body = &source.text[function.braces.clone()];
                fixed.extend(names.iter().filter(|name| is_called(body, name)));
            }
        }
        if fixed.len() == before {
            return fixed;
        }
    }
}

fn calls(function: &Function, name: &str, source: &Source) -> bool {
    let body = &source.text[function.braces.clone()];
    words(body, name).any(|(_, after)| after.starts_with('('))
}

/// The folder of a file's crate; the tests' folders count as one.
fn crate_of(file: &Path) -> PathBuf {
    let parts = if file.starts_with("functions") || file.starts_with("tests") {
        2
    } else {
        1
    };
    file.components().take(parts).collect()
}

/// Where a name stands as a word: what is before and after each time.
fn words<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let is_part = |part: char| part.is_alphanumeric() || part == '_';
    text.match_indices(name)
        .map(move |(at, _)| (&text[..at], &text[at + name.len()..]))
        .filter(move |(before, after)| !before.ends_with(is_part) && !after.starts_with(is_part))
}

fn has_word(text: &str, name: &str) -> bool {
    words(text, name).next().is_some()
}

/// A text in which a name has no path before it.
fn unqualified(text: &str, name: &str) -> String {
    let mut without = String::new();
    let mut reached = 0;
    for (before, _) in words(text, name) {
        let at = before.len();
        let path =
            before.trim_end_matches(|part: char| part.is_alphanumeric() || "_:".contains(part));
        let start = if before.ends_with("::") {
            path.len()
        } else {
            at
        };
        without.push_str(&text[reached..start]);
        without.push_str(name);
        reached = at + name.len();
    }
    without.push_str(&text[reached..]);
    without
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn tree(text: &str) -> Tree {
        let source = Source::parse(text.to_owned()).unwrap();
        [(PathBuf::from("shared/src/lib.rs"), source)].into()
    }

    fn woven(before: &str, broken: &str) -> Result<String, String> {
        let file = PathBuf::from("shared/src/lib.rs");
        let mutant = Mutant {
            name: "mistake".to_owned(),
            files: [(file.clone(), broken.to_owned())].into(),
            only: None,
        };
        let tree = tree(before);
        let (placed, alone) = placed(&tree, &[mutant]);
        match alone.into_values().next() {
            Some(why) => Err(why),
            None => Ok(crate::source::plain(&weave(&tree, &placed).files[&file])),
        }
    }

    #[test]
    fn a_changed_body_is_chosen_beside_the_other() {
        let text = woven("fn f() -> u8 { 1 }", "fn f() -> u8 { /* no */ 2 }").unwrap();
        assert!(
            text.contains(r#""mistake" => { { 2 } } _ => { { 1 } }"#),
            "{text}"
        );
    }

    #[test]
    fn a_mistake_at_one_place_is_chosen_without_taking_its_file_apart() {
        let before = "const A: u8 = 1; fn f() -> u8 { A + 1 }";
        let tree = tree(before);
        let one = |at: Range<usize>| Mutant {
            name: "mistake".to_owned(),
            files: [(PathBuf::from("shared/src/lib.rs"), "no Rust".to_owned())].into(),
            only: Some((at, "-".to_owned())),
        };
        let plus = before.find('+').unwrap();
        let (placed, alone) = placed(&tree, &[one(plus..plus + 1), one(0..1)]);
        assert_eq!(placed[0].arms[0].2, "{ A - 1 }");
        assert_eq!((placed.len(), alone.len()), (1, 1));
    }

    #[test]
    fn a_function_that_asks_is_not_const_nor_are_its_callers() {
        let text = woven(
            "const fn f() -> u8 { 1 } const fn g() -> u8 { f() } const fn h() {}",
            "const fn f() -> u8 { 2 } const fn g() -> u8 { f() } const fn h() {}",
        );
        assert_eq!(text.unwrap().matches("const fn").count(), 1);
    }

    #[test]
    fn a_changed_constant_is_hidden_where_it_is_used_also_by_another_constant() {
        let text = woven(
            "const A: u8 = 1; const B: u8 = A + 1; fn f() -> u8 { self::B } fn g() {}",
            "const A: u8 = 5; const B: u8 = A + 1; fn f() -> u8 { self::B } fn g() {}",
        );
        let text = text.unwrap();
        let arm = "{ const A : u8 = 5 ; const B : u8 = A + 1 ; { B } }";
        assert!(text.contains(arm), "{text}");
        assert_eq!(text.matches("mistake").count(), 1);
    }

    #[test]
    fn a_function_that_a_constant_calls_is_left_alone_and_one_that_a_macro_names_is_not() {
        let before = "const fn f() -> u8 { 1 } proptest! { fn t() { f() } }";
        assert!(woven(before, &before.replace('1', "2")).is_ok());
        for user in ["const A: u8 = f();", "static A: u8 = f();"] {
            let before = format!("const fn f() -> u8 {{ 1 }} {user}");
            assert!(woven(&before, &before.replace('1', "2")).is_err());
        }
    }

    #[test]
    fn the_value_of_a_let_is_chosen_where_the_type_is_opaque() {
        let text = woven(
            "fn f() -> impl Iterator<Item = u8> { let most = 1; (0..most).map(|n| n) }",
            "fn f() -> impl Iterator<Item = u8> { let most = 2; (0..most).map(|n| n) }",
        );
        let text = text.unwrap();
        assert!(text.contains("_ => { 1 } } } ; (0 .. most)"), "{text}");
    }

    #[test]
    fn what_no_switch_can_choose_is_told() {
        for (before, broken) in [
            ("struct S;", "struct S(u8);"),
            ("fn f() {}", "fn f(_: u8) {}"),
            ("fn f() {}", "fn f() {} fn g() {}"),
            ("const A: u8 = 1;", "const A: u8 = 2;"),
            ("fn f() -> impl Sized { 1 }", "fn f() -> impl Sized { 2 }"),
        ] {
            assert!(woven(before, broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn names_lose_their_paths_and_only_whole_names() {
        assert_eq!(
            unqualified("a(super::x::A, A, BA::A, AB, \"{A}\")", "A"),
            "a(A, A, A, AB, \"{A}\")"
        );
    }
}
