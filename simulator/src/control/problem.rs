//! A refusal of the control API: a status, a stable code and a sentence.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::merchant_platform::MerchantPlatformError;

/// A refusal of the control API.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "BAD_REQUEST".to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "NOT_FOUND".to_owned(),
            message: message.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"code": self.code, "message": self.message});
        (self.status, Json(body)).into_response()
    }
}

impl From<MerchantPlatformError> for Problem {
    fn from(error: MerchantPlatformError) -> Self {
        match error {
            MerchantPlatformError::NoMerchant(_) => Self::missing(error.to_string()),
            MerchantPlatformError::Refused(_) => Self::bad(error.to_string()),
            MerchantPlatformError::Key(_) | MerchantPlatformError::Files(_) => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "INTERNAL".to_owned(),
                message: error.to_string(),
            },
        }
    }
}
