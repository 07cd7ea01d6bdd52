//! Connections that are opened before there is a request to send.
//!
//! WeChat Pay is far away: a connection to it takes two round trips, of 30 to 200 ms each, before the first
//! byte of a request can leave. Who knows that it will ask opens the connection while it does something else
//! ([`Opener::open`]) and does not wait for it. The next request to that host takes the connection, or waits for
//! what it still lacks; if it came to nothing, or is closed by now, the request makes its own, as without any
//! of this.
//!
//! The HTTP client offers no such thing, but lets its connector be wrapped. Two clients share what is opened
//! here: one that opens, whose requests end as soon as their connections stand, and one that takes.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection that nothing was sent over is good for.
const GOOD_FOR: Duration = super::POOL_IDLE;

/// Connections under way or open, by where they lead to.
type Early<C> = Arc<Mutex<BTreeMap<String, Opened<C>>>>;

struct Opened<C> {
    since: Instant,
    connection: oneshot::Receiver<C>,
}

/// Opens connections for requests to come.
#[derive(Clone)]
pub(crate) struct Opener {
    client: reqwest::Client,
}

impl Debug for Opener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Opener").finish_non_exhaustive()
    }
}

/// The client that the builder makes, and who opens connections for it.
///
/// # Errors
/// As the builder's.
pub(crate) fn clients(
    builder: impl Fn() -> reqwest::ClientBuilder,
) -> reqwest::Result<(reqwest::Client, Opener)> {
    let early = Early::default();
    let opening = Opening(Arc::clone(&early));
    let opener = builder()
        // It holds none, so it never sends a request over one.
        .pool_max_idle_per_host(0)
        .connector_layer(opening)
        .build()?;
    let client = builder().connector_layer(Taking(early)).build()?;
    Ok((client, Opener { client: opener }))
}

impl Opener {
    /// Begins to open a connection to the host of this URL, in a task of its own.
    pub(crate) fn open(&self, url: &str) {
        let connecting = self.client.get(url).send();
        // It ends with an error always. Whether there is a connection then shows when one is needed.
        tokio::spawn(async move { drop(connecting.await) });
    }
}

/// Makes a connector keep what it connects to for others.
struct Opening<C>(Early<C>);

/// Makes a connector take what was connected to before.
struct Taking<C>(Early<C>);

struct OpeningConnector<D, C> {
    inner: BoxCloneSyncService<D, C, BoxError>,
    early: Early<C>,
}

struct TakingConnector<D, C> {
    inner: BoxCloneSyncService<D, C, BoxError>,
    early: Early<C>,
}

/// How a request ends that only opens a connection.
#[derive(Debug, thiserror::Error)]
#[error("the connection is kept for a request to come")]
struct Kept;

impl<C> Clone for Opening<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Clone for Taking<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<D, C> Clone for OpeningConnector<D, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            early: Arc::clone(&self.early),
        }
    }
}

impl<D, C> Clone for TakingConnector<D, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            early: Arc::clone(&self.early),
        }
    }
}

impl<D, C> Layer<BoxCloneSyncService<D, C, BoxError>> for Opening<C> {
    type Service = OpeningConnector<D, C>;

    fn layer(&self, inner: BoxCloneSyncService<D, C, BoxError>) -> Self::Service {
        let early = Arc::clone(&self.0);
        OpeningConnector { inner, early }
    }
}

impl<D, C> Layer<BoxCloneSyncService<D, C, BoxError>> for Taking<C> {
    type Service = TakingConnector<D, C>;

    fn layer(&self, inner: BoxCloneSyncService<D, C, BoxError>) -> Self::Service {
        let early = Arc::clone(&self.0);
        TakingConnector { inner, early }
    }
}

type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, BoxError>> + Send>>;

impl<D: Debug, C: Send + 'static> Service<D> for OpeningConnector<D, C> {
    type Response = C;
    type Error = BoxError;
    type Future = Connecting<C>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: D) -> Connecting<C> {
        let (stands, connection) = oneshot::channel();
        let opened = Opened {
            since: Instant::now(),
            connection,
        };
        locked(&self.early).insert(place(&to), opened);
        let connecting = self.inner.call(to);
        Box::pin(async move {
            // Nobody waits for it any more if it took too long.
            let _ = stands.send(connecting.await?);
            Err(Kept.into())
        })
    }
}

impl<D, C> Service<D> for TakingConnector<D, C>
where
    D: Debug + Send + 'static,
    C: Read + Send + Unpin + 'static,
{
    type Response = C;
    type Error = BoxError;
    type Future = Connecting<C>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, to: D) -> Connecting<C> {
        let opened = locked(&self.early).remove(&place(&to));
        let opened = opened.filter(|opened| opened.since.elapsed() < GOOD_FOR);
        let Some(opened) = opened else {
            return self.inner.call(to);
        };
        // The one that was asked whether it is ready; its clone is asked before the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            if let Ok(mut connection) = opened.connection.await
                && is_open(&mut connection).await
            {
                return Ok(connection);
            }
            inner.call(to).await
        })
    }
}

/// What a destination is known by: the client's own type of it says no more of itself.
fn place(to: &impl Debug) -> String {
    format!("{to:?}")
}

fn locked<C>(early: &Early<C>) -> std::sync::MutexGuard<'_, BTreeMap<String, Opened<C>>> {
    early.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the other side has neither closed the connection nor said anything on it.
async fn is_open(connection: &mut (impl Read + Unpin)) -> bool {
    poll_fn(|context| {
        let mut byte = [0];
        let mut heard = ReadBuf::new(&mut byte);
        let read = Pin::new(&mut *connection).poll_read(context, heard.unfilled());
        Poll::Ready(read.is_pending())
    })
    .await
}

#[cfg(test)]
mod tests;
