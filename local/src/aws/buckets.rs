//! S3 on this machine, as far as the functions use it: objects are put and asked for, each a file below
//! the data folder, in a folder of its bucket's name.

use std::path::PathBuf;

use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::access::Need;
use crate::condition::Context;
use crate::files;
use crate::template::{Permission, bucket_arn};

/// Objects in files.
#[derive(Debug)]
pub(super) struct Buckets {
    folder: PathBuf,
}

/// A call to S3.
#[derive(Debug)]
pub(super) struct ObjectCall {
    /// The operation, such as `PutObject`.
    pub(super) operation: &'static str,
    bucket: String,
    key: String,
}

impl ObjectCall {
    /// Reads a call with the bucket in its path; `None` for one that is not known here.
    pub(super) fn parse(method: &Method, path: &str) -> Option<Self> {
        let operation = match *method {
            Method::PUT => "PutObject",
            Method::HEAD => "HeadObject",
            _ => return None,
        };
        let (bucket, key) = path.strip_prefix('/')?.split_once('/')?;
        let plain = |text: &str| {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !text.is_empty() && !text.starts_with('.') && text.bytes().all(legal)
        };
        let legal = plain(bucket) && key.split('/').all(plain);
        legal.then(|| Self {
            operation,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }

    /// What it says, for tests.
    pub(super) fn request(&self) -> Value {
        json!({"Bucket": self.bucket, "Key": self.key})
    }
}

impl Buckets {
    pub(super) const fn open(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What a call needs. Who may not list a bucket is told of no missing object that it is missing, so
    /// asking for one needs that right, too.
    pub(super) fn needs(&self, call: &ObjectCall) -> Vec<Need> {
        let bucket = bucket_arn(&call.bucket);
        let objects = format!("{bucket}/*");
        let need = |action: &str, resource: &str| Need {
            permission: Permission {
                action: action.to_owned(),
                resource: resource.to_owned(),
            },
            context: Context::new(),
        };
        match call.operation {
            "PutObject" => vec![need("s3:PutObject", &objects)],
            _ if self.file(call).is_file() => vec![need("s3:GetObject", &objects)],
            _ => vec![
                need("s3:GetObject", &objects),
                need("s3:ListBucket", &bucket),
            ],
        }
    }

    /// Does what is asked.
    pub(super) fn answer(&self, call: &ObjectCall, content: &Bytes) -> Response {
        let file = self.file(call);
        if call.operation == "PutObject" {
            let folder = file.parent().map(std::fs::create_dir_all);
            let made = folder.is_none_or(|made| made.is_ok());
            let written = made && files::replace(&file, content).is_ok();
            return if written {
                StatusCode::OK.into_response()
            } else {
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            };
        }
        if file.is_file() {
            StatusCode::OK.into_response()
        } else {
            StatusCode::NOT_FOUND.into_response()
        }
    }

    fn file(&self, call: &ObjectCall) -> PathBuf {
        self.folder.join(&call.bucket).join(&call.key)
    }
}
