//! Under which appid an order of each trade type is placed.

use shared::api::{Code, Problem};
use shared::config::Environment;
use shared::domain::{Appid, TradeType};

/// An appid per trade type. Any app that is bound to the merchant may show a QR code or lead to a page
/// in the browser, the mini-program too; an order that a mobile app pays is of that app alone.
#[derive(Debug)]
pub(crate) struct Appids {
    mini_program: Appid,
    native: Option<Appid>,
    h5: Option<Appid>,
    app: Option<Appid>,
}

impl Appids {
    /// The mini-program's, and `APPID_NATIVE`, `APPID_H5` and `APPID_APP`, which may be absent.
    pub(crate) fn from_environment(environment: &mut Environment<'_>, mini_program: Appid) -> Self {
        Self {
            mini_program,
            native: environment.optional_appid("APPID_NATIVE"),
            h5: environment.optional_appid("APPID_H5"),
            app: environment.optional_appid("APPID_APP"),
        }
    }

    /// The appid of an order of this trade type.
    ///
    /// # Errors
    /// `trade_type_unavailable`: nobody named the mobile app.
    pub(crate) fn of(&self, trade_type: TradeType) -> Result<&Appid, Problem> {
        let named = match trade_type {
            TradeType::Jsapi => Some(&self.mini_program),
            TradeType::Native => self.native.as_ref().or(Some(&self.mini_program)),
            TradeType::H5 => self.h5.as_ref().or(Some(&self.mini_program)),
            TradeType::App => self.app.as_ref(),
        };
        named.ok_or_else(|| {
            Problem::new(
                Code::TradeTypeUnavailable,
                "app orders need a mobile app's appid, and the stack's parameter AppidApp is empty",
            )
            .field("trade_type")
        })
    }
}
