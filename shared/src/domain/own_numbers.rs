//! Which order numbers can be this stack's, where other systems use its merchant number, too.
//!
//! A bill has the payments of all of them. Whose a number is can be told only if this stack gives every
//! number of its own the prefix, and refuses to place an order under another: so `create-order` asks the
//! same question as the comparison with the bills.

/// The order numbers that this stack gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnNumbers {
    prefix: Option<String>,
}

impl OwnNumbers {
    /// Any number: nobody else uses the merchant number.
    pub const ANY: Self = Self { prefix: None };

    /// Those that begin with this, which no number of another system does; with nothing, any.
    pub fn with_prefix(prefix: &str) -> Self {
        let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        Self { prefix }
    }

    /// Whether this stack can have given the number.
    pub fn have(&self, number: &str) -> bool {
        let prefix = self.prefix.as_deref();
        prefix.is_none_or(|prefix| number.starts_with(prefix))
    }

    /// What each of them begins with, if anything.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_our_own_by_its_beginning_and_any_is_where_nothing_is_shared() {
        let own = OwnNumbers::with_prefix("T1-");
        for (number, ours) in [
            ("T1-0001", true),
            ("T1-", true),
            ("t1-0001", false),
            ("T1", false),
            ("0T1-0001", false),
            ("", false),
        ] {
            assert_eq!(own.have(number), ours, "{number}");
            assert!(OwnNumbers::ANY.have(number), "{number}");
        }
        assert_eq!(OwnNumbers::with_prefix(""), OwnNumbers::ANY);
        assert_eq!(own.prefix(), Some("T1-"));
        assert_eq!(OwnNumbers::ANY.prefix(), None);
    }
}
