//! Mistakes made by rule: each operator, guard, number, statement and body of a file, and each condition of
//! a write, is put wrong once.

use std::collections::BTreeMap;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Lit, ReturnType, Signature, Stmt, UnOp};

use crate::Error;
use crate::source::plain;

/// How much of the code a name tells.
const SHOWN: usize = 60;

/// A mistake of a file.
pub(crate) struct Mistake {
    /// What is done, without line numbers, so that it is the same after lines have moved.
    pub(crate) name: String,
    /// The whole file with it.
    pub(crate) text: String,
    /// What it replaces, as bytes of the file.
    pub(crate) at: Range<usize>,
    /// What stands there with it.
    pub(crate) new: String,
}

/// All mistakes of a file.
pub(crate) fn mistakes(text: &str) -> Result<Vec<Mistake>, Error> {
    let file = syn::parse_file(text)?;
    let mut places = Places {
        text,
        path: Vec::new(),
        found: Vec::new(),
    };
    places.visit_file(&file);
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut mistakes = Vec::new();
    for Place { at, new, function } in places.found {
        let old = short(&text[at.clone()]);
        let mut name = format!("{function}: {old} becomes {}", short(&new));
        let count = names.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            name = format!("{name} ({count})");
        }
        let text = format!("{}{new}{}", &text[..at.start], &text[at.end..]);
        mistakes.push(Mistake {
            name,
            text,
            at,
            new,
        });
    }
    Ok(mistakes)
}

/// A text on one line, cut in its middle where it is long.
fn short(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| *word != "\\")
        .collect();
    let line = words.join(" ");
    if line.is_empty() {
        return "nothing".to_owned();
    }
    let count = line.chars().count();
    if count <= SHOWN {
        return line;
    }
    let start: String = line.chars().take(SHOWN / 2).collect();
    let end: String = line.chars().skip(count - SHOWN / 2).collect();
    format!("{start}…{end}")
}

struct Place {
    at: Range<usize>,
    new: String,
    function: String,
}

struct Places<'t> {
    text: &'t str,
    path: Vec<String>,
    found: Vec<Place>,
}

impl Places<'_> {
    fn wrong(&mut self, at: Range<usize>, news: &[&str]) {
        let function = self.path.join("::");
        for new in news {
            self.found.push(Place {
                at: at.clone(),
                new: (*new).to_owned(),
                function: function.clone(),
            });
        }
    }

    fn within(&mut self, name: String, walk: impl FnOnce(&mut Self)) {
        self.path.push(name);
        walk(self);
        self.path.pop();
    }

    fn function(&mut self, sig: &Signature, block: &Block, walk: impl FnOnce(&mut Self)) {
        self.within(sig.ident.to_string(), |places| {
            let braces = block.span().byte_range();
            let body = plain(&places.text[braces.clone()]);
            for new in bodies(places.text, &sig.output) {
                if plain(new) != body && body != "{ }" {
                    places.wrong(braces.clone(), &[new]);
                }
            }
            walk(places);
        });
    }

    /// A condition of a write: each part that has to hold always does, and the whole never.
    fn condition(&mut self, at: Range<usize>) {
        let literal = &self.text[at.clone()];
        let Some(inside) = literal
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        else {
            return;
        };
        let is_condition = inside.contains("attribute_")
            || [" = :", " <> :", " <= :", " < :", " > :", " >= :"]
                .iter()
                .any(|operator| inside.contains(operator));
        if !is_condition || inside.starts_with("SET ") {
            return;
        }
        for part in parts(inside) {
            let text = &inside[part.clone()];
            let always = format!("({text} OR NOT ({text}))");
            let start = at.start + 1;
            self.wrong(start + part.start..start + part.end, &[&always]);
        }
    }
}

/// The parts of a condition between the `AND`s that stand in no parentheses.
fn parts(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 && text[at..].starts_with("AND ") {
            parts.push(start..at);
            start = at + "AND ".len();
        }
    }
    parts.push(start..text.len());
    let trimmed = parts.into_iter().map(|part| {
        let text = &text[part.clone()];
        let blank = |letter: char| letter.is_whitespace() || letter == '\\';
        let from = part.start + (text.len() - text.trim_start_matches(blank).len());
        let to = part.end - (text.len() - text.trim_end_matches(blank).len());
        from..to
    });
    trimmed.filter(|part| part.start < part.end).collect()
}

/// The simplest bodies of a function that returns this.
fn bodies(text: &str, output: &ReturnType) -> &'static [&'static str] {
    let ReturnType::Type(_, of) = output else {
        return &["{}"];
    };
    let of = text[of.span().byte_range()]
        .split_whitespace()
        .collect::<String>();
    match of.as_str() {
        "bool" => &["{ true }", "{ false }"],
        "i64" | "i32" | "i128" => &["{ 0 }", "{ 1 }", "{ -1 }"],
        "u8" | "u16" | "u32" | "u64" | "usize" => &["{ 0 }", "{ 1 }"],
        "&str" | "&'staticstr" => &[r#"{ "" }"#, r#"{ "xyzzy" }"#],
        "String" => &["{ String::new() }", r#"{ "xyzzy".into() }"#],
        "fmt::Result" => &["{ Ok(()) }"],
        of if of.starts_with("Option<") => &["{ None }"],
        of if of.starts_with("Result<(),") => &["{ Ok(()) }"],
        of if of.starts_with("Result<bool,") => &["{ Ok(true) }", "{ Ok(false) }"],
        of if of.starts_with("Result<Option<") => &["{ Ok(None) }"],
        of if of.starts_with("Vec<") => &["{ vec![] }"],
        _ => &[],
    }
}

const fn operators(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::Lt(_) => &["<=", ">"],
        BinOp::Le(_) => &["<", ">"],
        BinOp::Gt(_) => &[">=", "<"],
        BinOp::Ge(_) => &[">", "<"],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["*", "%"],
        BinOp::Rem(_) => &["/", "*"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        _ => &[],
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    };
    attributes.iter().any(is_test)
}

impl<'ast> Visit<'ast> for Places<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            self.within(item.ident.to_string(), |places| {
                visit::visit_item_mod(places, item);
            });
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let mut name = plain(&self.text[item.self_ty.span().byte_range()]);
        if let Some((path, _)) = &item.trait_ {
            name = format!("{} of {name}", plain(&self.text[path.span().byte_range()]));
        }
        self.within(name, |places| visit::visit_item_impl(places, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block, |places| {
                places.visit_block(&item.block);
            });
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block, |places| {
                places.visit_block(&item.block);
            });
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.within(item.ident.to_string(), |places| {
            places.visit_expr(&item.expr);
        });
    }

    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        // The conditions that are put together from parts.
        if item.path.is_ident("format")
            && let Ok(literal) = item.parse_body_with(|input: syn::parse::ParseStream<'_>| {
                let literal: syn::LitStr = input.parse()?;
                let _: proc_macro2::TokenStream = input.parse()?;
                Ok(literal)
            })
        {
            self.condition(literal.span().byte_range());
        }
    }

    fn visit_expr_binary(&mut self, item: &'ast syn::ExprBinary) {
        self.wrong(item.op.span().byte_range(), operators(&item.op));
        visit::visit_expr_binary(self, item);
    }

    fn visit_expr_unary(&mut self, item: &'ast syn::ExprUnary) {
        if matches!(item.op, UnOp::Not(_) | UnOp::Neg(_)) {
            self.wrong(item.op.span().byte_range(), &[""]);
        }
        visit::visit_expr_unary(self, item);
    }

    fn visit_expr_if(&mut self, item: &'ast syn::ExprIf) {
        // Operators are put wrong themselves.
        if matches!(
            *item.cond,
            Expr::MethodCall(_) | Expr::Call(_) | Expr::Path(_) | Expr::Macro(_)
        ) {
            self.wrong(item.cond.span().byte_range(), &["true", "false"]);
        }
        visit::visit_expr_if(self, item);
    }

    fn visit_pat_guard(&mut self, item: &'ast syn::PatGuard) {
        let at = item.guard.span().byte_range();
        if !self.text[at.clone()].contains("let ") {
            self.wrong(at, &["true", "false"]);
        }
        visit::visit_pat_guard(self, item);
    }

    fn visit_expr_lit(&mut self, item: &'ast syn::ExprLit) {
        let at = item.span().byte_range();
        match &item.lit {
            Lit::Int(number) => {
                if let Ok(value) = number.base10_parse::<u64>() {
                    let more = format!("{}{}", value.saturating_add(1), number.suffix());
                    self.wrong(at, &[&more]);
                }
            }
            Lit::Bool(truth) => self.wrong(at, &[if truth.value { "false" } else { "true" }]),
            Lit::Str(_) => self.condition(at),
            _ => {}
        }
    }

    fn visit_expr_method_call(&mut self, item: &'ast syn::ExprMethodCall) {
        // A key has to be bound, or nothing is asked at all.
        if item.method == "key_condition_expression" {
            self.visit_expr(&item.receiver);
        } else {
            visit::visit_expr_method_call(self, item);
        }
    }

    fn visit_stmt(&mut self, item: &'ast Stmt) {
        if let Stmt::Expr(Expr::MethodCall(_) | Expr::Call(_) | Expr::Try(_), Some(_)) = item {
            self.wrong(item.span().byte_range(), &[""]);
        }
        visit::visit_stmt(self, item);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mistakes = mistakes(text).unwrap();
        mistakes.into_iter().map(|mistake| mistake.name).collect()
    }

    #[test]
    fn operators_numbers_and_bodies_are_put_wrong_and_named_without_lines() {
        assert_eq!(
            names("fn f(n: u8) -> bool { n < 7 }"),
            [
                "f: { n < 7 } becomes { true }",
                "f: { n < 7 } becomes { false }",
                "f: < becomes <=",
                "f: < becomes >",
                "f: 7 becomes 8",
            ]
        );
    }

    #[test]
    fn each_part_of_a_condition_always_holds_once() {
        assert_eq!(
            names(r#"fn f() -> S { s("a = :a AND (b = :b)") }"#),
            [
                "f: a = :a becomes (a = :a OR NOT (a = :a))",
                "f: (b = :b) becomes ((b = :b) OR NOT ((b = :b)))",
            ]
        );
    }

    #[test]
    fn tests_are_left_alone() {
        assert!(names("#[cfg(test)] mod tests { fn f() -> bool { 1 < 2 } }").is_empty());
    }
}
