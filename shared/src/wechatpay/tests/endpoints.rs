//! Which hosts are sent what the merchant's key signed.

use crate::wechatpay::{EndpointError, Endpoints};

const PRIMARY: &str = "https://api.mch.weixin.qq.com";

#[test]
fn wechat_pays_own_hosts_need_no_permission() {
    for host in [
        "api.mch.weixin.qq.com",
        "api2.mch.weixin.qq.com",
        "api.wechatpay.cn",
        "api2.wechatpay.cn",
    ] {
        let url = format!("https://{host}");
        assert_eq!(
            Endpoints::parse(&url, &url, &[]),
            Endpoints::parse(&format!("{url}/"), &url, &[])
        );
        assert!(Endpoints::parse(PRIMARY, &url, &[]).is_ok());
    }
}

#[test]
fn another_host_is_refused_unless_it_is_named_exactly() {
    let untrusted = [
        "http://api.mch.weixin.qq.com",
        "https://api.mch.weixin.qq.com:8443",
        "https://api.mch.weixin.qq.com.evil.example",
        "https://evil.example",
        "https://api.mch.weixin.qq.com.",
        "http://127.0.0.1:8081",
        "http://[::1]:8081",
        "http://169.254.169.254",
    ];
    for url in untrusted {
        for trusted in [&[][..], &["127.0.0.1"], &["127.0.0.1:80"], &["", "*"]] {
            for (base, backup) in [(url, PRIMARY), (PRIMARY, url)] {
                let refused = Endpoints::parse(base, backup, trusted);
                assert!(
                    matches!(refused, Err(EndpointError::NotTrusted(_))),
                    "{url} {trusted:?}"
                );
            }
        }
    }
    for (url, trusted) in [
        ("http://127.0.0.1:8081", "127.0.0.1:8081"),
        ("http://localhost:8081/", "localhost:8081"),
        ("http://[::1]:8081", "[::1]:8081"),
        ("https://wechatpay.test", "wechatpay.test"),
    ] {
        assert!(
            Endpoints::parse(url, url, &["other.test", trusted]).is_ok(),
            "{url}"
        );
    }
}

#[test]
fn a_base_url_is_a_host_alone() {
    for url in [
        "",
        "api.mch.weixin.qq.com",
        "https://",
        "https://api.mch.weixin.qq.com/v3",
        "https://api.mch.weixin.qq.com?x=1",
        "https://api.mch.weixin.qq.com#x",
        "https://user@api.mch.weixin.qq.com",
        "https://user:word@api.mch.weixin.qq.com",
        "https://:word@api.mch.weixin.qq.com",
        "ftp://api.mch.weixin.qq.com",
        "file:///etc/passwd",
    ] {
        let refused = Endpoints::parse(url, PRIMARY, &["api.mch.weixin.qq.com"]);
        assert!(matches!(refused, Err(EndpointError::NotAHost(_))), "{url}");
    }
}

#[test]
fn a_file_is_fetched_from_an_accepted_host_alone() {
    let trusted = ["127.0.0.1:8081", "wechatpay.test"];
    let endpoints = Endpoints::parse(PRIMARY, PRIMARY, &trusted).unwrap();
    for (address, host, target) in [
        (
            "https://api.mch.weixin.qq.com/v3/billdownload/file?token=a%2Fb&tartype=gzip",
            "https://api.mch.weixin.qq.com",
            "/v3/billdownload/file?token=a%2Fb&tartype=gzip",
        ),
        (
            "https://api2.wechatpay.cn",
            "https://api2.wechatpay.cn",
            "/",
        ),
        (
            "http://127.0.0.1:8081/file?token=1",
            "http://127.0.0.1:8081",
            "/file?token=1",
        ),
        ("https://wechatpay.test/x", "https://wechatpay.test", "/x"),
    ] {
        let place = endpoints.place(address).unwrap();
        assert_eq!((place.host.as_str(), place.target.as_str()), (host, target));
    }
    let long = format!("https://api.mch.weixin.qq.com/{}", "a".repeat(2048));
    for foreign in [
        "https://bills.example.com/v3/billdownload/file?token=1",
        "http://api.mch.weixin.qq.com/file",
        "https://api.mch.weixin.qq.com:8443/file",
        "https://api.mch.weixin.qq.com.example.com/file",
        "https://api.mch.weixin.qq.com@example.com/file",
        "https://user:word@api.mch.weixin.qq.com/file",
        "https://api.mch.weixin.qq.com/file#x",
        "http://127.0.0.1:8082/file",
        "http://169.254.169.254/latest/meta-data",
        "ftp://127.0.0.1:8081/file",
        "file:///etc/passwd",
        "/v3/billdownload/file?token=1",
        "",
        &long,
    ] {
        assert_eq!(endpoints.place(foreign), None, "{foreign}");
    }
}
