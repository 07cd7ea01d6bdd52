//! The lines of a bill, of bounded length, and their fields.

use std::io::BufRead;

use super::BillError;
use super::source::unpacked;

/// How long a line may be, in bytes. The longest row has some 900: two texts of 128 characters, numbers
/// of 64 and 27 columns.
const LINE_MAX: usize = 16 * 1024;

/// What a file may begin with.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Reads lines; either end of a line will do, and so does a file without a byte order mark: that the
/// fund-flow bill has both is not confirmed.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
        }
    }

    pub(super) fn into_input(self) -> R {
        self.input
    }

    /// An error of the line that was read last.
    pub(super) const fn malformed(&self, what: &'static str) -> BillError {
        BillError::Malformed {
            line: self.number,
            what,
        }
    }

    /// The next line without its end; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<&str>, BillError> {
        self.number += 1;
        if !self.fill()? {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\r') {
            self.line.pop();
        }
        let number = self.number;
        let malformed = |what| BillError::Malformed { line: number, what };
        let line = std::str::from_utf8(&self.line).map_err(|_| malformed("not UTF-8"))?;
        let line = match number {
            1 => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
            _ => line,
        };
        if line.contains('\r') {
            return Err(malformed("a carriage return within the line"));
        }
        Ok(Some(line))
    }

    /// Fills `line` up to the end of one, which is left out; false where the file had ended.
    fn fill(&mut self) -> Result<bool, BillError> {
        self.line.clear();
        let mut any = false;
        loop {
            let available = self.input.fill_buf().map_err(unpacked)?;
            if available.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.unwrap_or(available.len());
            if self.line.len() + taken > LINE_MAX {
                return Err(BillError::LineTooLong { line: self.number });
            }
            self.line.extend_from_slice(&available[..taken]);
            self.input.consume(taken + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// Where the named columns of a header stand, in the order of `names`; `None` where one is missing or
/// stands there twice. WeChat Pay may add columns, so they are found by name.
pub(super) fn columns<const N: usize>(header: &str, names: [&str; N]) -> Option<Columns<N>> {
    let columns: Vec<&str> = header.split(',').collect();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let mut found = columns.iter().enumerate();
        *place = found.find(|(_, column)| **column == name)?.0;
        if found.any(|(_, column)| *column == name) {
            return None;
        }
    }
    Some(Columns {
        width: columns.len(),
        places,
    })
}

/// The places of the columns that are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<const N: usize> {
    width: usize,
    places: [usize; N],
}

impl<const N: usize> Columns<N> {
    /// The fields of a row of data; `None` where it is none of this width. Each field begins with a
    /// backtick, and no text holds a comma (it is written `\ `), so a comma with a backtick divides.
    pub(super) fn fields<'l>(&self, line: &'l str) -> Option<[&'l str; N]> {
        let mut fields = [""; N];
        let mut width = 0;
        for field in line.strip_prefix('`')?.split(",`") {
            if field.contains(',') {
                return None;
            }
            for (found, place) in fields.iter_mut().zip(self.places) {
                if place == width {
                    *found = field;
                }
            }
            width += 1;
        }
        (width == self.width).then_some(fields)
    }
}

/// Whether a line is a row of data rather than a header.
pub(super) fn is_data(line: &str) -> bool {
    line.starts_with('`')
}

/// A number of WeChat Pay's or of some merchant's: printable ASCII without what divides fields.
pub(super) fn number(text: &str) -> Option<String> {
    let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'`' && byte != b',';
    ((1..=64).contains(&text.len()) && text.bytes().all(legal)).then(|| text.to_owned())
}

/// `2026-01-01 08:00:01`, in Beijing.
pub(super) fn moment(text: &str) -> Option<crate::domain::Timestamp> {
    let (date, time) = text.split_once(' ')?;
    if date.len() != 10 || time.len() != 8 {
        return None;
    }
    crate::rfc3339::parse(&format!("{date}T{time}+08:00"))
}
