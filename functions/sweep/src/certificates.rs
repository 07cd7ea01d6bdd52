//! WeChat Pay's platform certificates: downloaded here, since the sweep may sign, for all who verify.

use std::sync::{Mutex, PoisonError};

use shared::clock::Clock;
use shared::deadline::Deadline;
use shared::domain::Timestamp;
use shared::domain::certificates::{Held, Trust, download_due, needs_attention, trust};
use shared::settling_client::{SettlingClient, SettlingError};
use shared::store::{CertificateKeeper, Certificates, Commit, SealedCertificates};
use shared::telemetry::{Level, Log, LogLine, Metric};

/// Keeps the certificates that are in the table young.
#[derive(Debug)]
pub(crate) struct Downloads {
    certificates: Certificates,
    keeper: CertificateKeeper,
    clock: Clock,
    /// When a download was tried last.
    tried_at: Mutex<Option<Timestamp>>,
}

/// What a look at the certificates came to.
enum Looked {
    Young,
    Downloaded,
    /// They are old, or expire soon, and nothing newer is to be had.
    NeedsAttention,
}

impl Downloads {
    pub(crate) const fn new(
        certificates: Certificates,
        keeper: CertificateKeeper,
        clock: Clock,
    ) -> Self {
        Self {
            certificates,
            keeper,
            clock,
            tried_at: Mutex::new(None),
        }
    }

    /// Downloads the certificates where that is due. What fails is told, counted where a person has to
    /// know, and tried again by a later run; it holds up nothing else.
    pub(crate) async fn look(
        &self,
        settling_client: &SettlingClient,
        deadline: &Deadline,
        log: &Log,
    ) {
        let mut line = LogLine::start("sweep", &self.clock);
        let looked = self.download(settling_client, deadline).await;
        match &looked {
            Ok(Looked::Young) => return,
            Ok(Looked::Downloaded) => {
                line.field("certificates", "downloaded");
            }
            Ok(Looked::NeedsAttention) => {
                line.count(Metric::CertificatesStale).raise(Level::Error);
            }
            Err((error, needs_attention)) => {
                line.field("error", error.to_string()).raise(Level::Warn);
                if *needs_attention {
                    line.count(Metric::CertificatesStale).raise(Level::Error);
                }
            }
        }
        line.write(log, &self.clock, "certificates");
    }

    /// Gives, beside an error, whether a person has to see to it.
    async fn download(
        &self,
        settling_client: &SettlingClient,
        deadline: &Deadline,
    ) -> Result<Looked, (SettlingError, bool)> {
        let keyring = settling_client.keyring();
        let seen = self
            .certificates
            .load()
            .await
            .map_err(|error| (error.into(), false))?;
        let held = match &seen {
            Some(sealed) => Some(
                keyring
                    .held(sealed)
                    .await
                    .map_err(|error| (error.into(), false))?,
            ),
            None => None,
        };
        let now = self.clock.business();
        let stale = needs_attention(held.as_ref(), now);
        let unknown_serial = keyring.met_an_unknown_serial();
        if !download_due(held.as_ref(), self.tried_at(), unknown_serial, now) {
            return Ok(if stale {
                Looked::NeedsAttention
            } else {
                Looked::Young
            });
        }
        self.tried(now);
        let kept = self.keep(
            settling_client,
            trust(held.as_ref()),
            seen.as_ref(),
            deadline,
        );
        let kept = kept.await.map_err(|error| (error, stale))?;
        Ok(match kept {
            // What was downloaded last expires soon, and so does what has taken its place.
            Some(held) if needs_attention(Some(&held), now) => Looked::NeedsAttention,
            Some(_) => Looked::Downloaded,
            None => Looked::Young,
        })
    }

    /// Downloads certificates and puts them in place of those that were seen; gives what is known of them.
    async fn keep(
        &self,
        settling_client: &SettlingClient,
        trust: Trust,
        seen: Option<&SealedCertificates>,
        deadline: &Deadline,
    ) -> Result<Option<Held>, SettlingError> {
        let downloaded = settling_client
            .download_certificates(trust, deadline)
            .await?;
        let Some(downloaded) = downloaded else {
            return Ok(None);
        };
        let keyring = settling_client.keyring();
        match self.keeper.replace(seen, &downloaded).await? {
            // Or another run was faster, and what it keeps is as young.
            Commit::Done | Commit::Conflict => keyring.put(&downloaded).await?,
        }
        Ok(Some(keyring.held(&downloaded).await?))
    }

    fn tried_at(&self) -> Option<Timestamp> {
        *self.tried_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tried(&self, now: Timestamp) {
        *self.tried_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}
