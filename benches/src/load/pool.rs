//! A function as Lambda runs it: so many processes of its release binary, one request at a time in
//! each, given out over the Runtime API.
//!
//! Threads that block, and no more work than they must do: what the generator uses is taken from what
//! it can offer.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::locked;
use super::tally::Tally;
use crate::Result;
use crate::child::{Spawner, invocation};

/// The largest answer, in bytes.
const ANSWER_MAX: usize = 6 << 20;

/// How long processes may take until all of them ask for work.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(5);

/// What is done with an answer beside counting it.
pub(crate) type Then = Box<dyn FnOnce(&Answer) + Send>;

/// A request on its way to a function.
pub(crate) struct Job {
    /// The event, as JSON.
    pub(crate) event: Arc<str>,
    /// When it was meant to start.
    pub(crate) intended: Instant,
    /// Where it is counted.
    pub(crate) tally: Arc<Tally>,
    /// What is done with the answer.
    pub(crate) then: Option<Then>,
}

/// What a function answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// The status over HTTP; 0 where the invocation failed, 200 where it was not about HTTP.
    pub(crate) status: u16,
    /// The body over HTTP, or the whole answer.
    pub(crate) body: String,
}

/// An answer for API Gateway.
#[derive(Deserialize)]
struct HttpAnswer {
    #[serde(rename = "statusCode")]
    status: u16,
    body: Option<String>,
}

/// How the processes of a function are started.
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Path,
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// How many.
    pub(crate) processes: usize,
    /// What they say goes there.
    pub(crate) log: PathBuf,
    /// How long one request may take, as the function is told.
    pub(crate) timeout: Duration,
}

/// A function's processes.
pub(crate) struct Pool {
    desk: Arc<Desk>,
    children: Vec<Child>,
    addresses: Vec<std::net::SocketAddr>,
    log: PathBuf,
}

/// Where work waits for processes.
struct Desk {
    queue: Mutex<Queue>,
    changed: Condvar,
    stopping: AtomicBool,
    asking: AtomicUsize,
    outstanding: AtomicUsize,
    invocations: AtomicU64,
    timeout: Duration,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Processes that wait for work.
    idle: usize,
}

impl Pool {
    /// Starts the processes and waits until each of them asks for work.
    pub(crate) async fn start(launch: Launch<'_>, spawner: &Spawner) -> Result<Self> {
        let mut pool = Self::starting(launch, spawner).await?;
        let began = Instant::now();
        while pool.desk.asking.load(Ordering::SeqCst) < pool.children.len() {
            pool.still_run()?;
            if began.elapsed() > START_PATIENCE {
                return Err("not every process asked for work".into());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(pool)
    }

    /// Starts the processes and does not wait for them.
    pub(crate) async fn starting(launch: Launch<'_>, spawner: &Spawner) -> Result<Self> {
        let desk = Arc::new(Desk {
            queue: Mutex::default(),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            asking: AtomicUsize::new(0),
            outstanding: AtomicUsize::new(0),
            invocations: AtomicU64::new(0),
            timeout: launch.timeout,
        });
        let output = File::options()
            .create(true)
            .append(true)
            .open(&launch.log)?;
        let mut pool = Self {
            desk,
            children: Vec::new(),
            addresses: Vec::new(),
            log: launch.log,
        };
        for _ in 0..launch.processes {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let address = listener.local_addr()?;
            let mut command = Command::new(launch.program);
            command
                .env_clear()
                .envs(launch.environment)
                .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output.try_clone()?);
            let desk = Arc::clone(&pool.desk);
            std::thread::spawn(move || desk.listen(&listener));
            pool.addresses.push(address);
            pool.children.push(spawner.start(command).await?.child);
        }
        Ok(pool)
    }

    /// The ids of its processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }

    /// Whoever gives it work.
    pub(crate) fn door(&self) -> Door {
        Door(Arc::clone(&self.desk))
    }

    /// Waits until everything that was given is answered, or the time is over; says how much is not.
    pub(crate) async fn drained(&mut self, patience: Duration) -> Result<usize> {
        let began = Instant::now();
        loop {
            let left = self.desk.outstanding.load(Ordering::SeqCst);
            if left == 0 || began.elapsed() > patience {
                return Ok(left);
            }
            self.still_run()?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Fails with its last words where a process has ended.
    fn still_run(&mut self) -> Result<()> {
        for child in &mut self.children {
            if let Some(status) = child.try_wait()? {
                let told = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last: Vec<&str> = told.lines().rev().take(5).collect();
                return Err(format!("a process ended with {status}: {last:?}").into());
            }
        }
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.desk.stopping.store(true, Ordering::SeqCst);
        self.desk.changed.notify_all();
        for child in &mut self.children {
            // It may have ended by itself, which was told when it was seen.
            let _ = child.kill();
            let _ = child.wait();
        }
        for address in &self.addresses {
            // Whoever listens there sees that it is over.
            let _ = TcpStream::connect(address);
        }
    }
}

/// Gives a function work.
#[derive(Clone)]
pub(crate) struct Door(Arc<Desk>);

impl Door {
    /// Gives it to the next process that asks, however long that takes.
    pub(crate) fn give(&self, job: Job) {
        self.0.outstanding.fetch_add(1, Ordering::SeqCst);
        locked(&self.0.queue).jobs.push_back(job);
        self.0.changed.notify_one();
    }

    /// Gives it to a process that waits; where none does, it is turned away with 503, as a request is
    /// that Lambda has no concurrency left for.
    pub(crate) fn give_if_free(&self, job: Job) {
        let mut queue = locked(&self.0.queue);
        if queue.jobs.len() >= queue.idle {
            drop(queue);
            job.tally.turned_away(503);
            return;
        }
        self.0.outstanding.fetch_add(1, Ordering::SeqCst);
        queue.jobs.push_back(job);
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Gives it work and waits for the answer.
    pub(crate) async fn answer(&self, event: Arc<str>, tally: &Arc<Tally>) -> Result<Answer> {
        let (told, answered) = tokio::sync::oneshot::channel();
        let then: Then = Box::new(move |answer| {
            // Whoever asked is gone only if the whole run is.
            let _ = told.send(answer.clone());
        });
        self.give(Job {
            event,
            intended: Instant::now(),
            tally: Arc::clone(tally),
            then: Some(then),
        });
        Ok(answered.await?)
    }
}

impl Desk {
    fn listen(self: Arc<Self>, listener: &TcpListener) {
        // The process may answer over another connection than the one it asked over.
        let given = Arc::new(Mutex::new(None));
        while let Ok((stream, _)) = listener.accept() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let (desk, given) = (Arc::clone(&self), Arc::clone(&given));
            std::thread::spawn(move || {
                // It ends with the process.
                let _ = desk.converse(stream, &given);
            });
        }
    }

    fn converse(&self, stream: TcpStream, given: &Mutex<Option<Job>>) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::with_capacity(16 << 10, stream);
        let mut first = true;
        loop {
            let (line, body) = read_request(&mut reader)?;
            if line.starts_with("GET /2018-06-01/runtime/invocation/next ") {
                if std::mem::take(&mut first) {
                    self.asking.fetch_add(1, Ordering::SeqCst);
                }
                let Some(job) = self.next_job() else {
                    return Ok(());
                };
                let number = self.invocations.fetch_add(1, Ordering::Relaxed);
                let headers = invocation(number, self.timeout);
                let event = Arc::clone(&job.event);
                *locked(given) = Some(job);
                write_answer(&mut writer, "200 OK", &headers, event.as_bytes())?;
                continue;
            }
            let at = Instant::now();
            let answer = if line.contains("/response ") {
                read_answer(&body)
            } else {
                Answer {
                    status: 0,
                    body: String::from_utf8_lossy(&body).into_owned(),
                }
            };
            write_answer(&mut writer, "202 Accepted", "", br#"{"status":"OK"}"#)?;
            if let Some(job) = locked(given).take() {
                job.tally.answered(job.intended, at, answer.status);
                if let Some(then) = job.then {
                    then(&answer);
                }
                self.outstanding.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let mut queue = locked(&self.queue);
        queue.idle += 1;
        loop {
            if self.stopping.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                queue.idle -= 1;
                return Some(job);
            }
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn read_answer(body: &[u8]) -> Answer {
    match serde_json::from_slice::<HttpAnswer>(body) {
        Ok(HttpAnswer { status, body }) => Answer {
            status,
            body: body.unwrap_or_default(),
        },
        // Not over HTTP, as the sweep's.
        Err(_) => Answer {
            status: 200,
            body: String::from_utf8_lossy(body).into_owned(),
        },
    }
}

fn write_answer(
    writer: &mut TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    writer.write_all(&answer)
}

/// The request's line and its body.
fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<(String, Vec<u8>)> {
    let request = read_line(reader)?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        chunked |= name.eq_ignore_ascii_case("transfer-encoding")
            && value.trim().eq_ignore_ascii_case("chunked");
    }
    let mut body = Vec::new();
    if !chunked {
        read_part(reader, length, &mut body)?;
        return Ok((request, body));
    }
    loop {
        let line = read_line(reader)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(std::io::Error::other)?;
        read_part(reader, size, &mut body)?;
        read_line(reader)?;
        if size == 0 {
            return Ok((request, body));
        }
    }
}

fn read_part(
    reader: &mut BufReader<TcpStream>,
    length: usize,
    body: &mut Vec<u8>,
) -> std::io::Result<()> {
    if body.len() + length > ANSWER_MAX {
        return Err(std::io::Error::other("an answer that is too large"));
    }
    let begins = body.len();
    body.resize(begins + length, 0);
    reader.read_exact(body.get_mut(begins..).unwrap_or_default())
}

fn read_line(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}
