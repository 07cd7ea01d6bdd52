//! The ports of a stack, on loopback.

use tokio::net::TcpListener;

use super::error::StartError;

/// A usual port that another program holds; the stack took a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenPort {
    /// The option that chooses the port.
    pub option: &'static str,
    /// The usual port.
    pub port: u16,
}

/// Listens on the port asked for, or on the usual one, or on a free one where that is taken.
///
/// # Errors
/// The port that was asked for cannot be listened on, or no port is free.
pub(super) async fn listen(
    option: &'static str,
    wanted: Option<u16>,
    usual: u16,
) -> Result<(TcpListener, Option<TakenPort>), StartError> {
    let port = wanted.unwrap_or(usual);
    match (TcpListener::bind(("127.0.0.1", port)).await, wanted) {
        (Ok(listener), _) => Ok((listener, None)),
        (Err(error), Some(_)) => Err(StartError::system(
            format!("the port {port} ({option}) cannot be used"),
            error,
        )),
        (Err(_), None) => {
            let free = TcpListener::bind("127.0.0.1:0").await;
            let free = free.map_err(|error| StartError::system("no port is free", error))?;
            Ok((free, Some(TakenPort { option, port })))
        }
    }
}

/// The port for somebody else to listen on, by the same rule; 0 for any.
///
/// # Errors
/// As those of [`listen`].
pub(super) async fn choose(
    option: &'static str,
    wanted: Option<u16>,
    usual: u16,
) -> Result<(u16, Option<TakenPort>), StartError> {
    let (_, taken) = listen(option, wanted, usual).await?;
    let port = if taken.is_some() {
        0
    } else {
        wanted.unwrap_or(usual)
    };
    Ok((port, taken))
}
