//! However rows fall into shards and seconds, pages have each of them once.

use super::*;

fn row(second: i64, key: u32) -> Row<u32> {
    Row {
        at: Timestamp::from_unix_seconds(second),
        key,
    }
}

/// Reads a shard as the table does: in the direction, rows of one second in an order of its own, from
/// `after`'s second on, until there are more complete rows than a page has.
fn read(
    shard: &[Row<u32>],
    after: Option<&Row<u32>>,
    direction: Direction,
    size: usize,
) -> ShardRead<u32> {
    let mut rows: Vec<Row<u32>> = shard.to_vec();
    // Neither by key nor by its reverse.
    rows.sort_by_key(|row| (row.at, row.key.wrapping_mul(2_654_435_761)));
    if direction == Direction::NewestFirst {
        rows.reverse();
    }
    rows.retain(|row| {
        after.is_none_or(|after| match direction {
            Direction::NewestFirst => row.at <= after.at,
            Direction::OldestFirst => row.at >= after.at,
        })
    });
    for most in 1.. {
        let read = ShardRead {
            rows: rows.iter().take(most).cloned().collect(),
            more: most < rows.len(),
        };
        if !read.more || read.complete(after, direction).count() > size {
            return read;
        }
    }
    unreachable!()
}

fn all_pages(shards: &[Vec<Row<u32>>], direction: Direction, size: usize) -> Vec<Row<u32>> {
    let mut found: Vec<Row<u32>> = Vec::new();
    loop {
        let after = found.last().cloned();
        let reads: Vec<_> = shards
            .iter()
            .map(|shard| read(shard, after.as_ref(), direction, size))
            .collect();
        let page = page(&reads, after.as_ref(), direction, size);
        assert!(page.rows.len() <= size);
        let goes_on = after.is_some();
        assert!(!goes_on || !page.rows.is_empty(), "there was no more");
        assert!(
            !page.more || page.rows.len() == size,
            "a page that goes on is full"
        );
        found.extend(page.rows);
        if !page.more {
            return found;
        }
    }
}

#[test]
fn pages_have_each_row_once_wherever_their_ends_fall() {
    // 60 rows; how many share a second, and in how many shards they lie, decides where ends fall.
    for in_second in [1, 2, 7, 60] {
        for shard_count in [1_u32, 3, 10] {
            let rows: Vec<Row<u32>> = (0..60)
                .map(|key| row(i64::from(key) / in_second, key))
                .collect();
            let mut shards = vec![Vec::new(); shard_count as usize];
            for row in &rows {
                shards[(row.key * 7 % 13 % shard_count) as usize].push(row.clone());
            }
            for direction in [Direction::NewestFirst, Direction::OldestFirst] {
                let mut wanted = rows.clone();
                wanted.sort_by(|one, other| one.order(other, direction));
                for size in [1, 2, 5, 50, 59, 60, 61] {
                    assert_eq!(
                        all_pages(&shards, direction, size),
                        wanted,
                        "{in_second} in a second, {shard_count} shards, {direction:?}, {size} a page"
                    );
                }
            }
        }
    }
}

#[test]
fn the_last_second_of_a_shard_that_goes_on_waits() {
    let read = ShardRead {
        rows: vec![row(9, 1), row(8, 3)],
        more: true,
    };
    let complete: Vec<u32> = read
        .complete(None, Direction::NewestFirst)
        .map(|row| row.key)
        .collect();
    assert_eq!(complete, [1], "8 may have rows before 3");
}

#[test]
fn a_row_seen_in_two_shards_is_told_once() {
    let shards = [1, 2].map(|_| ShardRead {
        rows: vec![row(9, 1)],
        more: false,
    });
    let page = page(&shards, None, Direction::OldestFirst, 5);
    assert_eq!((page.rows, page.more), (vec![row(9, 1)], false));
}
