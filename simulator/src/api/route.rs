//! The operations of the API: a row each, and which of them a method and a path name. Paths are
//! compared as they came, without normalisation; only the ids inside them are percent-decoded.

use std::sync::LazyLock;

use matchit::Router;
use percent_encoding::percent_decode_str;

use crate::ledger::TradeType;

/// What is asked about an app and shipping information (小程序发货信息管理).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether it is under the rule.
    Managed,
    /// Whether its administrator has confirmed the rule.
    Confirmed,
}

impl Question {
    /// The name used in `/_sim/requests` and by faults.
    pub(super) const fn operation(self) -> &'static str {
        match self {
            Self::Managed => "trade_managed",
            Self::Confirmed => "trade_confirmed",
        }
    }
}

/// What an operation does, and what its handler needs to know beside the id in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificates,
    Order {
        partner: bool,
        trade_type: TradeType,
    },
    QueryByNumber {
        partner: bool,
    },
    QueryById {
        partner: bool,
    },
    Close {
        partner: bool,
    },
    Refund,
    QueryRefund,
    AbnormalRefund,
    TradeBill,
    FundFlowBill,
    Download,
    Upload,
    Login,
    StableToken,
    TradeManagement(Question),
}

/// An operation of the API.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    /// The name used in `/_sim/requests` and by faults.
    pub(crate) name: &'static str,
    method: &'static str,
    path: &'static str,
    /// Whether a missing User-Agent or Accept is refused before authentication (docs/simulator.md,
    /// `required-headers`).
    pub(crate) requires_user_agent: bool,
    /// Calls, and failing calls, that a merchant may make in a second (docs/simulator.md,
    /// `rate-limits`); where no source names a limit there is none.
    pub(crate) calls_per_second: u32,
    pub(crate) failures_per_second: u32,
}

impl Operation {
    /// Whether it lives under `/v3/pay/`, whose 401 for a missing header differs.
    pub(crate) fn is_transactions(&self) -> bool {
        self.path.starts_with("/v3/pay/")
    }

    const fn at(name: &'static str, method: &'static str, path: &'static str, kind: Kind) -> Self {
        Self {
            kind,
            name,
            method,
            path,
            requires_user_agent: false,
            calls_per_second: u32::MAX,
            failures_per_second: u32::MAX,
        }
    }

    const fn get(name: &'static str, path: &'static str, kind: Kind) -> Self {
        Self::at(name, "GET", path, kind)
    }

    const fn post(name: &'static str, path: &'static str, kind: Kind) -> Self {
        Self::at(name, "POST", path, kind)
    }

    const fn order(path: &'static str, partner: bool, trade_type: TradeType) -> Self {
        let kind = Kind::Order {
            partner,
            trade_type,
        };
        Self::post("order", path, kind)
    }

    const fn with_user_agent(self) -> Self {
        Self {
            requires_user_agent: true,
            ..self
        }
    }

    const fn calls(self, calls_per_second: u32) -> Self {
        Self {
            calls_per_second,
            ..self
        }
    }

    const fn failures(self, failures_per_second: u32) -> Self {
        Self {
            failures_per_second,
            ..self
        }
    }
}

/// Every operation. In a path, `{id}` is the one value that it may hold.
static OPERATIONS: [Operation; 26] = [
    Operation::get("certificates", "/v3/certificates", Kind::Certificates)
        .with_user_agent()
        .calls(1_000),
    Operation::order("/v3/pay/transactions/jsapi", false, TradeType::Jsapi).calls(500),
    Operation::order("/v3/pay/transactions/native", false, TradeType::Native),
    Operation::order("/v3/pay/transactions/app", false, TradeType::App),
    Operation::order("/v3/pay/transactions/h5", false, TradeType::H5),
    Operation::order("/v3/pay/partner/transactions/jsapi", true, TradeType::Jsapi).calls(500),
    Operation::order(
        "/v3/pay/partner/transactions/native",
        true,
        TradeType::Native,
    ),
    Operation::order("/v3/pay/partner/transactions/app", true, TradeType::App),
    Operation::order("/v3/pay/partner/transactions/h5", true, TradeType::H5),
    Operation::get(
        "query",
        "/v3/pay/transactions/out-trade-no/{id}",
        Kind::QueryByNumber { partner: false },
    ),
    Operation::get(
        "query",
        "/v3/pay/partner/transactions/out-trade-no/{id}",
        Kind::QueryByNumber { partner: true },
    ),
    Operation::get(
        "query",
        "/v3/pay/transactions/id/{id}",
        Kind::QueryById { partner: false },
    ),
    Operation::get(
        "query",
        "/v3/pay/partner/transactions/id/{id}",
        Kind::QueryById { partner: true },
    ),
    Operation::post(
        "close",
        "/v3/pay/transactions/out-trade-no/{id}/close",
        Kind::Close { partner: false },
    ),
    Operation::post(
        "close",
        "/v3/pay/partner/transactions/out-trade-no/{id}/close",
        Kind::Close { partner: true },
    ),
    Operation::post("refund", "/v3/refund/domestic/refunds", Kind::Refund)
        .with_user_agent()
        .calls(150)
        .failures(6),
    Operation::get(
        "query_refund",
        "/v3/refund/domestic/refunds/{id}",
        Kind::QueryRefund,
    )
    .with_user_agent()
    .calls(300),
    Operation::post(
        "abnormal_refund",
        "/v3/refund/domestic/refunds/{id}/apply-abnormal-refund",
        Kind::AbnormalRefund,
    )
    .with_user_agent()
    .calls(150),
    Operation::get("trade_bill", "/v3/bill/tradebill", Kind::TradeBill),
    Operation::get(
        "fund_flow_bill",
        "/v3/bill/fundflowbill",
        Kind::FundFlowBill,
    )
    .calls(3),
    Operation::get("download", "/v3/billdownload/file", Kind::Download),
    Operation::post("upload", "/v3/merchant/media/upload", Kind::Upload),
    Operation::get("login", "/sns/jscode2session", Kind::Login),
    Operation::post("stable_token", "/cgi-bin/stable_token", Kind::StableToken),
    Operation::post(
        Question::Managed.operation(),
        "/wxa/sec/order/is_trade_managed",
        Kind::TradeManagement(Question::Managed),
    ),
    Operation::post(
        Question::Confirmed.operation(),
        "/wxa/sec/order/is_trade_management_confirmation_completed",
        Kind::TradeManagement(Question::Confirmed),
    ),
];

/// Where a request leads.
#[derive(Debug)]
pub(crate) enum Route {
    /// To an operation, with the id in the path, which is empty where the path holds none.
    Found(&'static Operation, String),
    WrongMethod,
    Unknown,
}

/// Finds the operation of a method and a path.
pub(crate) fn route(method: &str, path: &str) -> Route {
    static ROUTER: LazyLock<Router<&'static Operation>> = LazyLock::new(|| {
        let mut router = Router::new();
        for operation in &OPERATIONS {
            // Two rows of one path would be a mistake in the table, which a test looks for.
            let _ = router.insert(operation.path, operation);
        }
        router
    });
    let Ok(found) = ROUTER.at(path) else {
        return Route::Unknown;
    };
    let (operation, id) = (*found.value, found.params.get("id"));
    if id == Some("") {
        Route::Unknown
    } else if operation.method == method {
        Route::Found(operation, id.map(decode).unwrap_or_default())
    } else {
        Route::WrongMethod
    }
}

/// Decodes `%XX`; what is no valid escape or no UTF-8 stays as it is.
pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text)
        .decode_utf8()
        .map_or_else(|_| text.to_owned(), |decoded| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    fn every_row_is_found_by_its_own_method_and_path() {
        for operation in &OPERATIONS {
            let path = operation.path.replace("{id}", "a%2Db");
            let Route::Found(found, id) = route(operation.method, &path) else {
                panic!("{} is not found", operation.path);
            };
            assert!(std::ptr::eq(found, operation), "{}", operation.path);
            let wanted = if path == operation.path { "" } else { "a-b" };
            assert_eq!(id, wanted, "{}", operation.path);
            let other_method = if operation.method == "GET" {
                "POST"
            } else {
                "GET"
            };
            assert!(
                matches!(route(other_method, &path), Route::WrongMethod),
                "{}",
                operation.path
            );
        }
    }

    #[test]
    fn paths_are_compared_as_they_came() {
        for path in [
            "/v3/pay/transactions/out-trade-no/",
            "/v3/pay/transactions/jsapi/",
            "//v3/certificates",
            "/v3/refund/domestic/refunds//apply-abnormal-refund",
            "/v3/pay/transactions/micropay",
        ] {
            assert!(matches!(route("GET", path), Route::Unknown), "{path}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(decode("a%2Fb"), "a/b");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
        assert_eq!(decode("%ff"), "%ff");
    }
}
