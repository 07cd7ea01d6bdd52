//! How long the services that are not here take to answer. Nothing is computed meanwhile: who waits
//! sleeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The distribution of a service's answers, by quantiles with milliseconds between which it is
/// straight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency(&'static [(f64, f64)]);

impl Latency {
    /// DynamoDB, Secrets Manager: half within 5 ms, one in a hundred over 20, one in a thousand over 80.
    pub(crate) const AWS: Self = Self(&[
        (0.0, 2.0),
        (0.5, 5.0),
        (0.99, 20.0),
        (0.999, 80.0),
        (1.0, 80.0),
    ]);
    /// A table that always takes 10 ms.
    pub(crate) const TEN: Self = Self(&[(0.0, 10.0), (1.0, 10.0)]);
    /// WeChat Pay: half within 150 ms, one in a hundred over 900, five in a thousand take 5 seconds.
    pub(crate) const WECHATPAY: Self = Self(&[
        (0.0, 80.0),
        (0.5, 150.0),
        (0.99, 900.0),
        (0.995, 1_000.0),
        (0.995, 5_000.0),
        (1.0, 5_000.0),
    ]);
    /// WeChat Pay without those five.
    pub(crate) const WECHATPAY_STEADY: Self = Self(&[(0.0, 80.0), (0.5, 150.0), (1.0, 900.0)]);
    /// WeChat Pay on a bad day: half of the answers take 3 seconds or longer.
    pub(crate) const WECHATPAY_SLOW: Self = Self(&[(0.0, 2_500.0), (0.5, 3_000.0), (1.0, 4_500.0)]);

    /// What stands at this quantile.
    pub(crate) fn at(&self, quantile: f64) -> Duration {
        let mut before = (0.0, 0.0);
        for &(place, milliseconds) in self.0 {
            if quantile <= place {
                let (from, low) = before;
                let part = if place > from {
                    (quantile - from) / (place - from)
                } else {
                    1.0
                };
                return Duration::from_secs_f64((low + (milliseconds - low) * part) / 1e3);
            }
            before = (place, milliseconds);
        }
        Duration::from_secs_f64(before.1 / 1e3)
    }
}

/// Quantiles that look drawn and are the same in every run: SplitMix64 over a counter.
#[derive(Debug, Default)]
pub(crate) struct Draws(AtomicU64);

impl Draws {
    /// The next, between 0 and 1.
    pub(crate) fn draw(&self) -> f64 {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        let mut mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let drawn = (mixed >> 11) as f64;
        drawn / ((1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::{Draws, Latency};

    #[test]
    fn quantiles_are_where_they_were_put() {
        for (quantile, milliseconds) in [(0.0, 80), (0.5, 150), (0.99, 900), (0.9951, 5_000)] {
            let at = Latency::WECHATPAY.at(quantile).as_millis();
            assert_eq!(at, milliseconds, "at {quantile}");
        }
        assert_eq!(Latency::TEN.at(0.3).as_millis(), 10);
    }

    #[test]
    fn draws_are_spread_evenly() {
        let draws = Draws::default();
        let below = (0..10_000).filter(|_| draws.draw() < 0.25).count();
        assert!((2_300..2_700).contains(&below), "{below}");
    }
}
