//! The API's sockets: HTTP/1.1 with the raw target and body in, exact headers out, connections that
//! drop when a fault says so. Plain and TLS ports share everything behind the handshake.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, channel::Channel};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::api;
use crate::api::answer::{DRIP, Pace, Response};
use crate::api::request::Request;
use crate::faults::Target;
use crate::handle::SimulatorHandle;
use crate::request_body::{self, Read};

/// Idle connections are closed after this long, as the `Keep-Alive` header says.
const KEEP_ALIVE: Duration = Duration::from_secs(8);
const DRIP_BYTES: usize = 8;

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// How connections of the TLS port are secured.
pub(crate) struct Tls {
    pub(crate) right: TlsAcceptor,
    /// By the fault that brings it.
    pub(crate) flawed: [(&'static str, TlsAcceptor); 3],
}

impl Tls {
    fn pick(&self, handle: &SimulatorHandle) -> TlsAcceptor {
        // Nothing is known yet of what the connection will be used for.
        let target = Target {
            operation: "tls",
            out_trade_no: None,
            subject: "tls",
        };
        let flawed = self
            .flawed
            .iter()
            .find(|(name, _)| handle.lock().faults.strikes(name, target));
        flawed.map_or(&self.right, |(_, acceptor)| acceptor).clone()
    }
}

/// Accepts connections until the task is dropped.
pub(crate) async fn run(
    handle: Arc<SimulatorHandle>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: let some connections end.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Answers are small; waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        let handle = Arc::clone(&handle);
        match tls.as_ref().map(|tls| tls.pick(&handle)) {
            None => connections.spawn(connection(handle, stream)),
            Some(acceptor) => connections.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    connection(handle, stream).await;
                }
            }),
        };
        while connections.try_join_next().is_some() {}
    }
}

async fn connection<S>(handle: Arc<SimulatorHandle>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&handle), request));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(KEEP_ALIVE)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // A dropped connection is a fault on purpose or the client's own doing.
    drop(served);
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
pub(crate) struct Dropped;

async fn answer(
    handle: Arc<SimulatorHandle>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Body>, Dropped> {
    let (head, body) = request.into_parts();
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let (body, fits) = match request_body::read(body).await {
        Ok(Read::Whole(body)) => (body, true),
        Ok(Read::TooLarge | Read::Unread) => (Bytes::new(), false),
        Err(_) => return Err(Dropped),
    };
    let request = Request {
        method: head.method.as_str().to_owned(),
        target,
        headers: head.headers,
        body,
    };
    answer_whole(&handle, request, fits).await
}

/// Answers a request that was read to its end; one that does not fit is refused.
pub(crate) async fn answer_whole(
    handle: &Arc<SimulatorHandle>,
    request: Request,
    fits: bool,
) -> Result<hyper::Response<Body>, Dropped> {
    let delayed = if fits {
        api::serve(handle, request)
    } else {
        api::too_large(handle, &request)
    };
    if !delayed.after.is_zero() {
        tokio::time::sleep(delayed.after).await;
    }
    match delayed.response {
        Response::Drop => Err(Dropped),
        Response::Send {
            status,
            headers,
            body,
            pace,
        } => {
            let mut response = hyper::Response::new(paced(body, pace));
            *response.status_mut() =
                hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::OK);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (
                    HeaderName::from_bytes(name.as_bytes()),
                    HeaderValue::from_str(&value),
                ) {
                    response.headers_mut().append(name, value);
                }
            }
            Ok(response)
        }
    }
}

fn paced(body: Vec<u8>, pace: Pace) -> Body {
    if body.is_empty() {
        return Nothing.map_err(never).boxed();
    }
    let bytes = Bytes::from(body);
    match pace {
        Pace::AtOnce => Full::new(bytes).map_err(never).boxed(),
        Pace::Drip | Pace::Truncated => {
            let (mut sender, channel) = Channel::<Bytes, std::io::Error>::new(1);
            tokio::spawn(async move {
                if pace == Pace::Truncated {
                    // The client may have gone; then there is nothing to cut short.
                    let _ = sender.send_data(bytes.slice(..bytes.len() / 2)).await;
                    sender.abort(std::io::Error::other("cut short on purpose"));
                    return;
                }
                for piece in bytes.chunks(DRIP_BYTES) {
                    if sender
                        .send_data(Bytes::copy_from_slice(piece))
                        .await
                        .is_err()
                    {
                        return;
                    }
                    tokio::time::sleep(DRIP).await;
                }
            });
            channel.boxed()
        }
    }
}

/// A body of no bytes that does not say so in advance: hyper leaves `Content-Length: 0` out of a
/// 204 otherwise, and WeChat Pay sends it.
struct Nothing;

impl hyper::body::Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}

fn never(error: Infallible) -> std::io::Error {
    match error {}
}
