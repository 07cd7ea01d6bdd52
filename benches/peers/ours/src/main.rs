//! This project's header and notice, asked as the peers' are (benches/peers/run).
//!
//! Each line of standard input is a batch, `header COUNT FILE` or `notice COUNT FILE`; each line of
//! standard output its last result, `ok RESULT` or `no REASON`. A header's file has method and target, an
//! empty line and the body; a notice's has its headers, an empty line and the body. Time is not taken
//! here: whoever asks reads the kernel's account of this process.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;

use shared::clock::Clock;
use shared::domain::Mchid;
use shared::random;
use shared::wechatpay::{
    Apiv3Keys, MerchantKey, Notification, PlatformKeys, SignatureHeaders, authorization,
    read_notification, verify,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The merchant's keys, read once.
struct Ours {
    clock: Clock,
    mchid: Mchid,
    merchant: MerchantKey,
    platform: PlatformKeys,
    apiv3: Apiv3Keys,
}

fn main() -> Result<()> {
    let ours = Ours::from_environment()?;
    let mut answers = std::io::stdout();
    for line in std::io::stdin().lines() {
        match ours.batch(&line?) {
            Ok(last) => writeln!(answers, "ok {last}")?,
            Err(error) => writeln!(answers, "no {error}")?,
        }
        answers.flush()?;
    }
    Ok(())
}

impl Ours {
    fn from_environment() -> Result<Self> {
        let file = |name: &str| -> Result<String> { Ok(fs::read_to_string(env::var(name)?)?) };
        let (serial_no, public_key_id) = (env::var("SERIAL_NO")?, env::var("PUBLIC_KEY_ID")?);
        let public_key = file("PUBLIC_KEY_FILE")?;
        Ok(Self {
            clock: Clock::system(),
            mchid: Mchid::parse(&env::var("MCHID")?)?,
            merchant: MerchantKey::parse(&serial_no, &file("PRIVATE_KEY_FILE")?)?,
            platform: PlatformKeys::parse(&[(&public_key_id, &public_key)])?,
            apiv3: Apiv3Keys::parse(&[&env::var("APIV3_KEY")?])?,
        })
    }

    fn batch(&self, line: &str) -> Result<String> {
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().ok_or("a batch is WORK COUNT FILE");
        let (work, count, file) = (word()?, word()?.parse::<u32>()?, word()?);
        let message = fs::read_to_string(file)?;
        let (head, body) = message.split_once("\n\n").ok_or("no empty line")?;
        let mut last = String::new();
        if work == "header" {
            let (method, target) = head.split_once(' ').ok_or("no target")?;
            for _ in 0..count {
                last = self.header(method, target, body);
            }
        } else {
            let headers = head.lines().filter_map(|line| line.split_once(": "));
            let headers: BTreeMap<&str, &str> = headers.collect();
            for _ in 0..count {
                last = self.notice(&headers, body)?;
            }
        }
        Ok(last)
    }

    fn header(&self, method: &str, target: &str, body: &str) -> String {
        authorization(
            &self.merchant,
            &self.mchid,
            method,
            target,
            self.clock.wall(),
            &random::nonce(),
            body.as_bytes(),
        )
    }

    /// The number of the order that is paid.
    fn notice(&self, headers: &BTreeMap<&str, &str>, body: &str) -> Result<String> {
        let signed = SignatureHeaders::parse(|name| headers.get(name).copied())?;
        let verified = verify(&self.platform, &signed, body, self.clock.wall())?;
        match read_notification(&verified, &self.apiv3)?.notice {
            Notification::Payment(report) => Ok(report.get().order_id.to_string()),
            other => Err(format!("not a payment: {other:?}").into()),
        }
    }
}
