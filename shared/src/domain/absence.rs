//! WeChat Pay's signed word that it has no such order or refund, which is false now and then: when it
//! counts, and when it is asked again.

/// How far apart two signed "no such order" or "no such refund" must be that end it here, in seconds.
pub const ABSENCE_INTERVAL_SECONDS: i64 = 300;

/// When what was ended by absence is looked at again, in seconds after its end.
pub const ABSENCE_CONFIRM_SECONDS: [i64; 2] = [30 * 60, 24 * 60 * 60];

/// What WeChat Pay answered when it was asked about an order or a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Where it stands.
    Report,
    /// That there is none.
    Absence,
}
