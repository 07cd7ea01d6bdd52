//! A way to a service that takes as long as the real one: each request is held up on its way in, and
//! who asks what is written down.

use std::sync::Mutex;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};

use super::latency::{Draws, Latency};
use super::locked;

/// How much is passed on at a time, in bytes.
const PIECE: usize = 16 << 10;

/// How much of a request's first line is kept, in bytes.
const LINE_MAX: usize = 300;

/// A way to a service.
#[derive(Debug)]
pub(crate) struct Passage {
    latency: Mutex<Latency>,
    draws: Draws,
    lines: Mutex<Option<Vec<(Instant, String)>>>,
}

impl Passage {
    pub(crate) fn new(latency: Latency) -> Self {
        Self {
            latency: Mutex::new(latency),
            draws: Draws::default(),
            lines: Mutex::new(None),
        }
    }

    /// What is asked from now on takes this long.
    pub(crate) fn set(&self, latency: Latency) {
        *locked(&self.latency) = latency;
    }

    /// Writes down each request's first line from now on.
    pub(crate) fn watch(&self) {
        *locked(&self.lines) = Some(Vec::new());
    }

    /// The first lines since [`Self::watch`], with the moment each came.
    pub(crate) fn watched(&self) -> Vec<(Instant, String)> {
        locked(&self.lines).take().unwrap_or_default()
    }

    /// Passes on what a client and a server say to each other. Neither talks before the other has
    /// ended, as over HTTP/1.1 without pipelining.
    pub(crate) async fn pass(
        &self,
        outside: impl AsyncRead + AsyncWrite,
        inside: impl AsyncRead + AsyncWrite,
    ) -> std::io::Result<()> {
        let (mut from_client, mut to_client) = split(outside);
        let (mut from_server, mut to_server) = split(inside);
        let (mut asked, mut answered) = (vec![0; PIECE], vec![0; PIECE]);
        let mut is_asking = false;
        loop {
            tokio::select! {
                length = from_client.read(&mut asked) => {
                    let length = length?;
                    let piece = asked.get(..length).unwrap_or_default();
                    if piece.is_empty() {
                        return Ok(());
                    }
                    if !is_asking {
                        is_asking = true;
                        self.note(piece);
                        let latency = *locked(&self.latency);
                        tokio::time::sleep(latency.at(self.draws.draw())).await;
                    }
                    to_server.write_all(piece).await?;
                    to_server.flush().await?;
                }
                length = from_server.read(&mut answered) => {
                    let length = length?;
                    let piece = answered.get(..length).unwrap_or_default();
                    if piece.is_empty() {
                        // Flushed and closed, so that the client hears of it at once.
                        return to_client.shutdown().await;
                    }
                    is_asking = false;
                    to_client.write_all(piece).await?;
                    to_client.flush().await?;
                }
            }
        }
    }

    fn note(&self, piece: &[u8]) {
        if let Some(lines) = &mut *locked(&self.lines) {
            let line = piece.split(|byte| *byte == b'\r').next();
            let line = line.unwrap_or_default();
            let line = line.get(..LINE_MAX).unwrap_or(line);
            lines.push((Instant::now(), String::from_utf8_lossy(line).into_owned()));
        }
    }
}
