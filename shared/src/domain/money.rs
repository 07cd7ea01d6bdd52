//! Money in fen, the hundredth of a yuan: integers only, checked, never zero where an amount is
//! meant.

use std::fmt;

/// The largest amount this bundle handles, in fen: ten million yuan.
///
/// WeChat Pay's field is an int64; a bound far above any real order and far below overflow keeps
/// every sum of fifty amounts inside an `i64`, and price × quantity checkable in one place.
pub const FEN_MAX: u32 = 1_000_000_000;

/// An amount in fen, 1 to [`FEN_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(u32);

/// An amount outside 1 to [`FEN_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFen {
    /// What was given, in fen.
    pub given: i64,
}

impl fmt::Display for InvalidFen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "an amount must be 1 to {FEN_MAX} fen, not {}",
            self.given
        )
    }
}

impl std::error::Error for InvalidFen {}

impl Fen {
    /// Takes an amount in fen.
    ///
    /// # Errors
    /// Refuses what is below 1 or above [`FEN_MAX`].
    pub fn new(fen: i64) -> Result<Self, InvalidFen> {
        match u32::try_from(fen) {
            Ok(value @ 1..=FEN_MAX) => Ok(Self(value)),
            Ok(_) | Err(_) => Err(InvalidFen { given: fen }),
        }
    }

    /// The amount in fen.
    pub const fn get(self) -> i64 {
        self.0 as i64
    }

    /// `self × quantity`.
    ///
    /// # Errors
    /// Refuses a product outside 1 to [`FEN_MAX`].
    pub fn times(self, quantity: u32) -> Result<Self, InvalidFen> {
        // Both factors fit in 32 bits, so the product fits in an i64.
        Self::new(self.get() * i64::from(quantity))
    }

    /// `self + other`.
    ///
    /// # Errors
    /// Refuses a sum above [`FEN_MAX`].
    pub fn plus(self, other: Self) -> Result<Self, InvalidFen> {
        Self::new(self.get() + other.get())
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
