//! Bills: the application, and the download that follows it.
//!
//! The answer to the application is signed and says where the file is and what its hash is; the file
//! itself carries no signature. So it is fetched from hosts of WeChat Pay's alone, whatever was signed,
//! into a file of bounded size, and is worth nothing until its hash held (`bill`).

use std::io::Write;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use serde::Deserialize;
use tokio::time::timeout;

use super::super::endpoints::Place;
use super::{
    AGENT, ANSWER_MAX, AsksFor, Call, Client, Question, Repeat, Response, authorization, cause_of,
    refusal,
};
use crate::domain::BeijingDay;
use crate::wechatpay::verify::Signed;
use crate::wechatpay::{CallError, UnknownCause, wire};
use crate::{random, rfc3339};

/// How many bytes a bill may have as it is downloaded, packed: a million rows take some 100 MiB at most.
/// It must leave room in what Lambda lends as `/tmp`, 512 MiB, for two.
pub const DOWNLOAD_MAX: u64 = 192 << 20;

/// How long a download may stand still.
const STANDSTILL_MAX: Duration = Duration::from_secs(20);

/// The bills of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BillKind {
    /// Payments and refunds, `ALL`.
    Trade,
    /// What moved money, of the `BASIC` account.
    FundFlow,
}

impl BillKind {
    /// Its name in log lines and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trade => "tradebill",
            Self::FundFlow => "fundflowbill",
        }
    }

    const fn choice(self) -> &'static str {
        match self {
            Self::Trade => "bill_type=ALL",
            Self::FundFlow => "account_type=BASIC",
        }
    }
}

/// Where a bill is for the next minutes, and how its bytes are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillOffer {
    place: Place,
    hash: String,
}

impl BillOffer {
    /// The SHA-1 of the file's bytes, unpacked, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Why there is no bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBill {
    /// `STATEMENT_CREATING`: it is being made.
    NotYet,
    /// `NO_STATEMENT_EXIST`: nothing happened on that day, or so it says.
    Never,
}

/// Why a bill was not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// WeChat Pay refused, or gave no usable answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// More came than a bill may have.
    #[error("the download has more than {DOWNLOAD_MAX} bytes")]
    TooLarge,
    /// The file it was written to.
    #[error("the download could not be written")]
    Spool(#[source] std::io::Error),
}

impl CallError {
    /// Why there is no bill, where that is what an application was refused for. It goes by the code, since
    /// sources disagree about the status, and it may be unsigned: it proves nothing by itself.
    pub fn no_bill(&self) -> Option<NoBill> {
        match self {
            Self::Refused(refusal) => match refusal.code.as_str() {
                "STATEMENT_CREATING" => Some(NoBill::NotYet),
                "NO_STATEMENT_EXIST" => Some(NoBill::Never),
                _ => None,
            },
            Self::Unknown(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct OfferAnswer {
    download_url: String,
    hash_type: String,
    hash_value: String,
}

impl Client {
    /// Applies for a bill of a day, packed.
    ///
    /// # Errors
    /// Also where the file is said to be at a host that is not WeChat Pay's; [`CallError::no_bill`] tells
    /// why there is none.
    pub async fn bill(
        &self,
        call: &Call<'_>,
        kind: BillKind,
        day: BeijingDay,
    ) -> Result<Signed<BillOffer>, CallError> {
        // A partner's bill of trades has those of all its sub-merchants.
        let whose = match (&self.payee.sub_mchid, kind) {
            (Some(sub_mchid), BillKind::Trade) => format!("&sub_mchid={sub_mchid}"),
            (Some(_), BillKind::FundFlow) | (None, _) => String::new(),
        };
        let question = Question {
            method: Method::GET,
            target: format!(
                "/v3/bill/{}?bill_date={}&{}&tar_type=GZIP{whose}",
                kind.as_str(),
                rfc3339::format_day(day),
                kind.choice()
            ),
            body: b"",
            repeat: Repeat::Yes,
            asks_for: AsksFor::Nothing,
            first_use: None,
        };
        let answered = self.ask(call, &question).await?;
        answered.read(|body| self.offer(body))
    }

    fn offer(&self, body: &[u8]) -> Result<BillOffer, CallError> {
        let answer: OfferAnswer = wire::read(body)?;
        let hexadecimal = answer
            .hash_value
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit());
        if answer.hash_type != "SHA1" || answer.hash_value.len() != 40 || !hexadecimal {
            return Err(CallError::unexpected("a bill whose hash is not SHA-1"));
        }
        let place = self.endpoints.place(&answer.download_url);
        Ok(BillOffer {
            place: place.ok_or_else(|| CallError::unexpected("a bill at a foreign host"))?,
            hash: answer.hash_value,
        })
    }

    /// Downloads an offered bill into `spool`, as it comes, and gives the number of bytes. It is no bill
    /// before it was read to its end and its hash held. A second attempt is the caller's: it needs an
    /// empty file.
    ///
    /// # Errors
    /// Nothing of what was written is worth anything.
    pub async fn download(
        &self,
        call: &Call<'_>,
        offer: &Signed<BillOffer>,
        spool: &mut impl Write,
    ) -> Result<u64, DownloadError> {
        let started = tokio::time::Instant::now();
        let place = &offer.get().place;
        let authorization = authorization(
            &call.keys.merchant,
            &self.payee.mchid,
            "GET",
            &place.target,
            call.clock.wall(),
            &random::nonce(),
            b"",
        );
        let request = self
            .transport
            .request(Method::GET, format!("{}{}", place.host, place.target))
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "*/*")
            .header(USER_AGENT, AGENT);
        let left = || {
            let left = call.time_left.saturating_sub(started.elapsed());
            left.min(STANDSTILL_MAX)
        };
        let late = |_| CallError::Unknown(UnknownCause::Timeout);
        let unknown = |failure| CallError::Unknown(cause_of(&failure));
        let broken = |_| CallError::Unknown(UnknownCause::Broken);
        let sent = timeout(left(), self.transport.send(request))
            .await
            .map_err(late)?;
        let mut answer = sent.map_err(unknown)?;
        let status = answer.status().as_u16();
        let (mut written, mut refused) = (0, Vec::new());
        while let Some(chunk) = timeout(left(), answer.chunk())
            .await
            .map_err(late)?
            .map_err(broken)?
        {
            written += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if status != 200 {
                refused.extend_from_slice(&chunk);
                if refused.len() > ANSWER_MAX {
                    return Err(CallError::unexpected("an answer that is too large").into());
                }
                continue;
            }
            if written > DOWNLOAD_MAX {
                return Err(DownloadError::TooLarge);
            }
            spool.write_all(&chunk).map_err(DownloadError::Spool)?;
        }
        let headers = std::mem::take(answer.headers_mut());
        match status {
            200 => Ok(written),
            429 => Err(CallError::Unknown(UnknownCause::RateLimited).into()),
            400..=499 => {
                let response = Response {
                    status,
                    headers,
                    body: refused,
                };
                let (keys, now) = (&call.keys.platform, call.clock.wall());
                let refusal = refusal(response, AsksFor::Nothing, keys, now);
                Err(CallError::Refused(refusal).into())
            }
            500..=599 => Err(CallError::Unknown(UnknownCause::ServerError { status }).into()),
            _ => Err(CallError::unexpected("a download that is not 200").into()),
        }
    }
}
