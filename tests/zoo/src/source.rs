//! A Rust file, taken apart: its functions and constants with their places, and what is left without them.

use std::collections::BTreeMap;
use std::ops::Range;

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, Ident, Pat, Signature, Stmt, Type, Visibility};

use crate::Error;

/// A function that has a body.
pub(crate) struct Function {
    /// What says whether two bodies mean the same: the text without comments and blanks.
    pub(crate) body: String,
    /// The body with its braces, as bytes of the file.
    pub(crate) braces: Range<usize>,
    /// The word `const` before it.
    pub(crate) constness: Option<Range<usize>>,
    /// Its name alone.
    pub(crate) name: String,
    /// The values of those of its statements that are a `let` with one, where its type is opaque (`impl
    /// Trait`): no two bodies have the same type then, but two such values may.
    pub(crate) lets: Option<Vec<Let>>,
    signature: String,
}

/// `let pattern = value;`
pub(crate) struct Let {
    /// The value, as bytes of the file.
    pub(crate) place: Range<usize>,
    pattern: String,
    value: String,
}

/// A constant; its text is `TYPE = VALUE`.
#[derive(PartialEq)]
pub(crate) struct Constant {
    /// Its name alone.
    pub(crate) name: String,
    /// Whether other crates may see it.
    pub(crate) is_public: bool,
    /// As it stands behind the colon.
    pub(crate) text: String,
}

/// A file, taken apart. Functions and constants are found by their modules, types and names.
pub(crate) struct Source {
    pub(crate) text: String,
    pub(crate) functions: BTreeMap<String, Function>,
    pub(crate) constants: BTreeMap<String, Constant>,
    /// What is neither a function, a constant nor an import.
    pub(crate) rest: String,
    /// The values of its `static`s.
    pub(crate) statics: String,
}

/// What a mistake changes in a file.
pub(crate) struct Difference {
    /// The functions with other bodies.
    pub(crate) functions: Vec<String>,
    /// The constants with other values.
    pub(crate) constants: Vec<String>,
}

impl Source {
    pub(crate) fn parse(text: String) -> Result<Self, Error> {
        let file = syn::parse_file(&text)?;
        let mut found = Found {
            text: &text,
            path: Vec::new(),
            functions: BTreeMap::new(),
            constants: BTreeMap::new(),
            statics: String::new(),
            cut: Vec::new(),
        };
        found.visit_file(&file);
        let Found {
            functions,
            constants,
            statics,
            cut,
            ..
        } = found;
        let mut rest = String::new();
        let mut reached = 0;
        for gone in cut {
            rest.push_str(&text[reached.min(gone.start)..gone.start]);
            reached = reached.max(gone.end);
        }
        rest.push_str(&text[reached..]);
        let rest = plain(&rest);
        Ok(Self {
            text,
            functions,
            constants,
            rest,
            statics,
        })
    }

    /// How a broken file differs from this one.
    ///
    /// # Errors
    /// In something other than bodies, constants and imports, which no switch can choose at run time.
    pub(crate) fn difference(&self, broken: &Self) -> Result<Difference, String> {
        if self.rest != broken.rest {
            return Err("it changes more than bodies and constants".to_owned());
        }
        if !self.functions.keys().eq(broken.functions.keys())
            || !self.constants.keys().eq(broken.constants.keys())
        {
            return Err("it adds or takes away a function or constant".to_owned());
        }
        let mut functions = Vec::new();
        for (path, function) in &self.functions {
            let other = &broken.functions[path];
            if other.signature != function.signature {
                return Err(format!("it changes the signature of {path}"));
            }
            if other.body != function.body {
                functions.push(path.clone());
            }
        }
        let constants = self.constants.iter();
        let constants = constants
            .filter(|(path, constant)| broken.constants[*path] != **constant)
            .map(|(path, _)| path.clone());
        Ok(Difference {
            functions,
            constants: constants.collect(),
        })
    }
}

impl Function {
    /// The one `let` whose value differs, by its place in the list, where nothing else differs.
    pub(crate) fn differing_let(&self, broken: &Self) -> Option<usize> {
        let (ours, theirs) = (self.lets.as_ref()?, broken.lets.as_ref()?);
        if ours.len() != theirs.len() {
            return None;
        }
        let mut pairs = ours.iter().zip(theirs).enumerate();
        let (found, _) = pairs
            .find(|(_, (one, other))| one.value != other.value && one.pattern == other.pattern)?;
        let differs =
            |(one, other): (&Let, &Let)| one.value != other.value || one.pattern != other.pattern;
        let many = ours
            .iter()
            .zip(theirs)
            .filter(|pair| differs(*pair))
            .count();
        (many == 1).then_some(found)
    }
}

/// A text without comments and blanks; as it is, where it is no Rust.
pub(crate) fn plain(text: &str) -> String {
    text.parse::<TokenStream>()
        .map_or_else(|_| text.to_owned(), |tokens| tokens.to_string())
}

struct Found<'t> {
    text: &'t str,
    path: Vec<String>,
    functions: BTreeMap<String, Function>,
    constants: BTreeMap<String, Constant>,
    statics: String,
    cut: Vec<Range<usize>>,
}

impl Found<'_> {
    fn at(&self, place: Range<usize>) -> &str {
        &self.text[place]
    }

    fn within(&mut self, name: String, walk: impl FnOnce(&mut Self)) {
        self.path.push(name);
        walk(self);
        self.path.pop();
    }

    /// The path of a name. Where a name is taken, as under two `cfg`s, a number is added.
    fn named(&self, name: &str, is_taken: impl Fn(&Self, &str) -> bool) -> String {
        let path = format!("{}{name}", self.path.concat());
        (2..)
            .map(|place| format!("{path}#{place}"))
            .try_fold(path.clone(), |path, next| {
                if is_taken(self, &path) {
                    Ok(next)
                } else {
                    Err(path)
                }
            })
            .err()
            .unwrap_or(path)
    }

    fn function(&mut self, whole: Range<usize>, sig: &Signature, block: &Block) {
        let name = sig.ident.to_string();
        let path = self.named(&name, |found, path| found.functions.contains_key(path));
        let braces = block.span().byte_range();
        let is_opaque = matches!(&sig.output, syn::ReturnType::Type(_, of) if matches!(**of, Type::ImplTrait(_)));
        let signature = plain(self.at(sig.span().byte_range()));
        let function = Function {
            body: plain(self.at(braces.clone())),
            braces,
            constness: sig.constness.as_ref().map(|word| word.span().byte_range()),
            name,
            lets: is_opaque.then(|| self.lets(block)),
            signature,
        };
        self.functions.insert(path, function);
        self.cut.push(whole);
    }

    fn lets(&self, block: &Block) -> Vec<Let> {
        let statements = block.stmts.iter().map(|statement| {
            let whole = statement.span().byte_range();
            match statement {
                Stmt::Local(local) => match &local.init {
                    Some(init) if init.diverge.is_none() => {
                        let place = init.expr.span().byte_range();
                        // A pattern may name its type, which has to stay.
                        let pattern = match &local.pat {
                            Pat::Type(pat) => pat.pat.span(),
                            pat => pat.span(),
                        };
                        Let {
                            pattern: plain(self.at(pattern.byte_range())),
                            value: plain(self.at(place.clone())),
                            place,
                        }
                    }
                    _ => self.whole(whole),
                },
                _ => self.whole(whole),
            }
        });
        statements.collect()
    }

    /// A statement whose value cannot be chosen: where it differs, its pattern does.
    fn whole(&self, place: Range<usize>) -> Let {
        Let {
            pattern: plain(self.at(place.clone())),
            value: String::new(),
            place,
        }
    }

    fn constant(
        &mut self,
        whole: Range<usize>,
        name: &Ident,
        vis: &Visibility,
        of: &Type,
        value: &Expr,
    ) {
        let name = name.to_string();
        let path = self.named(&name, |found, path| found.constants.contains_key(path));
        let text = format!(
            "{} = {}",
            self.at(of.span().byte_range()),
            self.at(value.span().byte_range())
        );
        self.constants.insert(
            path,
            Constant {
                name,
                is_public: matches!(vis, Visibility::Public(_)),
                text,
            },
        );
        self.cut.push(whole);
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(format!("{}::", item.ident), |found| {
            visit::visit_item_mod(found, item);
        });
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(format!("{}::", item.ident), |found| {
            visit::visit_item_trait(found, item);
        });
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = plain(self.at(item.self_ty.span().byte_range()));
        let name = match &item.trait_ {
            Some(implemented) => {
                let name = self.at(implemented.0.span().byte_range());
                format!("<{of} as {}>::", plain(name))
            }
            None => format!("{of}::"),
        };
        self.within(name, |found| visit::visit_item_impl(found, item));
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(item.span().byte_range(), &item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(item.span().byte_range(), &item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(item.span().byte_range(), &item.sig, block);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        let whole = item.span().byte_range();
        self.constant(whole, &item.ident, &item.vis, &item.ty, &item.expr);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        let whole = item.span().byte_range();
        self.constant(whole, &item.ident, &item.vis, &item.ty, &item.expr);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        let value = self.text[item.expr.span().byte_range()].to_owned();
        self.statics.push_str(&value);
        self.statics.push('\n');
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.cut.push(item.span().byte_range());
    }
}
