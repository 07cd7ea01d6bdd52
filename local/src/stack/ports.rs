//! The ports of a stack, on loopback.

use tokio::net::TcpListener;

use super::error::StartError;

pub(super) async fn listen(
    option: &str,
    wanted: Option<u16>,
    usual: u16,
) -> Result<TcpListener, StartError> {
    let first = wanted.unwrap_or(usual);
    match TcpListener::bind(("127.0.0.1", first)).await {
        Ok(listener) => Ok(listener),
        Err(error) if wanted.is_some() => Err(StartError(format!(
            "the port {first} ({option}) cannot be used: {error}"
        ))),
        Err(_) => TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| StartError(format!("no port is free: {error}"))),
    }
}

/// The port asked for, or the usual one while it is free, or 0 for any.
pub(super) async fn port_or_free(wanted: Option<u16>, usual: u16) -> u16 {
    match wanted {
        Some(port) => port,
        None => match TcpListener::bind(("127.0.0.1", usual)).await {
            Ok(_) => usual,
            Err(_) => 0,
        },
    }
}
