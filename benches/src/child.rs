//! Runs a Lambda binary as Lambda does: its environment, the Runtime API, events one after the other.
//!
//! Time is taken where Lambda would: from before the process exists to the whole request for the first
//! event, and to the whole first answer. Processor time is the kernel's own account of the process,
//! read once it sleeps again. Nothing is ever traced.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc as channel, oneshot};

use crate::Result;
use crate::callgrind::Callgrind;

/// How long the next sign of life may take: as long as an event may. A binary under callgrind takes seconds for
/// what it does in milliseconds otherwise, and a million payments take a busy machine minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long one event may take, as the function is told.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 6 << 20;

/// A binary to run.
pub(crate) struct Job<'a> {
    pub(crate) program: &'a Path,
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// What it is given; none stops it at its first poll.
    pub(crate) events: Vec<Value>,
    /// How long the process stands still before each event but its first, as Lambda freezes it.
    pub(crate) frozen_between: Duration,
    /// Callgrind and where it writes its counts; `None` runs the binary by itself.
    pub(crate) callgrind: Option<(&'a Callgrind, &'a Path)>,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// From exec to the first poll of the Runtime API.
    pub(crate) first_poll: Duration,
    /// From exec to the first answer.
    pub(crate) first_answer: Duration,
    /// From the last event to its answer.
    pub(crate) last_answer_took: Duration,
    /// Processor time to the first poll.
    pub(crate) processor_first_poll: Duration,
    /// Processor time after each answer.
    pub(crate) processor_answers: Vec<Duration>,
    /// The most memory it had at the first answer (VmHWM), in KiB.
    pub(crate) peak_kib: u64,
    /// What it answered.
    pub(crate) answers: Vec<Value>,
}

/// Starts children on a processor of their own.
pub(crate) struct Spawner {
    jobs: mpsc::Sender<(Command, oneshot::Sender<std::io::Result<Started>>)>,
    /// The processor children run on, where there is one to spare and `taskset` to give it to them.
    pub(crate) processor: Option<usize>,
}

/// A process and when it was started.
pub(crate) struct Started {
    pub(crate) child: Child,
    at: Instant,
}

impl Spawner {
    /// Keeps this process on all processors but the last, and children on the last.
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let last = processors - 1;
        let processor = (last > 0
            && taskset(
                &format!("0-{}", last - 1),
                &format!("{}", std::process::id()),
                true,
            ))
        .then_some(last);
        let (jobs, queue) = mpsc::channel::<(Command, oneshot::Sender<_>)>();
        std::thread::spawn(move || {
            // A child inherits the processor of the thread that starts it, so no program stands
            // between it and its exec.
            if let (Some(processor), Ok(thread)) =
                (processor, std::fs::read_link("/proc/thread-self"))
                && let Some(id) = thread.file_name().and_then(|id| id.to_str())
            {
                taskset(&processor.to_string(), id, false);
            }
            for (mut command, answer) in queue {
                let at = Instant::now();
                let started = command.spawn().map(|child| Started { child, at });
                // Whoever asked is gone only if the whole benchmark is.
                let _ = answer.send(started);
            }
        });
        Self { jobs, processor }
    }

    /// Runs a program to its end.
    pub(crate) async fn finished(&self, command: Command) -> Result<std::process::ExitStatus> {
        let mut started = self.start(command).await?;
        Ok(tokio::task::spawn_blocking(move || started.child.wait()).await??)
    }

    /// Starts a program.
    pub(crate) async fn start(&self, command: Command) -> Result<Started> {
        let (answer, started) = oneshot::channel();
        self.jobs
            .send((command, answer))
            .map_err(|_| "the thread that starts children is gone")?;
        Ok(started.await??)
    }
}

fn taskset(processors: &str, id: &str, all_threads: bool) -> bool {
    let mut command = Command::new("taskset");
    if all_threads {
        command.arg("-a");
    }
    command
        .args(["-p", "-c", processors, id])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Job<'_> {
    /// Runs the binary until it has answered everything.
    pub(crate) async fn run(self, spawner: &Spawner) -> Result<Run> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let output = tempfile::NamedTempFile::new()?;
        let mut command = match self.callgrind {
            Some((callgrind, counts)) => callgrind.command(self.program, counts),
            None => Command::new(self.program),
        };
        command
            .env_clear()
            .envs(self.environment)
            .envs(self.callgrind.map(|(callgrind, _)| callgrind.variable()))
            .env("AWS_LAMBDA_RUNTIME_API", &address)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(output.reopen()?)
            .stderr(output.reopen()?);
        let mut running = Running {
            requests: serve(listener),
            started: spawner.start(command).await?,
            under_callgrind: self.callgrind.is_some(),
        };
        let run = running.converse(self.events, self.frozen_between).await;
        running.end()?;
        run.map_err(|error| {
            let told = std::fs::read_to_string(output.path()).unwrap_or_default();
            let program = self.program.display();
            format!("{program}: {error}\n{}", told.trim()).into()
        })
    }
}

struct Running {
    requests: channel::Receiver<Request>,
    started: Started,
    under_callgrind: bool,
}

impl Running {
    async fn converse(&mut self, events: Vec<Value>, frozen_between: Duration) -> Result<Run> {
        let poll = self.next().await?;
        let first_poll = poll.at.duration_since(self.started.at);
        self.settled().await;
        let mut run = Run {
            first_poll,
            first_answer: Duration::ZERO,
            last_answer_took: Duration::ZERO,
            processor_first_poll: self.processor_time(),
            processor_answers: Vec::new(),
            peak_kib: 0,
            answers: Vec::new(),
        };
        let mut poll = Some(poll);
        let last = events.len() as u64;
        for (number, event) in (0_u64..).zip(events) {
            let asked = match poll.take() {
                Some(asked) => asked,
                None => self.next().await?,
            };
            if !asked
                .head
                .starts_with("GET /2018-06-01/runtime/invocation/next ")
            {
                return Err(asked.unexpected());
            }
            if number > 0 && !frozen_between.is_zero() {
                self.frozen(frozen_between).await?;
            }
            let given_at = Instant::now();
            asked.answer("200 OK", &invocation(number, DEADLINE), event.to_string())?;
            let answer = self.next().await?;
            if !answer.head.starts_with(&format!(
                "POST /2018-06-01/runtime/invocation/{}/response ",
                invocation_id(number)
            )) {
                return Err(answer.unexpected());
            }
            let took = answer.at.duration_since(given_at);
            run.last_answer_took = took;
            run.answers.push(serde_json::from_slice(&answer.body)?);
            self.settled().await;
            run.processor_answers.push(self.processor_time());
            if number == 0 {
                run.first_answer = first_poll + took;
                run.peak_kib = self.peak_kib();
            }
            // The last answer is not acknowledged: what is counted ends here.
            if number + 1 < last {
                answer.answer("202 Accepted", "", r#"{"status":"OK"}"#.to_owned())?;
            }
        }
        Ok(run)
    }

    /// The next request, unless the process ends or takes for ever.
    async fn next(&mut self) -> Result<Request> {
        let began = Instant::now();
        loop {
            let wait = tokio::time::timeout(Duration::from_millis(200), self.requests.recv());
            match wait.await {
                Ok(Some(request)) => return Ok(request),
                Ok(None) => return Err("the Runtime API has stopped".into()),
                Err(_) => {}
            }
            if let Some(status) = self.started.child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            if began.elapsed() > PATIENCE {
                return Err("nothing was heard of it".into());
            }
        }
    }

    /// Lets the process stand still.
    async fn frozen(&self, time: Duration) -> Result<()> {
        self.signal("-STOP")?;
        tokio::time::sleep(time).await;
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let id = self.started.child.id().to_string();
        Command::new("kill").args([signal, &id]).status()?;
        Ok(())
    }

    async fn settled(&self) {
        settled(self.started.child.id()).await;
    }

    fn processor_time(&self) -> Duration {
        processor_time(self.started.child.id())
    }

    fn peak_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.started.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }

    /// Ends the process; callgrind writes its counts when it is asked to end.
    fn end(&mut self) -> Result<()> {
        if self.under_callgrind && self.started.child.try_wait()?.is_none() {
            self.signal("-TERM")?;
            let began = Instant::now();
            while self.started.child.try_wait()?.is_none() && began.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        // It may have ended by itself, which its last word told.
        let _ = self.started.child.kill();
        self.started.child.wait()?;
        Ok(())
    }
}

/// Waits until every thread of a process sleeps, so that its clock stands still.
pub(crate) async fn settled(process: u32) {
    // It sleeps within microseconds; one that does not is measured as it is.
    for _ in 0..2_000 {
        if threads(process).all(|thread| {
            let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
            let state = stat
                .rsplit_once(") ")
                .map(|(_, rest)| rest.starts_with('S'));
            state.unwrap_or(true)
        }) {
            return;
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

/// The processor time of a process, to the nanosecond: `schedstat`'s first number.
pub(crate) fn processor_time(process: u32) -> Duration {
    let of = |thread: std::path::PathBuf| -> Option<u64> {
        let text = std::fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split(' ').next()?.parse().ok()
    };
    Duration::from_nanos(threads(process).filter_map(of).sum())
}

fn threads(process: u32) -> impl Iterator<Item = std::path::PathBuf> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    tasks
        .into_iter()
        .flatten()
        .flatten()
        .map(|task| task.path())
}

/// A request to the Runtime API, waiting for its answer.
struct Request {
    at: Instant,
    head: String,
    body: Vec<u8>,
    answer: oneshot::Sender<String>,
}

impl Request {
    fn answer(self, status: &str, headers: &str, body: String) -> Result<()> {
        let length = body.len();
        self.answer
            .send(format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}\
                 content-length: {length}\r\n\r\n{body}"
            ))
            .map_err(|_| "the connection is gone".into())
    }

    fn unexpected(&self) -> Box<dyn std::error::Error + Send + Sync> {
        let (line, body) = (
            self.head.lines().next().unwrap_or_default(),
            String::from_utf8_lossy(&self.body),
        );
        format!("it sent {line:?} {body}").into()
    }
}

fn invocation_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// The headers of an invocation that may take so long from now on.
pub(crate) fn invocation(number: u64, deadline: Duration) -> String {
    let deadline = i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX / 2);
    let deadline_ms = shared::clock::Clock::system().wall_millis() + deadline;
    format!(
        "lambda-runtime-aws-request-id: {}\r\nlambda-runtime-deadline-ms: {deadline_ms}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:local:000000000000:function:bench\r\n\
         lambda-runtime-trace-id: Root=1-00000000-000000000000000000000000;Sampled=0\r\n",
        invocation_id(number)
    )
}

fn serve(listener: TcpListener) -> channel::Receiver<Request> {
    let (requests, receiver) = channel::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let requests = requests.clone();
            tokio::spawn(async move {
                // It ends with the process that is measured.
                let _ = connection(stream, requests).await;
            });
        }
    });
    receiver
}

async fn connection(mut stream: TcpStream, requests: channel::Sender<Request>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            read_more(&mut stream, &mut received).await?;
        };
        let rest = received.split_off(head_end + 4);
        let head = String::from_utf8(std::mem::replace(&mut received, rest))?;
        let body = body(&head, &mut stream, &mut received).await?;
        let at = Instant::now();
        let (answer, answered) = oneshot::channel();
        let request = Request {
            at,
            head,
            body,
            answer,
        };
        requests.send(request).await.map_err(|_| "nobody listens")?;
        stream.write_all(answered.await?.as_bytes()).await?;
    }
}

/// The body that follows a head: of a told length, or in chunks.
async fn body(head: &str, stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<Vec<u8>> {
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    if header("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
        let mut body = Vec::new();
        loop {
            let line = take_line(stream, received).await?;
            let size =
                usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)?;
            body.extend(take(stream, received, size).await?);
            take_line(stream, received).await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = match header("content-length") {
        Some(length) => length.parse()?,
        None => 0,
    };
    take(stream, received, length).await
}

async fn take_line(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<String> {
    loop {
        if let Some(at) = received.windows(2).position(|window| window == b"\r\n") {
            let rest = received.split_off(at + 2);
            let line = std::mem::replace(received, rest);
            return Ok(String::from_utf8(line)?.trim_end().to_owned());
        }
        read_more(stream, received).await?;
    }
}

async fn take(stream: &mut TcpStream, received: &mut Vec<u8>, length: usize) -> Result<Vec<u8>> {
    while received.len() < length {
        read_more(stream, received).await?;
    }
    let rest = received.split_off(length);
    Ok(std::mem::replace(received, rest))
}

async fn read_more(stream: &mut TcpStream, received: &mut Vec<u8>) -> Result<()> {
    if received.len() > ANSWER_MAX {
        return Err("a request that is too large".into());
    }
    match stream.read_buf(received).await? {
        0 => Err("the connection ended".into()),
        _ => Ok(()),
    }
}
