//! The state file: one JSON line per change, appended before the answer goes out, so that a killed
//! process loses nothing it had promised. A start reads the lines, the last one about a thing wins,
//! and writes them afresh; a torn last line is what a kill leaves and is dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::behaviours::Behaviours;
use crate::ledger::{LoginCode, Notice, Order, Refund};

const JOURNAL_FILE: &str = "state/journal.jsonl";

/// A line, as it is read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    Clock(i64),
    Order(Box<Order>),
    Refund(Box<Refund>),
    Notice(Box<Notice>),
    Code(LoginCode),
    Knobs(Behaviours),
}

/// A line, as it is written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    Clock(i64),
    Order(&'a Order),
    Refund(&'a Refund),
    Notice(&'a Notice),
    Code(&'a LoginCode),
    Knobs(&'a Behaviours),
}

/// What went wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("line {line} of {path} is damaged: {reason}")]
    Damaged {
        path: PathBuf,
        line: usize,
        #[source]
        reason: serde_json::Error,
    },
    #[error("cannot use {path}: {source}")]
    Unusable { path: PathBuf, source: io::Error },
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Journal {
    /// `None` where the simulator keeps nothing.
    file: Option<File>,
    /// The first failure to write; nothing is promised after it.
    pub(crate) broken: Option<String>,
}

impl Journal {
    /// Reads every line of a data folder's journal.
    pub(crate) fn read(folder: &Path) -> Result<Vec<Record>, JournalError> {
        let path = folder.join(JOURNAL_FILE);
        let unusable = |source| JournalError::Unusable {
            path: path.clone(),
            source,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unusable(error)),
        };
        let mut records = Vec::new();
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            if reader.read_until(b'\n', &mut line).map_err(unusable)? == 0 {
                return Ok(records);
            }
            match serde_json::from_slice(&line) {
                Ok(record) => records.push(record),
                Err(_) if line.last() != Some(&b'\n') => return Ok(records),
                Err(reason) => {
                    let line = records.len() + 1;
                    return Err(JournalError::Damaged { path, line, reason });
                }
            }
        }
    }

    /// Writes the given lines in place of the old journal and keeps the file open for more.
    pub(crate) fn rewrite(folder: &Path, lines: &[Line<'_>]) -> Result<Self, JournalError> {
        let path = folder.join(JOURNAL_FILE);
        let unusable = |source| JournalError::Unusable {
            path: path.clone(),
            source,
        };
        let beside = path.with_extension("new");
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line).map_err(|error| unusable(error.into()))?;
            bytes.push(b'\n');
        }
        std::fs::write(&beside, &bytes).map_err(unusable)?;
        std::fs::rename(&beside, &path).map_err(unusable)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(unusable)?;
        Ok(Self {
            file: Some(file),
            broken: None,
        })
    }

    /// A journal that keeps nothing, for a simulator that lives as long as its process at most.
    pub(crate) const fn nowhere() -> Self {
        Self {
            file: None,
            broken: None,
        }
    }

    /// Appends a line. It is with the operating system when this returns: safe from a kill of the
    /// process, not from a power cut.
    pub(crate) fn append(&mut self, line: Line<'_>) {
        let Some(file) = self.file.as_mut().filter(|_| self.broken.is_none()) else {
            return;
        };
        let written = serde_json::to_vec(&line)
            .map_err(io::Error::from)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                file.write_all(&bytes)
            });
        if let Err(error) = written {
            self.broken = Some(error.to_string());
        }
    }
}
