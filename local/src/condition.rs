//! Conditions of a policy's statement, as IAM evaluates them.
//!
//! Of IAM's operators those on texts and `Null` are here, with `ForAllValues:`, `ForAnyValue:` and
//! `…IfExists`, and of its keys DynamoDB's own. Others are refused when the template is read: a
//! condition that is passed over would allow more on this machine than on AWS.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The partition keys of the items and partitions that a request touches.
pub const LEADING_KEYS: &str = "dynamodb:LeadingKeys";
/// The top-level attributes that a request names.
pub const ATTRIBUTES: &str = "dynamodb:Attributes";
/// What a read asks for: `ALL_ATTRIBUTES`, `SPECIFIC_ATTRIBUTES` and so on.
pub const SELECT: &str = "dynamodb:Select";
/// What a write gives back.
pub const RETURN_VALUES: &str = "dynamodb:ReturnValues";
/// The transaction that a write or read is part of.
pub const ENCLOSING_OPERATION: &str = "dynamodb:EnclosingOperation";

/// The keys that a condition may name, and whether a request has several values of each.
const KEYS: [(&str, bool); 5] = [
    (LEADING_KEYS, true),
    (ATTRIBUTES, true),
    (SELECT, false),
    (RETURN_VALUES, false),
    (ENCLOSING_OPERATION, false),
];

/// What a request says, by key; a key that does not apply to it is absent.
pub type Context = BTreeMap<&'static str, BTreeSet<String>>;

/// One operator on one key, with the values it compares with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    quantifier: Quantifier,
    operator: Operator,
    if_exists: bool,
    key: &'static str,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quantifier {
    /// The key has one value.
    One,
    All,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operator {
    Equals,
    NotEquals,
    EqualsIgnoreCase,
    NotEqualsIgnoreCase,
    Like,
    NotLike,
    Null,
}

impl Condition {
    /// Reads a statement's `Condition`. All of what is returned has to hold.
    ///
    /// # Errors
    /// Says in a fragment what cannot be used.
    pub fn parse(block: &Value) -> Result<Vec<Self>, String> {
        if block.is_null() {
            return Ok(Vec::new());
        }
        let Some(operators) = block.as_object() else {
            return Err("a Condition that is not an object".to_owned());
        };
        let mut conditions = Vec::new();
        for (operator, keys) in operators {
            let Some(keys) = keys.as_object() else {
                return Err(format!("a condition {operator} without keys"));
            };
            for (key, values) in keys {
                conditions.push(Self::of(operator, key, values)?);
            }
        }
        Ok(conditions)
    }

    fn of(name: &str, key: &str, values: &Value) -> Result<Self, String> {
        let unknown =
            |what: &str| format!("a condition with {what}, which the local stack does not know");
        let (quantifier, operator) = match name.split_once(':') {
            Some(("ForAllValues", operator)) => (Quantifier::All, operator),
            Some(("ForAnyValue", operator)) => (Quantifier::Any, operator),
            Some(_) => return Err(unknown(&format!("the operator {name}"))),
            None => (Quantifier::One, name),
        };
        let (operator, if_exists) = match operator.strip_suffix("IfExists") {
            Some(operator) => (operator, true),
            None => (operator, false),
        };
        let operator = match operator {
            "StringEquals" => Operator::Equals,
            "StringNotEquals" => Operator::NotEquals,
            "StringEqualsIgnoreCase" => Operator::EqualsIgnoreCase,
            "StringNotEqualsIgnoreCase" => Operator::NotEqualsIgnoreCase,
            "StringLike" => Operator::Like,
            "StringNotLike" => Operator::NotLike,
            "Null" if quantifier == Quantifier::One && !if_exists => Operator::Null,
            _ => return Err(unknown(&format!("the operator {name}"))),
        };
        let known = KEYS.iter().find(|(known, _)| *known == key);
        let (key, several) = known.ok_or_else(|| unknown(&format!("the key {key}")))?;
        let quantified = quantifier != Quantifier::One;
        if operator != Operator::Null && quantified != *several {
            return Err(if *several {
                format!("a condition on {key} without ForAllValues or ForAnyValue")
            } else {
                format!("a condition on {key} with {name}, though a request has one value of it")
            });
        }
        let one = std::slice::from_ref(values);
        let values = values.as_array().map_or(one, Vec::as_slice);
        let flag = |value: &Value| value.as_bool().filter(|_| operator == Operator::Null);
        let texts = values.iter().map(|value| {
            let text = value.as_str().map(str::to_owned);
            text.or_else(|| flag(value).map(|flag| flag.to_string()))
        });
        let texts: Option<Vec<String>> = texts.collect();
        let texts = texts.filter(|texts| !texts.is_empty());
        Ok(Self {
            quantifier,
            operator,
            if_exists,
            key,
            values: texts.ok_or_else(|| {
                format!("a condition on {key} whose value is not a text or several")
            })?,
        })
    }

    /// The key it is about.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// What it compares the key's values with.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether it holds for a request.
    pub fn holds(&self, context: &Context) -> bool {
        let given = context.get(self.key);
        if self.operator == Operator::Null {
            let absent = given.is_none();
            return self.values.iter().any(|value| *value == absent.to_string());
        }
        match given {
            None => match self.quantifier {
                // An absent key has no value that does not match.
                Quantifier::All => true,
                Quantifier::Any => self.if_exists,
                Quantifier::One => self.if_exists || self.operator.is_negated(),
            },
            Some(given) => match self.quantifier {
                Quantifier::All | Quantifier::One => given.iter().all(|value| self.matches(value)),
                Quantifier::Any => given.iter().any(|value| self.matches(value)),
            },
        }
    }

    /// Whether a value matches one of the condition's, or none of them where it is negated.
    fn matches(&self, given: &str) -> bool {
        let one = |value: &String| match self.operator {
            Operator::Equals | Operator::NotEquals => value == given,
            Operator::EqualsIgnoreCase | Operator::NotEqualsIgnoreCase => {
                value.to_lowercase() == given.to_lowercase()
            }
            Operator::Like | Operator::NotLike => like(value, given),
            Operator::Null => false,
        };
        self.values.iter().any(one) != self.operator.is_negated()
    }
}

impl Operator {
    const fn is_negated(self) -> bool {
        match self {
            Self::NotEquals | Self::NotEqualsIgnoreCase | Self::NotLike => true,
            Self::Equals | Self::EqualsIgnoreCase | Self::Like | Self::Null => false,
        }
    }
}

/// Whether the text is of the pattern, in which `*` stands for any letters and `?` for any one.
pub fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut position) = (0, 0);
    // Where the last star stands, and up to where it has swallowed the text.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, position));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[position] => {
                at += 1;
                position += 1;
            }
            _ => {
                // The last star swallows one letter more, and all after it is tried again.
                let Some((star_at, swallowed)) = star else {
                    return false;
                };
                star = Some((star_at, swallowed + 1));
                at = star_at + 1;
                position = swallowed + 1;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests;
