//! Bodies: JSON objects with known fields, and nothing else.
//!
//! 400 says that it is not JSON; 422 that it is, and what in it is not allowed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::code::Code;
use super::problem::Problem;
use crate::domain::FEN_MAX;

/// A value that must be a JSON object: serde alone would take `[1, "CNY"]` for a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectOnly<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer
            .deserialize_map(ObjectOnly(PhantomData))
            .map(Self)
    }
}

/// Reads a whole number, of whatever size JSON has it as one; `expected` says which is meant.
///
/// # Errors
/// Any other number or type, with what was expected.
pub fn whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<i128, D::Error> {
    struct Whole(&'static str);
    impl Visitor<'_> for Whole {
        type Value = i128;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }

        fn visit_i64<E>(self, number: i64) -> Result<i128, E> {
            Ok(number.into())
        }

        fn visit_u64<E>(self, number: u64) -> Result<i128, E> {
            Ok(number.into())
        }
    }
    deserializer.deserialize_i64(Whole(expected))
}

/// Reads a whole number of fen; whether it is in range is for `Fen` to say, which is told the number.
///
/// # Errors
/// Any other number or type, with the sentence that people who think in yuan need.
pub fn whole_fen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let fen = whole_number(
        deserializer,
        "a whole number of fen, such as 1250 for ¥12.50",
    )?;
    i64::try_from(fen).map_err(|_| {
        D::Error::custom(format_args!(
            "an amount must be 1 to {FEN_MAX} fen, not {fen}"
        ))
    })
}

/// Reads a body whose type denies unknown fields.
///
/// # Errors
/// 400 `malformed_json`, or 422 `unknown_field` or `invalid_value` naming the place.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed: Result<Object<T>, _> = serde_path_to_error::deserialize(&mut deserializer);
    let object = parsed.map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner();
        if !cause.is_data() {
            return Problem::new(Code::MalformedJson, "the body is not JSON");
        }
        let cause = cause.to_string();
        // serde appends the place in the text, which the path tells better.
        let cause = cause.split(" at line ").next().unwrap_or_default();
        if cause.starts_with("unknown field") {
            return Problem::new(Code::UnknownField, cause).field(path);
        }
        if let Some(missing) = missing_field(cause) {
            let field = match path.as_str() {
                "." => missing.to_owned(),
                inside => format!("{inside}.{missing}"),
            };
            return Problem::new(Code::InvalidValue, format!("{field} is missing")).field(field);
        }
        if path == "." {
            return Problem::new(Code::InvalidValue, cause);
        }
        Problem::new(Code::InvalidValue, format!("{path}: {cause}")).field(path)
    })?;
    deserializer.end().map_err(|_| {
        Problem::new(
            Code::MalformedJson,
            "the body continues after its JSON object",
        )
    })?;
    Ok(object.0)
}

/// The member that serde's sentence says is missing. The path leads to the object that lacks it, and a
/// caller looks for the member.
fn missing_field(cause: &str) -> Option<&str> {
    cause.strip_prefix("missing field `")?.strip_suffix('`')
}
