//! Where a bucket is, and that what is asked carries a signature over all of it.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use super::*;
use crate::process::Process;

fn bucket(region: &str, endpoint: Option<&str>) -> Bucket {
    let process = Process::system().unwrap();
    let access = BucketAccess {
        name: "reports".to_owned(),
        region: region.to_owned(),
        endpoint: endpoint.map(str::to_owned),
        credentials: Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"),
    };
    Bucket::new(process.transport, Clock::system(), access)
}

#[test]
fn a_bucket_is_where_aws_has_it_or_where_it_is_told() {
    for (region, endpoint, url) in [
        (
            "ap-southeast-1",
            None,
            "https://reports.s3.ap-southeast-1.amazonaws.com/a/b.json",
        ),
        (
            "cn-north-1",
            None,
            "https://reports.s3.cn-north-1.amazonaws.com.cn/a/b.json",
        ),
        (
            "local",
            Some("http://127.0.0.1:8083/"),
            "http://127.0.0.1:8083/reports/a/b.json",
        ),
    ] {
        assert_eq!(bucket(region, endpoint).url("a/b.json"), url);
    }
}

#[test]
fn the_signature_covers_content_type_and_bytes() {
    let bucket = bucket("ap-southeast-1", None);
    let signed = |content: &[u8], content_type: &str| {
        let headers = [("content-type", content_type)];
        let url = bucket.url("a.json");
        let request = bucket.signed("PutObject", &Method::PUT, &url, &headers, content);
        let request = request.unwrap();
        let header = |name: &str| {
            let value = request.headers().get(name);
            value.unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(header("content-type"), content_type);
        (header("authorization"), header("x-amz-content-sha256"))
    };
    let (first, hash) = signed(b"{}", "application/json");
    let scope = "/ap-southeast-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date";
    assert!(first.contains(scope), "{first}");
    assert_eq!(
        hash,
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
    assert_ne!(signed(b"[]", "application/json").1, hash);
    assert_ne!(signed(b"{}", "text/html").0, first);
}
