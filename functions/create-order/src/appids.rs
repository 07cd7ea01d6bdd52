//! Under which appid an order of each trade type is placed.

use shared::api::{Code, Problem};
use shared::config::{Environment, Merchant};
use shared::domain::terms::SubMerchant;
use shared::domain::{Appid, TradeType};

/// An appid per trade type. Any app that is bound to the merchant may show a QR code or lead to a page
/// in the browser, the mini-program too; an order that a mobile app pays is of that app alone.
#[derive(Debug)]
pub(crate) struct Appids {
    mini_program: Appid,
    native: Option<Appid>,
    h5: Option<Appid>,
    app: Option<Appid>,
    /// Whose shop it is, in partner mode.
    sub_merchant: Option<SubMerchant>,
    /// The same without its app, for orders that a mobile app pays.
    sub_merchant_alone: Option<SubMerchant>,
}

impl Appids {
    /// The mini-program's, and `APPID_NATIVE`, `APPID_H5` and `APPID_APP`, which may be absent; all of them
    /// the partner's own in partner mode.
    pub(crate) fn from_environment(environment: &mut Environment<'_>, merchant: &Merchant) -> Self {
        let sub_merchant = merchant.sub_merchant.clone();
        let mut named = |name: &'static str| {
            let appid = environment.optional_appid(name);
            let sub_appid = sub_merchant.as_ref().and_then(|sub| sub.appid.as_ref());
            if appid.is_some() && appid.as_ref() == sub_appid {
                environment.problem(format!(
                    "{name} is SUB_APPID, which WeChat Pay refuses: in partner mode it is an app of the \
                     partner's own"
                ));
            }
            appid
        };
        Self {
            mini_program: merchant.appid.clone(),
            native: named("APPID_NATIVE"),
            h5: named("APPID_H5"),
            app: named("APPID_APP"),
            sub_merchant_alone: sub_merchant
                .clone()
                .map(|sub| SubMerchant { appid: None, ..sub }),
            sub_merchant,
        }
    }

    /// Whether orders are placed for a sub-merchant.
    pub(crate) const fn is_partners(&self) -> bool {
        self.sub_merchant.is_some()
    }

    /// The sub-merchant of an order of this trade type. Its app is where the payer pays; a mobile app is the
    /// one that `APPID_APP` names, and pays under no other.
    pub(crate) const fn sub_merchant(&self, trade_type: TradeType) -> Option<&SubMerchant> {
        match trade_type {
            TradeType::Jsapi | TradeType::Native | TradeType::H5 => self.sub_merchant.as_ref(),
            TradeType::App => self.sub_merchant_alone.as_ref(),
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
