//! Who may use which port.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::http::{HeaderMap, HeaderValue, header};

use super::{Pages, refusal};

fn refused(pages: Pages, host: &str, origin: Option<&str>) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
    }
    refusal(pages, &headers).is_some()
}

#[test]
fn a_host_has_to_name_this_machine() {
    for (host, is_refused) in [
        ("127.0.0.1:3000", false),
        ("127.0.0.1", false),
        ("127.8.9.10:80", false),
        ("[::1]:3000", false),
        ("localhost:3000", false),
        ("LOCALHOST", false),
        ("localhost.", false),
        ("shop.localhost:3000", false),
        ("host.docker.internal:8083", false),
        ("", true),
        ("[", true),
        ("192.168.1.20:3000", true),
        ("0.0.0.0", true),
        ("example.com", true),
        ("localhost.example.com", true),
        ("127.0.0.1.example.com:3000", true),
        ("notlocalhost", true),
        ("docker.internal", true),
    ] {
        for pages in [Pages::Own, Pages::Developed] {
            assert_eq!(refused(pages, host, None), is_refused, "{host:?} {pages:?}");
        }
    }
}

#[test]
fn an_origin_has_to_be_one_that_the_port_expects() {
    // The origin, and whether a port refuses it that serves its own pages only, or developed ones.
    for (origin, own, developed) in [
        ("http://127.0.0.1:3000", false, false),
        ("https://127.0.0.1:3000", false, false),
        ("http://localhost:5173", true, false),
        ("http://127.0.0.1:8082", true, false),
        ("https://servicewechat.com", true, false),
        ("http://servicewechat.com", true, true),
        ("https://servicewechat.com.example.com", true, true),
        ("https://example.com", true, true),
        ("null", true, true),
        ("", true, true),
        ("file://", true, true),
        ("localhost", true, true),
    ] {
        let host = "127.0.0.1:3000";
        assert_eq!(refused(Pages::Own, host, Some(origin)), own, "{origin}");
        let refused = refused(Pages::Developed, host, Some(origin));
        assert_eq!(refused, developed, "{origin}");
    }
}

#[test]
fn a_second_header_does_not_hide_behind_the_first() {
    let mut headers = HeaderMap::new();
    let local = HeaderValue::from_static("localhost");
    headers.append(header::HOST, local);
    assert_eq!(refusal(Pages::Own, &headers), None);
    headers.append(header::HOST, HeaderValue::from_static("example.com"));
    assert!(refusal(Pages::Own, &headers).is_some());
}
