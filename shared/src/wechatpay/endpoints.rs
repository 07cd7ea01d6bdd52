//! Which hosts are sent what the merchant's key signed.

/// Where WeChat Pay is: a host and its backup, same paths, same signatures.
/// The default is none at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    base_url: String,
    backup_url: String,
    trusted: Vec<String>,
}

/// An address at an accepted host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The host with its scheme, without a slash at its end.
    pub(super) host: String,
    /// Path and query, as they are signed and sent.
    pub(super) target: String,
}

/// How long an address may be that WeChat Pay gives (docs/wechatpay.md, "Bills").
const ADDRESS_MAX: usize = 2048;

/// An address that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute URL without path, query and user.
    #[error("{0:?} is not an http(s) URL of a host alone")]
    NotAHost(String),
    /// A host that is neither WeChat Pay's over https nor named explicitly.
    #[error("{0} is not a host of WeChat Pay's over https, and is not in WECHATPAY_TRUSTED_HOSTS")]
    NotTrusted(String),
}

/// WeChat Pay's own hosts (docs/wechatpay.md, "Hosts").
const HOSTS: [&str; 4] = [
    "api.mch.weixin.qq.com",
    "api2.mch.weixin.qq.com",
    "api.wechatpay.cn",
    "api2.wechatpay.cn",
];

impl Endpoints {
    /// Reads both addresses. A host that is not WeChat Pay's, or is without TLS, is accepted only
    /// where its `host` or `host:port` is in `trusted`.
    ///
    /// # Errors
    /// Names the address that is not accepted.
    pub fn parse(base: &str, backup: &str, trusted: &[&str]) -> Result<Self, EndpointError> {
        Ok(Self {
            base_url: endpoint(base, trusted)?,
            backup_url: endpoint(backup, trusted)?,
            trusted: trusted.iter().map(|host| (*host).to_owned()).collect(),
        })
    }

    /// The first host to ask, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        &self.base_url
    }

    /// The host to ask where the first cannot be reached.
    pub(super) fn backup(&self) -> &str {
        &self.backup_url
    }

    /// The place that an address of WeChat Pay's names; `None` at any other host, and for what is no
    /// address of a path.
    pub(super) fn place(&self, address: &str) -> Option<Place> {
        if address.len() > ADDRESS_MAX {
            return None;
        }
        let url = reqwest::Url::parse(address).ok()?;
        let alone = url.username().is_empty() && url.password().is_none();
        if !alone || url.fragment().is_some() || !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let authority = authority(&url)?;
        let trusted = self.trusted.contains(&authority);
        let query = url.query().map(|query| format!("?{query}"));
        (is_own(&url) || trusted).then(|| Place {
            host: format!("{}://{authority}", url.scheme()),
            target: format!("{}{}", url.path(), query.unwrap_or_default()),
        })
    }
}

/// `host` or `host:port`, as `WECHATPAY_TRUSTED_HOSTS` names them.
fn authority(url: &reqwest::Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Whether it is WeChat Pay's own, over TLS.
fn is_own(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && url.port().is_none() && HOSTS.contains(&host)
}

fn endpoint(text: &str, trusted: &[&str]) -> Result<String, EndpointError> {
    let not_a_host = || EndpointError::NotAHost(text.to_owned());
    let url = reqwest::Url::parse(text).map_err(|_| not_a_host())?;
    let host = url.host_str().ok_or_else(not_a_host)?;
    if !url.username().is_empty() || url.password().is_some() {
        // What stands before the host may be a password, which no error may show.
        return Err(EndpointError::NotAHost(format!("…@{host}")));
    }
    let alone = url.path() == "/" && url.query().is_none();
    if !matches!(url.scheme(), "http" | "https") || !alone || url.fragment().is_some() {
        return Err(not_a_host());
    }
    let authority = authority(&url).ok_or_else(not_a_host)?;
    if !is_own(&url) && !trusted.contains(&authority.as_str()) {
        return Err(EndpointError::NotTrusted(authority));
    }
    Ok(text.trim_end_matches('/').to_owned())
}
