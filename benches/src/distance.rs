//! Servers that are far away: what is sent to them, and what they answer, takes its time.
//!
//! A loopback connection stands at once, where a real one takes a round trip. So nothing that a client
//! sends leaves before that round trip is over; everything else is late by half of one, each way.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, split};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How much may be under way, in bytes, and how much is read at once.
const UNDER_WAY_MAX: usize = 64 * 1024;
const READ_MAX: usize = 16 * 1024;

/// The server's end of a connection that a client at this distance has just opened.
pub(crate) fn far(
    client: impl AsyncRead + AsyncWrite + Send + 'static,
    round_trip: Duration,
) -> DuplexStream {
    let (ours, servers) = tokio::io::duplex(UNDER_WAY_MAX);
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(ours);
    let opened = Instant::now();
    tokio::spawn(late(
        from_client,
        to_server,
        round_trip / 2,
        opened + round_trip,
    ));
    tokio::spawn(late(from_server, to_client, round_trip / 2, opened));
    servers
}

/// Passes bytes on, each as late as the distance makes it; none leaves before `not_before`.
async fn late(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    one_way: Duration,
    not_before: Instant,
) {
    let (sent, mut arriving) = mpsc::unbounded_channel();
    let leaving = async move {
        let mut bytes = vec![0; READ_MAX];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let due = Instant::now().max(not_before) + one_way;
            let part = bytes.get(..count).unwrap_or_default().to_vec();
            if sent.send((due, part)).is_err() {
                return;
            }
        }
    };
    let arriving = async move {
        while let Some((due, part)) = arriving.recv().await {
            sleep_until(due).await;
            if to.write_all(&part).await.is_err() {
                return;
            }
        }
        // The other side may be gone already.
        let _ = to.shutdown().await;
    };
    tokio::join!(leaving, arriving);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::far;

    #[tokio::test]
    async fn connecting_takes_a_round_trip_and_each_exchange_another() {
        let round_trip = Duration::from_millis(20);
        let (mut client, outside) = tokio::io::duplex(64);
        let began = Instant::now();
        let mut server = far(outside, round_trip);
        tokio::spawn(async move {
            while let Ok(letter) = server.read_u8().await {
                if server.write_u8(letter).await.is_err() {
                    return;
                }
            }
        });
        for exchange in 2..5 {
            assert!(client.write_u8(7).await.is_ok());
            assert!(matches!(client.read_u8().await, Ok(7)));
            assert!(began.elapsed() >= round_trip * exchange);
        }
    }
}
