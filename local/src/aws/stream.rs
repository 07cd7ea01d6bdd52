//! The table's stream, read as Lambda reads it. The emulator has one shard.

use dynoxide::Database;
use dynoxide::actions::describe_stream::DescribeStreamRequest;
use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use dynoxide::actions::list_streams::ListStreamsRequest;
use serde_json::Value;

use crate::template::physical;

/// The records after this sequence number, or from the oldest on.
pub(super) fn records(
    table: &Database,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Value>, String> {
    let listed = table
        .list_streams(ListStreamsRequest {
            table_name: Some(physical("Table")),
            ..ListStreamsRequest::default()
        })
        .map_err(|error| error.to_string())?;
    let Some(stream) = listed.streams.into_iter().next() else {
        return Err("the table has no stream".to_owned());
    };
    let described = table
        .describe_stream(DescribeStreamRequest {
            stream_arn: stream.stream_arn.clone(),
            ..DescribeStreamRequest::default()
        })
        .map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for shard in described.stream_description.shards {
        let kind = match after {
            Some(_) => "AFTER_SEQUENCE_NUMBER",
            None => "TRIM_HORIZON",
        };
        let iterator = table
            .get_shard_iterator(GetShardIteratorRequest {
                stream_arn: stream.stream_arn.clone(),
                shard_id: shard.shard_id,
                shard_iterator_type: kind.to_owned(),
                sequence_number: after.map(str::to_owned),
            })
            .map_err(|error| error.to_string())?;
        let page = table
            .get_records(GetRecordsRequest {
                shard_iterator: iterator.shard_iterator.unwrap_or_default(),
                limit: Some(limit),
            })
            .map_err(|error| error.to_string())?;
        for record in page.records {
            found.push(serde_json::to_value(record).map_err(|error| error.to_string())?);
        }
    }
    Ok(found)
}
