//! How requests leave a function: by the process's HTTP client or, where a whole world is run in one
//! thread, by a call.

mod early_connections;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, IntoUrl, Method, Request, RequestBuilder, Response};

pub(crate) use early_connections::{Opener, clients as early_clients};

/// How long an idle connection is kept, in seconds. WeChat Pay closes its side after 8
/// (`Keep-Alive: timeout=8`, docs/wechatpay.md), and a connection that died while Lambda was frozen
/// must not be picked up again.
pub(crate) const POOL_IDLE: Duration = Duration::from_secs(7);

/// A request on its way to something in this process.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;

/// Answers requests in this process, without a socket.
pub trait InProcess: fmt::Debug + Send + Sync {
    /// Answers a request; it keeps the request's own timeout.
    fn answer(&self, request: Request) -> Answering;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The HTTP client gave up.
    #[error(transparent)]
    Client(reqwest::Error),
    /// What answers in this process did not.
    #[error("the request was {}", .0.as_str())]
    InProcess(Cause),
}

/// What became of a request that brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was never sent: no connection could be made.
    Unreachable,
    /// It took longer than the request may.
    TimedOut,
    /// The connection broke; it may have arrived.
    Broken,
    /// It is no request that can be sent.
    Unbuildable,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "not sent: there is no connection",
            Self::TimedOut => "not answered in time",
            Self::Broken => "not answered: the connection broke",
            Self::Unbuildable => "not sent: it cannot be built",
        }
    }
}

impl Failure {
    /// What became of the request.
    pub fn cause(&self) -> Cause {
        match self {
            Self::InProcess(cause) => *cause,
            Self::Client(error) if error.is_connect() => Cause::Unreachable,
            Self::Client(error) if error.is_timeout() => Cause::TimedOut,
            Self::Client(error) if error.is_builder() => Cause::Unbuildable,
            Self::Client(_) => Cause::Broken,
        }
    }

    /// The same without the address that was asked, which may hold a secret.
    #[must_use]
    pub fn without_url(self) -> Self {
        match self {
            Self::Client(error) => Self::Client(error.without_url()),
            Self::InProcess(cause) => Self::InProcess(cause),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Client(error)
    }
}

/// Sends what functions ask of WeChat Pay and AWS.
#[derive(Clone, Debug)]
pub struct Transport {
    client: Client,
    opener: Option<Opener>,
    in_process: Option<Arc<dyn InProcess>>,
}

impl Transport {
    /// Over the network, by this client.
    pub const fn new(client: Client) -> Self {
        Self {
            client,
            opener: None,
            in_process: None,
        }
    }

    /// Over the network, by a client whose connections somebody can open early.
    pub(crate) const fn opening_early(client: Client, opener: Opener) -> Self {
        Self {
            client,
            opener: Some(opener),
            in_process: None,
        }
    }

    /// By a call; the client builds requests and sends none.
    pub const fn in_process(client: Client, service: Arc<dyn InProcess>) -> Self {
        Self {
            client,
            opener: None,
            in_process: Some(service),
        }
    }

    /// Begins to open a connection to the host of this URL, for a request that will follow soon; nobody waits
    /// for it.
    pub fn open(&self, url: &str) {
        if let Some(opener) = &self.opener {
            opener.open(url);
        }
    }

    /// Begins a request, for [`Self::send`].
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// It brought no answer, and may have arrived nevertheless unless its cause says that it was not sent.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        self.execute(request.build()?).await
    }

    /// Sends a request that is built.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn execute(&self, request: Request) -> Result<Response, Failure> {
        match &self.in_process {
            None => Ok(self.client.execute(request).await?),
            Some(service) => service.answer(request).await,
        }
    }
}
