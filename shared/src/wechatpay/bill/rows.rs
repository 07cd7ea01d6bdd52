//! What both bills have alike: a header, rows, and a summary that has to agree with them and ends the file.

use std::fmt::Debug;
use std::io::BufRead;

use super::BillError;
use super::lines::{Columns, Lines, columns, is_data};

/// A kind of bill, with so many columns that are read and so many in its summary.
pub(super) trait Kind<const COLUMNS: usize, const SUMMARY: usize> {
    /// What a row says.
    type Row;
    /// The sums of rows.
    type Totals: Copy + Debug + Default;

    /// The columns that are read.
    const COLUMNS: [&'static str; COLUMNS];
    /// The columns of the summary.
    const SUMMARY: [&'static str; SUMMARY];
    /// What is said of a file whose header lacks one of the columns.
    const OTHER_HEADER: &'static str;

    /// Reads a row, whose sums with those before it are the second value, `None` where they overflow.
    ///
    /// # Errors
    /// The field that is not as published.
    fn row(
        fields: &[&str; COLUMNS],
        before: &Self::Totals,
    ) -> Result<(Self::Row, Option<Self::Totals>), &'static str>;

    /// Reads the summary; `None` where it is not as published.
    fn stated(fields: &[&str; SUMMARY]) -> Option<Self::Totals>;

    /// The sums at the end, where those of the rows and the stated ones agree.
    ///
    /// # Errors
    /// They do not.
    fn agreed(seen: &Self::Totals, stated: &Self::Totals) -> Result<Self::Totals, BillError>;
}

/// Reads a bill row by row.
#[derive(Debug)]
pub(super) struct Rows<R, K: Kind<COLUMNS, SUMMARY>, const COLUMNS: usize, const SUMMARY: usize> {
    lines: Lines<R>,
    columns: Columns<COLUMNS>,
    seen: K::Totals,
    ended: bool,
}

impl<R: BufRead, K: Kind<C, S>, const C: usize, const S: usize> Rows<R, K, C, S> {
    /// Reads the header.
    pub(super) fn open(input: R) -> Result<Self, BillError> {
        let mut lines = Lines::new(input);
        let header = lines.next()?.ok_or(BillError::CutOff)?;
        let columns = columns(header, K::COLUMNS);
        let columns = columns.ok_or_else(|| lines.malformed(K::OTHER_HEADER))?;
        Ok(Self {
            lines,
            columns,
            seen: K::Totals::default(),
            ended: false,
        })
    }

    /// The next row; `None` once the summary was read, agreed with the rows and ended the file.
    pub(super) fn next(&mut self) -> Result<Option<K::Row>, BillError> {
        if self.ended {
            return Ok(None);
        }
        let line = self.lines.next()?.ok_or(BillError::CutOff)?;
        if !is_data(line) {
            let summary = columns(line, K::SUMMARY);
            let summary = summary.ok_or_else(|| self.lines.malformed("neither row nor summary"))?;
            self.end(&summary)?;
            return Ok(None);
        }
        let fields = self.columns.fields(line);
        let read = fields.ok_or("not a row of the header's columns");
        let read = read.and_then(|fields| K::row(&fields, &self.seen));
        let (row, seen) = read.map_err(|what| self.lines.malformed(what))?;
        self.seen = seen.ok_or_else(|| self.lines.malformed("a sum that overflows"))?;
        Ok(Some(row))
    }

    pub(super) const fn totals(&self) -> &K::Totals {
        &self.seen
    }

    pub(super) fn into_input(self) -> R {
        self.lines.into_input()
    }

    fn end(&mut self, columns: &Columns<S>) -> Result<(), BillError> {
        let line = self.lines.next()?.ok_or(BillError::CutOff)?;
        let stated = columns.fields(line).and_then(|fields| K::stated(&fields));
        let stated = stated.ok_or_else(|| self.lines.malformed("not a summary"))?;
        self.seen = K::agreed(&self.seen, &stated)?;
        if self.lines.next()?.is_some() {
            return Err(self.lines.malformed("something after the summary"));
        }
        self.ended = true;
        Ok(())
    }
}
