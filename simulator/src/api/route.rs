//! Which operation a method and a path name. Paths are compared as they came, without
//! normalisation; only the values inside them are percent-decoded.

use crate::ledger::TradeType;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    Certificates,
    Order {
        partner: bool,
        trade_type: TradeType,
    },
    QueryByNumber {
        partner: bool,
        out_trade_no: String,
    },
    QueryById {
        partner: bool,
        transaction_id: String,
    },
    Close {
        partner: bool,
        out_trade_no: String,
    },
    Refund,
    QueryRefund {
        out_refund_no: String,
    },
    AbnormalRefund {
        refund_id: String,
    },
    TradeBill,
    FundFlowBill,
    Download,
    Upload,
    Login,
}

impl Operation {
    /// The name used in `/_sim/requests` and by faults.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::Order { .. } => "order",
            Self::QueryByNumber { .. } | Self::QueryById { .. } => "query",
            Self::Close { .. } => "close",
            Self::Refund => "refund",
            Self::QueryRefund { .. } => "query_refund",
            Self::AbnormalRefund { .. } => "abnormal_refund",
            Self::TradeBill => "trade_bill",
            Self::FundFlowBill => "fund_flow_bill",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Login => "login",
        }
    }

    /// Whether a missing User-Agent is refused before authentication (fidelity point 2).
    pub(crate) fn checks_user_agent(&self) -> bool {
        match self {
            Self::Certificates
            | Self::Refund
            | Self::QueryRefund { .. }
            | Self::AbnormalRefund { .. } => true,
            Self::Order { .. }
            | Self::QueryByNumber { .. }
            | Self::QueryById { .. }
            | Self::Close { .. }
            | Self::TradeBill
            | Self::FundFlowBill
            | Self::Download
            | Self::Upload
            | Self::Login => false,
        }
    }

    /// Whether it lives under `/v3/pay/`, whose 401 for a missing header differs (§2.3).
    pub(crate) fn is_transactions(&self) -> bool {
        match self {
            Self::Order { .. }
            | Self::QueryByNumber { .. }
            | Self::QueryById { .. }
            | Self::Close { .. } => true,
            Self::Certificates
            | Self::Refund
            | Self::QueryRefund { .. }
            | Self::AbnormalRefund { .. }
            | Self::TradeBill
            | Self::FundFlowBill
            | Self::Download
            | Self::Upload
            | Self::Login => false,
        }
    }

    /// Calls and failing calls a merchant may make per second (§14; where no source names a limit
    /// there is none).
    pub(crate) fn limits(&self) -> (u32, u32) {
        match self {
            Self::Order {
                trade_type: TradeType::Jsapi,
                ..
            } => (500, u32::MAX),
            Self::Refund => (150, 6),
            Self::QueryRefund { .. } => (300, u32::MAX),
            Self::AbnormalRefund { .. } => (150, u32::MAX),
            Self::Certificates => (1_000, u32::MAX),
            Self::FundFlowBill => (3, u32::MAX),
            Self::Order { .. }
            | Self::QueryByNumber { .. }
            | Self::QueryById { .. }
            | Self::Close { .. }
            | Self::TradeBill
            | Self::Download
            | Self::Upload
            | Self::Login => (u32::MAX, u32::MAX),
        }
    }
}

pub(crate) enum Route {
    Found(Operation),
    WrongMethod,
    Unknown,
}

pub(crate) fn route(method: &str, path: &str) -> Route {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let partner = segments.get(2) == Some(&"partner");
    let rest: &[&str] = match segments.as_slice() {
        ["v3", "pay", "partner", "transactions", rest @ ..]
        | ["v3", "pay", "transactions", rest @ ..] => rest,
        _ => return route_others(method, &segments),
    };
    let (wanted, operation) = match rest {
        [kind] => match TradeType::from_path(kind) {
            Some(trade_type) => (
                "POST",
                Operation::Order {
                    partner,
                    trade_type,
                },
            ),
            None => return Route::Unknown,
        },
        ["id", id] if !id.is_empty() => (
            "GET",
            Operation::QueryById {
                partner,
                transaction_id: decode(id),
            },
        ),
        ["out-trade-no", number] if !number.is_empty() => (
            "GET",
            Operation::QueryByNumber {
                partner,
                out_trade_no: decode(number),
            },
        ),
        ["out-trade-no", number, "close"] if !number.is_empty() => (
            "POST",
            Operation::Close {
                partner,
                out_trade_no: decode(number),
            },
        ),
        _ => return Route::Unknown,
    };
    found(method, wanted, operation)
}

fn route_others(method: &str, segments: &[&str]) -> Route {
    match segments {
        ["v3", "certificates"] => found(method, "GET", Operation::Certificates),
        ["v3", "refund", "domestic", "refunds"] => found(method, "POST", Operation::Refund),
        ["v3", "refund", "domestic", "refunds", number] if !number.is_empty() => found(
            method,
            "GET",
            Operation::QueryRefund {
                out_refund_no: decode(number),
            },
        ),
        [
            "v3",
            "refund",
            "domestic",
            "refunds",
            id,
            "apply-abnormal-refund",
        ] => found(
            method,
            "POST",
            Operation::AbnormalRefund {
                refund_id: decode(id),
            },
        ),
        ["v3", "bill", "tradebill"] => found(method, "GET", Operation::TradeBill),
        ["v3", "bill", "fundflowbill"] => found(method, "GET", Operation::FundFlowBill),
        ["v3", "billdownload", "file"] => found(method, "GET", Operation::Download),
        ["v3", "merchant", "media", "upload"] => found(method, "POST", Operation::Upload),
        ["sns", "jscode2session"] => found(method, "GET", Operation::Login),
        _ => Route::Unknown,
    }
}

fn found(method: &str, wanted: &str, operation: Operation) -> Route {
    if method == wanted {
        Route::Found(operation)
    } else {
        Route::WrongMethod
    }
}

/// Decodes `%XX`; what is no valid escape or no UTF-8 stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escape = (bytes[index] == b'%')
            .then(|| text.get(index + 1..index + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}
