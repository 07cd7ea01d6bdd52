//! docs/data-model.md says what is written.

use serde_json::Value;

/// The size of an item, as DynamoDB counts it: names and texts in UTF-8, a number as half its digits
/// and one.
pub fn size(item: &Value) -> usize {
    let attributes = item.as_object().unwrap().iter();
    attributes
        .map(|(name, value)| {
            let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
            name.len()
                + match kind.as_str() {
                    "S" => value.as_str().unwrap().len(),
                    "N" => {
                        value
                            .as_str()
                            .unwrap()
                            .trim_start_matches('-')
                            .len()
                            .div_ceil(2)
                            + 1
                    }
                    "BOOL" => 1,
                    other => panic!("{other} is not written"),
                }
        })
        .sum()
}
