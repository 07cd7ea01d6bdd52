//! The access tokens of apps, as `stable_token` hands them out. In memory only: after a restart each app has a
//! new one.

use std::collections::HashMap;

use crate::beijing::{DAY_MS, MINUTE_MS, SECOND_MS};
use crate::random;

/// How long a token lives, in seconds.
const LIFE_S: i64 = 7_200;
/// A token is renewed so long before it ends; until then the old one and the new one hold.
const RENEWED_BEFORE_MS: i64 = 5 * MINUTE_MS;
/// How often a day an app may have its token replaced, and how long it waits in between.
const FORCED_PER_DAY: usize = 20;
const FORCED_APART_MS: i64 = 30 * SECOND_MS;
/// Letters and digits of a token.
const LENGTH: usize = 136;

/// A token that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AccessToken {
    token: String,
    expires_ms: i64,
}

/// A token with the seconds that are left of its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) access_token: String,
    pub(crate) expires_in: i64,
}

/// Why an app may not have its token replaced now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// It did so less than half a minute ago.
    TooSoon,
    /// It did so twenty times within a day.
    Daily,
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Validity {
    /// It speaks for this app.
    Holds(String),
    /// It was replaced, or nobody ever got it.
    Unknown,
    /// Its time is over.
    Expired,
}

#[derive(Debug, Default)]
struct App {
    /// Oldest first.
    tokens: Vec<AccessToken>,
    /// When its token was replaced on demand, within a day.
    forced_ms: Vec<i64>,
}

/// The tokens of all apps.
#[derive(Debug, Default)]
pub(crate) struct AccessTokens(HashMap<String, App>);

impl AccessTokens {
    /// The token of an app: within its life everybody gets the same one.
    pub(crate) fn grant(&mut self, appid: &str, now_ms: i64) -> Granted {
        let app = self.0.entry(appid.to_owned()).or_default();
        let fresh = |token: &&AccessToken| token.expires_ms - now_ms > RENEWED_BEFORE_MS;
        match app.tokens.last().filter(fresh) {
            Some(token) => Granted {
                access_token: token.token.clone(),
                expires_in: (token.expires_ms - now_ms) / SECOND_MS,
            },
            None => app.renew(now_ms),
        }
    }

    /// A new token for an app; the old one ends at once.
    ///
    /// # Errors
    ///
    /// Why it may not be had now.
    pub(crate) fn replace(&mut self, appid: &str, now_ms: i64) -> Result<Granted, Limit> {
        let app = self.0.entry(appid.to_owned()).or_default();
        app.forced_ms.retain(|at_ms| now_ms - at_ms < DAY_MS);
        let last_ms = app.forced_ms.last();
        if last_ms.is_some_and(|last_ms| now_ms - last_ms < FORCED_APART_MS) {
            return Err(Limit::TooSoon);
        }
        if app.forced_ms.len() >= FORCED_PER_DAY {
            return Err(Limit::Daily);
        }
        app.forced_ms.push(now_ms);
        app.tokens.clear();
        Ok(app.renew(now_ms))
    }

    /// What a token is good for.
    pub(crate) fn look(&self, token: &str, now_ms: i64) -> Validity {
        let found = self.0.iter().find_map(|(appid, app)| {
            let held = app.tokens.iter().find(|held| held.token == token)?;
            Some((appid, held.expires_ms))
        });
        match found {
            None => Validity::Unknown,
            Some((_, expires_ms)) if now_ms >= expires_ms => Validity::Expired,
            Some((appid, _)) => Validity::Holds(appid.clone()),
        }
    }
}

impl App {
    fn renew(&mut self, now_ms: i64) -> Granted {
        self.tokens
            .retain(|token| now_ms - token.expires_ms < DAY_MS);
        let token = AccessToken {
            token: random::alphanumeric(LENGTH),
            expires_ms: now_ms + LIFE_S * SECOND_MS,
        };
        let granted = Granted {
            access_token: token.token.clone(),
            expires_in: LIFE_S,
        };
        self.tokens.push(token);
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_same_token_until_five_minutes_before_its_end() {
        let mut tokens = AccessTokens::default();
        let first = tokens.grant("app", 0);
        assert_eq!(first.expires_in, 7_200);
        let again = tokens.grant("app", 6_899 * SECOND_MS);
        assert_eq!(again.access_token, first.access_token);
        assert_eq!(again.expires_in, 301);
        assert_ne!(tokens.grant("other", 0).access_token, first.access_token);
        let now_ms = 6_900 * SECOND_MS;
        let renewed = tokens.grant("app", now_ms);
        assert_ne!(renewed.access_token, first.access_token);
        let holds = Validity::Holds("app".to_owned());
        assert_eq!(tokens.look(&first.access_token, now_ms), holds);
        assert_eq!(tokens.look(&renewed.access_token, now_ms), holds);
        let over_ms = 7_200 * SECOND_MS;
        assert_eq!(tokens.look(&first.access_token, over_ms), Validity::Expired);
        assert_eq!(tokens.look(&renewed.access_token, over_ms), holds);
    }

    #[test]
    fn a_replaced_token_ends_at_once_and_replacing_is_limited() {
        let mut tokens = AccessTokens::default();
        let first = tokens.grant("app", 0);
        let mut now_ms = 0;
        let second = tokens.replace("app", now_ms);
        assert_eq!(tokens.look(&first.access_token, 0), Validity::Unknown);
        assert_eq!(second, Ok(tokens.grant("app", 0)));
        assert_eq!(
            tokens.replace("app", FORCED_APART_MS - 1),
            Err(Limit::TooSoon)
        );
        for _ in 1..FORCED_PER_DAY {
            now_ms += FORCED_APART_MS;
            assert!(tokens.replace("app", now_ms).is_ok(), "{now_ms}");
        }
        now_ms += FORCED_APART_MS;
        assert_eq!(tokens.replace("app", now_ms), Err(Limit::Daily));
        assert!(tokens.replace("other", now_ms).is_ok());
        assert!(tokens.replace("app", DAY_MS).is_ok());
    }
}
