//! Bodies: JSON objects with known fields, and nothing else.
//!
//! 400 says that it is not JSON; 422 that it is, and what in it is not allowed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::problem::{Code, Problem};

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

/// Reads a whole number of fen; whether it is in range is for `Fen` to say.
///
/// # Errors
/// Any other number or type, with the sentence that people who think in yuan need.
pub fn whole_fen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct WholeFen;
    impl Visitor<'_> for WholeFen {
        type Value = i64;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a whole number of fen, such as 1250 for ¥12.50")
        }

        fn visit_i64<E>(self, fen: i64) -> Result<i64, E> {
            Ok(fen)
        }

        fn visit_u64<E>(self, fen: u64) -> Result<i64, E> {
            Ok(i64::try_from(fen).unwrap_or(i64::MAX))
        }
    }
    deserializer.deserialize_i64(WholeFen)
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
