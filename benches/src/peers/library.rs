//! Libraries: each lives in a process of its own, is asked for batches and stays warm between them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Comparison, OURS, Peer, Samples, Work};
use crate::Result;
use crate::child::{Spawner, processor_time, settled};
use crate::world::World;

/// Rounds that are not measured: the just-in-time compilers of Java and Node are done after a few hundred
/// signatures and ten thousand notices.
const WARM_UP_ROUNDS: usize = 20;

/// How many of each a batch has: some ten milliseconds, thousands of times what asking costs.
const HEADERS: u32 = 100;
const NOTICES: u32 = 1_000;

/// How long a batch may take.
const PATIENCE: Duration = Duration::from_secs(120);

const TARGET: &str = "/v3/pay/transactions/jsapi";

/// What a simulator's `merchant.json` tells its merchant.
#[derive(Deserialize)]
struct Merchant {
    mchid: String,
    appid: String,
    serial_no: String,
    apiv3_key: String,
    public_key_id: String,
}

/// A library in its process.
struct Library {
    peer: Peer,
    process: Child,
    batches: ChildStdin,
    answers: Receiver<String>,
}

impl Drop for Library {
    fn drop(&mut self) {
        // It may have ended by itself, which its last batch told.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Measures headers and notices; `keys` is the folder of the simulator, `folder` one for messages.
pub(super) async fn measure(
    world: &World,
    keys: &Path,
    folder: &Path,
    spawner: &Spawner,
    peers: &[Peer],
    rounds: usize,
) -> Result<Vec<Comparison>> {
    let merchant: Merchant =
        serde_json::from_str(&std::fs::read_to_string(keys.join("merchant.json"))?)?;
    let mut libraries = peers
        .iter()
        .map(|peer| Library::start(peer, &merchant, keys, spawner))
        .collect::<Result<Vec<_>>>()?;
    let at = libraries
        .iter()
        .position(|library| library.peer.name == OURS);
    let mut ours = libraries.remove(at.ok_or("this project's own library is missing")?);
    let (header, notice) = (folder.join("header"), folder.join("notice"));
    for library in std::iter::once(&mut ours).chain(&mut libraries) {
        library.is_right(world, &merchant, &header, &notice).await?;
    }
    let samples = |peer: &Library| Samples {
        peer: peer.peer.clone(),
        pairs: Vec::new(),
    };
    let mut headers: Vec<Samples> = libraries.iter().map(samples).collect();
    let mut notices: Vec<Samples> = libraries.iter().map(samples).collect();
    for round in 0..WARM_UP_ROUNDS + rounds {
        if round % 10 == 0 {
            eprintln!("libraries, round {round} of {} …", WARM_UP_ROUNDS + rounds);
        }
        // A fresh one each round: it counts for five minutes.
        let number = write_notice(world, &notice, |body| body).await?;
        let all = libraries
            .iter_mut()
            .zip(headers.iter_mut().zip(&mut notices));
        for (theirs, (headers, notices)) in all {
            let pair = (
                ours.timed("header", HEADERS, &header, None).await?,
                theirs.timed("header", HEADERS, &header, None).await?,
            );
            let notice_pair = (
                ours.timed("notice", NOTICES, &notice, Some(&number))
                    .await?,
                theirs
                    .timed("notice", NOTICES, &notice, Some(&number))
                    .await?,
            );
            if round >= WARM_UP_ROUNDS {
                headers.pairs.push(pair);
                notices.pairs.push(notice_pair);
            }
        }
    }
    Ok(vec![
        Comparison::of(Work::Header, &ours.peer, headers),
        Comparison::of(Work::Notice, &ours.peer, notices),
    ])
}

impl Library {
    fn start(peer: &Peer, merchant: &Merchant, keys: &Path, spawner: &Spawner) -> Result<Self> {
        let mut command = match spawner.processor {
            Some(processor) => {
                let mut command = Command::new("taskset");
                command
                    .arg("-c")
                    .arg(processor.to_string())
                    .arg(&peer.program);
                command
            }
            None => Command::new(&peer.program),
        };
        command
            .env("MCHID", &merchant.mchid)
            .env("SERIAL_NO", &merchant.serial_no)
            .env("APIV3_KEY", &merchant.apiv3_key)
            .env("PUBLIC_KEY_ID", &merchant.public_key_id)
            .env("PRIVATE_KEY_FILE", keys.join("apiclient_key.pem"))
            .env("PUBLIC_KEY_FILE", keys.join("pub_key.pem"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", peer.name))?;
        let batches = process.stdin.take().ok_or("no standard input")?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let (told, answers) = channel();
        std::thread::spawn(move || {
            // It ends with the process, or with whoever listens.
            for line in BufReader::new(output).lines().map_while(|line| line.ok()) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            peer: peer.clone(),
            process,
            batches,
            answers,
        })
    }

    /// Asks for a batch; what its last piece of work resulted in, or why it was refused.
    fn batch(
        &mut self,
        work: &str,
        count: u32,
        file: &Path,
    ) -> Result<std::result::Result<String, String>> {
        let name = &self.peer.name;
        writeln!(self.batches, "{work} {count} {}", file.display())?;
        self.batches.flush()?;
        let answer = self
            .answers
            .recv_timeout(PATIENCE)
            .map_err(|_| format!("{name} does not answer"))?;
        match answer.split_once(' ') {
            Some(("ok", last)) => Ok(Ok(last.to_owned())),
            Some(("no", why)) => Ok(Err(why.to_owned())),
            _ => Err(format!("{name} answered {answer:?}").into()),
        }
    }

    /// The processor time of one piece of work.
    async fn timed(
        &mut self,
        work: &str,
        count: u32,
        file: &Path,
        result: Option<&str>,
    ) -> Result<Duration> {
        let process = self.process.id();
        settled(process).await;
        let began = processor_time(process);
        let last = self.batch(work, count, file)?;
        settled(process).await;
        let took = processor_time(process).saturating_sub(began);
        let name = &self.peer.name;
        match last {
            Ok(last) if result.is_none_or(|result| result == last) => Ok(took / count),
            Ok(last) => Err(format!("{name}: the {work}'s result is {last:?}").into()),
            Err(why) => Err(format!("{name} refuses a {work}: {why}").into()),
        }
    }

    /// That it does the work that is measured: WeChat Pay takes its header, it takes a genuine notice and
    /// refuses a forged one.
    async fn is_right(
        &mut self,
        world: &World,
        merchant: &Merchant,
        header: &Path,
        notice: &Path,
    ) -> Result<()> {
        let name = self.peer.name.clone();
        let number = format!(
            "peer{}",
            name.replace(|byte: char| !byte.is_alphanumeric(), "")
        );
        let body = json!({
            "appid": merchant.appid, "mchid": merchant.mchid, "description": "A cup of coffee",
            "out_trade_no": number, "notify_url": "https://api.shop.example/wechatpay/notify",
            "amount": {"total": 500, "currency": "CNY"},
            "payer": {"openid": crate::world::OPENID},
        })
        .to_string();
        std::fs::write(header, format!("POST {TARGET}\n\n{body}"))?;
        let authorization = self.batch("header", 1, header)?;
        let authorization = authorization.map_err(|why| format!("{name} signs nothing: {why}"))?;
        let taken = world.takes(TARGET, &authorization, &body).await;
        taken.map_err(|error| format!("{name}'s header is refused: {error}"))?;
        let forged = |body: String| body.replacen("TRANSACTION.SUCCESS", "TRANSACTION.SUCCES5", 1);
        write_notice(world, notice, forged).await?;
        if self.batch("notice", 1, notice)?.is_ok() {
            return Err(format!("{name} takes a forged notice").into());
        }
        let number = write_notice(world, notice, |body| body).await?;
        self.timed("notice", 1, notice, Some(&number)).await?;
        Ok(())
    }
}

/// Has an order paid and writes down its notice, its body changed by `change`; gives the order's number.
async fn write_notice(
    world: &World,
    file: &Path,
    change: impl FnOnce(String) -> String,
) -> Result<String> {
    let (number, event) = world.payments_notice().await?;
    let headers = event["headers"].as_object().ok_or("no headers")?;
    let mut message = String::new();
    for (name, value) in headers {
        if let (true, Some(value)) = (name.starts_with("wechatpay-"), value.as_str()) {
            message.push_str(&format!("{name}: {value}\n"));
        }
    }
    let body = event["body"].as_str().ok_or("no body")?;
    std::fs::write(file, format!("{message}\n{}", change(body.to_owned())))?;
    Ok(number)
}
