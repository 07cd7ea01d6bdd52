//! What resources of the template are called on this machine.

/// The region of everything here.
pub const REGION: &str = "local";
/// The account of everything here.
pub const ACCOUNT: &str = "000000000000";

/// The name of a resource on this machine: what `!Ref` gives.
pub fn physical(logical_id: &str) -> String {
    match logical_id {
        "Table" => "wxpay".to_owned(),
        secret if secret.ends_with("Secret") => arn(secret),
        // S3 takes no capitals.
        bucket if bucket.ends_with("Bucket") => bucket.trim_end_matches("Bucket").to_lowercase(),
        other => other.to_owned(),
    }
}

/// The ARN of a resource on this machine: what `!GetAtt …​.Arn` gives.
pub fn arn(logical_id: &str) -> String {
    match logical_id {
        "Table" => format!(
            "arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{}",
            physical("Table")
        ),
        secret if secret.ends_with("Secret") => {
            format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret}")
        }
        bucket if bucket.ends_with("Bucket") => bucket_arn(&physical(bucket)),
        other => format!("arn:aws:local:{REGION}:{ACCOUNT}:{other}"),
    }
}

/// The ARN of the bucket of this name.
pub fn bucket_arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}
