//! Update expressions: what a conditional write sets and removes, with its names and values.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::item::Attributes;

/// An update expression being written, with its names and values.
#[derive(Default)]
pub(super) struct Update {
    set: Vec<String>,
    remove: Vec<String>,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Attributes,
}

impl Update {
    /// Sets each attribute, or removes it where the value is `None`.
    pub(super) fn assign<'n>(
        mut self,
        changes: impl IntoIterator<Item = (&'n str, Option<AttributeValue>)>,
    ) -> Self {
        for (name, value) in changes {
            let placeholder = self.name(name);
            match value {
                Some(value) => {
                    self.values.insert(format!(":{name}"), value);
                    self.set.push(format!("{placeholder} = :{name}"));
                }
                None => self.remove.push(placeholder),
            }
        }
        self
    }

    /// Adds a `SET` clause written by hand; its names must be given by [`Self::name`].
    pub(super) fn clause(mut self, clause: &str) -> Self {
        self.set.push(clause.to_owned());
        self
    }

    /// Binds a value for the condition or a clause.
    pub(super) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(format!(":{name}"), value);
        self
    }

    /// Declares an attribute's placeholder, `#name`.
    pub(super) fn names<const N: usize>(mut self, names: [&str; N]) -> Self {
        for name in names {
            self.name(name);
        }
        self
    }

    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// The update expression.
    pub(super) fn expression(&self) -> String {
        let mut expression = String::new();
        if !self.set.is_empty() {
            expression.push_str("SET ");
            expression.push_str(&self.set.join(", "));
        }
        if !self.remove.is_empty() {
            expression.push_str(" REMOVE ");
            expression.push_str(&self.remove.join(", "));
        }
        expression
    }
}
