//! How a stack is started.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shared::telemetry::Log;
use simulator::Mode;

use crate::deliverer::Address;

/// The gateway's port, unless another is asked for.
pub const PORT: u16 = 3000;
/// The simulator's port, unless another is asked for.
pub const SIMULATOR_PORT: u16 = 8081;
/// The control port, unless another is asked for.
pub const CONTROL_PORT: u16 = 8082;
/// The port of the table and the secrets, unless another is asked for.
pub const AWS_PORT: u16 = 8083;

/// How a stack is started.
#[derive(Clone)]
pub struct Options {
    /// The folder that keeps everything.
    pub data_dir: PathBuf,
    /// The gateway's port; `None` takes [`PORT`], or a free one where that is taken.
    pub port: Option<u16>,
    /// The simulator's port, likewise.
    pub simulator_port: Option<u16>,
    /// The control port, likewise.
    pub control_port: Option<u16>,
    /// The port of the table and the secrets, likewise.
    pub aws_port: Option<u16>,
    /// The merchant's API key; `None` is the one of the last start, or a random one.
    pub merchant_api_key: Option<String>,
    /// Which keys WeChat Pay signs with.
    pub mode: Mode,
    /// Chooses the simulator's behaviour.
    pub seed: u64,
    /// How hostile the simulator is, 0 to 1.
    pub hostility: f64,
    /// How many times faster business schedules run.
    pub speed: f64,
    /// Whether the schedules run by themselves.
    pub schedules: bool,
    /// Whether the table's stream is brought to the functions that follow it.
    pub stream: bool,
    /// Where each event is posted to, as an API destination does it; nowhere where there is none.
    pub events_to: Option<Address>,
    /// A data folder of the simulator's whose keys are used again; making keys takes a moment.
    pub keys_from: Option<PathBuf>,
    /// Where the functions' log lines go; `None` is `log.jsonl` in the data folder.
    pub log: Option<Log>,
    /// The template's text; `None` is the file `template.yaml` of this folder or the nearest one above
    /// it, or else the text that was built in.
    pub template: Option<String>,
    /// Values for the template's parameters, over what the stack sets.
    pub parameters: BTreeMap<String, String>,
}

impl Options {
    /// A stack in this folder with everything else as by default.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            port: None,
            simulator_port: None,
            control_port: None,
            aws_port: None,
            merchant_api_key: None,
            mode: Mode::PublicKey,
            seed: 1,
            hostility: 0.0,
            speed: 60.0,
            schedules: true,
            stream: true,
            events_to: None,
            keys_from: None,
            log: None,
            template: None,
            parameters: BTreeMap::new(),
        }
    }
}
