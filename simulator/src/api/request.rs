//! A request as it came, and the merchant who signed it.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::body::Bytes;

use crate::merchants::MerchantWithKeys;

/// A request as it came: nothing decoded, nothing normalised.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as they were on the wire.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    pub(crate) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// A query parameter, decoded.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query()?.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The merchant who signed a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) merchant: Arc<MerchantWithKeys>,
    pub(crate) serial_no: String,
}

impl Caller {
    pub(crate) fn mchid(&self) -> &str {
        &self.merchant.record.mchid
    }
}
