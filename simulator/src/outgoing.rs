//! How notices leave: over the network, or by a call to a merchant in this process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// A notice as it goes out.
#[derive(Debug, Clone)]
pub struct SentNotice {
    /// The `notify_url`.
    pub url: String,
    /// The headers, in their order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// The order whose payment it tells, truly and with a signature that holds. It is not sent: whoever runs
    /// a whole world holds against it what the merchant makes of the rest.
    pub tells_payment_of: Option<String>,
}

/// What a merchant answers; `None` where there is no answer.
pub type Received = Pin<Box<dyn Future<Output = Option<hyper::Response<Vec<u8>>>> + Send>>;

/// A merchant in this process.
pub trait Receive: fmt::Debug + Send + Sync {
    /// Takes a notice.
    fn receive(&self, notice: SentNotice) -> Received;
}

/// How notices leave.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Http(reqwest::Client),
    InProcess(Arc<dyn Receive>),
}

const TOO_LATE: &str = "no answer within 5 seconds: answer first, work after";

impl Outgoing {
    /// Posts a notice; the error says why there is no answer.
    pub(crate) async fn post(
        &self,
        notice: SentNotice,
        deadline: Duration,
    ) -> Result<reqwest::Response, String> {
        let client = match self {
            Self::Http(client) => client,
            Self::InProcess(merchant) => {
                let received = merchant.receive(notice);
                return match tokio::time::timeout(deadline, received).await {
                    Ok(Some(answer)) => Ok(answer.into()),
                    Ok(None) => Err("no answer: the connection broke".to_owned()),
                    Err(_) => Err(TOO_LATE.to_owned()),
                };
            }
        };
        let url = notice.url;
        let mut request = client.post(&url).timeout(deadline).body(notice.body);
        for (name, value) in notice.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => Ok(response),
            Err(error) if error.is_timeout() => Err(TOO_LATE.to_owned()),
            Err(error) if error.is_builder() => Err(format!("notify_url {url:?} is no usable URL")),
            Err(error) => Err(format!("no answer: {}", root_cause(&error))),
        }
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
