//! Pages of a list that is kept in several shards: each row exactly once, also while rows are added.
//!
//! A shard gives its rows by the second they belong to, and those of one second in no order that
//! anybody may rely on. So a page is cut in an order of its own, by second and then by key, and takes
//! of a shard only the seconds that were read to their end.

use super::Timestamp;

/// Which end of the list comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The newest row.
    NewestFirst,
    /// The oldest row.
    OldestFirst,
}

/// A row: its second, and the key of what it points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<K> {
    /// The second it belongs to.
    pub at: Timestamp,
    /// What it points at.
    pub key: K,
}

impl<K: Ord> Row<K> {
    /// Which of two rows comes first; those of one second by key, whatever the direction.
    fn order(&self, other: &Self, direction: Direction) -> std::cmp::Ordering {
        let by_second = match direction {
            Direction::NewestFirst => other.at.cmp(&self.at),
            Direction::OldestFirst => self.at.cmp(&other.at),
        };
        by_second.then_with(|| self.key.cmp(&other.key))
    }
}

/// What was read of a shard, in the list's direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardRead<K> {
    /// The rows, by second.
    pub rows: Vec<Row<K>>,
    /// Whether the shard was not read to its end.
    pub more: bool,
}

impl<K: Ord> ShardRead<K> {
    /// The rows behind `after` whose second was read to its end: where the shard goes on, the last second
    /// may have rows that come before those that were read.
    pub fn complete<'a>(
        &'a self,
        after: Option<&'a Row<K>>,
        direction: Direction,
    ) -> impl Iterator<Item = &'a Row<K>> {
        let open = self.rows.last().filter(|_| self.more).map(|row| row.at);
        self.rows.iter().filter(move |row| {
            Some(row.at) != open && after.is_none_or(|after| after.order(row, direction).is_lt())
        })
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<K> {
    /// The rows, in the list's direction.
    pub rows: Vec<Row<K>>,
    /// Whether there is a page behind the last row.
    pub more: bool,
}

/// The `size` rows behind `after`. Of each shard that has so many, at least `size` complete rows and one
/// more must have been read.
pub fn page<K: Ord + Clone>(
    shards: &[ShardRead<K>],
    after: Option<&Row<K>>,
    direction: Direction,
    size: usize,
) -> Page<K> {
    let complete = shards
        .iter()
        .flat_map(|read| read.complete(after, direction));
    let mut rows: Vec<Row<K>> = complete.cloned().collect();
    rows.sort_by(|one, other| one.order(other, direction));
    // A row on its way from one shard to another may be seen in both.
    rows.dedup_by(|one, other| one.key == other.key);
    let more = rows.len() > size;
    rows.truncate(size);
    Page { rows, more }
}

#[cfg(test)]
mod tests;
