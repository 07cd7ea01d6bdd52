//! Starting, stopping, TLS, and the command itself.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use simulator::{Config, MerchantFile, Simulator, StartError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};

use crate::support::{Bench, Client, tls};

#[tokio::test]
async fn a_taken_port_an_unusable_folder_and_damaged_state_are_said_in_one_sentence() {
    let bench = Bench::new().await;
    let port = bench
        .simulator
        .base_url()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path());
    config.port = port;
    let error = Simulator::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::Port { .. }), "{error}");
    let error = Simulator::start(Config::new(bench.folder.path()))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::InUse { .. }), "{error}");
    let error = Simulator::start(Config::new("/proc/nowhere"))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Folder { .. }), "{error}");
    std::fs::create_dir(folder.path().join("state")).ok();
    std::fs::copy(
        bench.folder.path().join("state/merchants.json"),
        folder.path().join("state/merchants.json"),
    )
    .unwrap();
    std::fs::write(folder.path().join("state/journal.jsonl"), "nonsense\n{}\n").unwrap();
    let error = Simulator::start(Config::new(folder.path()))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Damaged { .. }), "{error}");
    std::fs::write(
        folder.path().join("state/journal.jsonl"),
        "{\"clock\":5}\n{\"cl",
    )
    .unwrap();
    let simulator = Simulator::start(Config::new(folder.path())).await.unwrap();
    assert_eq!(
        simulator.business_clock().offset_seconds(),
        5,
        "a torn last line is dropped"
    );
    let mut config = Config::new(folder.path());
    for speed in [0.0, -1.0, 1e-300, 1e300, f64::NAN, f64::INFINITY] {
        config.speed = speed;
        let started = Simulator::start(config.clone()).await;
        assert!(matches!(started, Err(StartError::Setting(_))), "{speed}");
    }
}

#[tokio::test]
async fn the_api_is_served_over_tls_by_its_own_ca() {
    let bench = Bench::with(|config| config.tls_port = Some(0)).await;
    let ca = std::fs::read(&bench.client.file.ca_file).unwrap();
    let mut client = bench.client.clone();
    client.base = bench.client.file.tls_url.clone().unwrap();
    client.http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(Some(&ca)))
        .no_proxy()
        .build()
        .unwrap();
    bench.order("ORDER-tls", 1).await;
    let mchid = &client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/ORDER-tls?mchid={mchid}");
    let answer = client.get(&target).await;
    assert_eq!(answer.status, 200);
    assert!(client.verifies(&answer, &client.public_key()));
    // Also under the names of the hosts it stands in for, for SDKs that are sent here by DNS.
    let base = client.base.clone();
    let port: u16 = base.rsplit(':').next().unwrap().parse().unwrap();
    for host in [
        "api.mch.weixin.qq.com",
        "api2.mch.weixin.qq.com",
        "api.wechatpay.cn",
        "api2.wechatpay.cn",
        "api.weixin.qq.com",
    ] {
        client.base = format!("https://{host}:{port}");
        client.http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(Some(&ca)))
            .no_proxy()
            .resolve(host, ([127, 0, 0, 1], port).into())
            .build()
            .unwrap();
        let answer = client.try_send(client.draft("GET", &target, b"")).await;
        assert_eq!(answer.expect(host).status, 200);
    }
    client.base = base;
    client.http = crate::support::http();
    assert!(
        client
            .try_send(client.draft("GET", &target, b""))
            .await
            .is_err(),
        "an unknown CA"
    );
}

#[tokio::test]
async fn the_command_serves_survives_a_kill_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let start = |folder: &std::path::Path| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_wechatpay-simulator"))
            .args(["--port", "0", "--control-port", "0", "--data-dir"])
            .arg(folder)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let said = async |child: &mut tokio::process::Child| {
        let mut text = String::new();
        let mut buffer = [0; 1024];
        let stdout = child.stdout.as_mut().unwrap();
        while !text.contains("Interrupt to stop") {
            let read = stdout.read(&mut buffer).await.unwrap();
            assert!(read > 0, "it ended: {text}");
            text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        text
    };
    let mut child = start(folder.path());
    assert!(said(&mut child).await.contains("it is not WeChat Pay"));
    let client = Client::from_folder(folder.path());
    let body = json!({
        "appid": client.file.appid,
        "mchid": client.file.mchid,
        "description": "x",
        "out_trade_no": "ORDER-killed",
        "notify_url": "http://127.0.0.1:9/none",
        "amount": {"total": 1},
        "payer": {"openid": "o"},
    });
    assert_eq!(
        client
            .post("/v3/pay/transactions/jsapi", &body)
            .await
            .status,
        200
    );
    child.kill().await.unwrap();
    let started = Instant::now();
    let mut child = start(folder.path());
    said(&mut child).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let client = Client::from_folder(folder.path());
    let target = format!(
        "/v3/pay/transactions/out-trade-no/ORDER-killed?mchid={}",
        client.file.mchid
    );
    assert_eq!(client.get(&target).await.json()["trade_state"], "NOTPAY");
    terminate(&child);
    assert!(
        child.wait().await.unwrap().success(),
        "a request to end is as good as an interrupt"
    );
    let help = tokio::process::Command::new(env!("CARGO_BIN_EXE_wechatpay-simulator"))
        .arg("--help")
        .output()
        .await
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for word in [
        "IT IS NOT WECHAT PAY",
        "/_sim/faults",
        "--hostility",
        "TWO CLOCKS",
        "open CONTROL in a browser",
        "merchant.json",
    ] {
        assert!(help.contains(word), "{word}");
    }
    // Every call that the manual lists; names in braces are in capitals here.
    let manual = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/simulator.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let calls = manual.split(['`', ' ', '?', ',']);
    let calls: BTreeSet<&str> = calls.filter(|call| call.starts_with("/_sim/")).collect();
    assert!(calls.len() > 20, "{calls:?}");
    let words = help.split([' ', ',', ';', '\n']);
    let listed: BTreeSet<&str> = words
        .filter_map(|word| Some(&word[word.find("/_sim/")?..]))
        .collect();
    for call in calls {
        let segments = call.split('/').map(|segment| {
            match segment
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
            {
                Some(name) => name.to_uppercase(),
                None => segment.to_owned(),
            }
        });
        let call = segments.collect::<Vec<_>>().join("/");
        assert!(listed.contains(call.as_str()), "{call}");
    }
    assert!(
        !help.contains(".md"),
        "it refers to no file that is not installed"
    );
}

fn terminate(child: &tokio::process::Child) {
    let pid = child.id().unwrap().to_string();
    let sent = std::process::Command::new("kill").arg(&pid).status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn the_command_says_in_one_sentence_why_it_does_not_start() {
    let bench = Bench::new().await;
    let taken = bench
        .simulator
        .control_url()
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below = file.join("below");
    let in_use = bench.folder.path().to_owned();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "not a folder").unwrap();
    for (control_port, data_dir, says, option) in [
        (
            taken.as_str(),
            folder.path(),
            "for the control calls: ",
            "--control-port",
        ),
        (
            "0",
            below.as_path(),
            "cannot use the data folder",
            "--data-dir",
        ),
        ("0", file.as_path(), "it is a file", "--data-dir"),
        (
            "0",
            in_use.as_path(),
            "another simulator is using",
            "--data-dir",
        ),
    ] {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_wechatpay-simulator"))
            .args(["--port", "0", "--control-port", control_port, "--data-dir"])
            .arg(data_dir)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty());
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(says), "{said}");
        let advice = format!("choose another with {option}");
        assert!(said.contains(&advice), "what to do: {said}");
    }
}

#[tokio::test]
async fn each_port_that_is_taken_names_its_own_option() {
    let bench = Bench::new().await;
    let taken = bench.simulator.base_url().rsplit_once(':').unwrap().1;
    let folder = tempfile::tempdir().unwrap();
    for option in ["--port", "--backup-port", "--control-port", "--tls-port"] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_wechatpay-simulator"));
        for other in ["--port", "--backup-port", "--control-port"] {
            if other != option {
                command.args([other, "0"]);
            }
        }
        let output = command
            .args([option, taken, "--data-dir"])
            .arg(folder.path())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("127.0.0.1:{taken}")), "{said}");
        let advice = format!("choose another with {option} (0: a free one)");
        assert!(said.contains(&advice), "{said}");
    }
}

#[tokio::test]
async fn an_option_out_of_its_range_is_named_with_its_range() {
    let folder = tempfile::tempdir().unwrap();
    for (option, value, range) in [
        ("--hostility", "7", "between 0 and 1"),
        ("--hostility", "NaN", "between 0 and 1"),
        ("--hostility", "much", "between 0 and 1"),
        ("--speed", "0", "from 0.001 to 1000000"),
        ("--speed", "inf", "from 0.001 to 1000000"),
        ("--speed", "1e300", "from 0.001 to 1000000"),
        ("--speed", "1e-300", "from 0.001 to 1000000"),
    ] {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_wechatpay-simulator"))
            .args([option, value, "--data-dir"])
            .arg(folder.path())
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("'{value}' for '{option}")), "{said}");
        assert!(said.contains(range), "{said}");
    }
}

#[test]
fn merchant_json_has_the_agreed_fields() {
    let file = MerchantFile {
        base_url: String::new(),
        control_url: String::new(),
        mchid: String::new(),
        appid: String::new(),
        app_secret: String::new(),
        serial_no: String::new(),
        apiv3_key: String::new(),
        public_key_id: String::new(),
        mode: String::new(),
        backup_url: String::new(),
        ca_file: String::new(),
        tls_url: None,
    };
    let value = serde_json::to_value(file).unwrap();
    for name in [
        "base_url",
        "control_url",
        "mchid",
        "appid",
        "app_secret",
        "serial_no",
        "apiv3_key",
        "public_key_id",
        "mode",
        "backup_url",
        "ca_file",
    ] {
        assert!(value.get(name).is_some(), "{name}");
    }
}

/// One wrongly signed body must not take what it takes to hold hundreds of its forms.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn explaining_a_long_body_takes_little_memory() {
    const PEAK_KB_MAX: u64 = 150 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_wechatpay-simulator"))
        .args(["--port", "0", "--control-port", "0", "--data-dir"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines
        .next_line()
        .await
        .unwrap()
        .expect("it goes on")
        .contains("Interrupt to stop")
    {}
    let client = Client::from_folder(folder.path());
    for bytes in [60 * 1024, 1024 * 1024] {
        let body = json!({"description": "咖".repeat(bytes / 3)}).to_string();
        let path = "/v3/pay/transactions/jsapi";
        let mut draft = client.draft("POST", path, body.as_bytes());
        draft.signed_body = b"other".to_vec();
        assert_eq!(client.send(draft).await.status, 401);
    }
    let status = format!("/proc/{}/status", child.id().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kb: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak_kb < PEAK_KB_MAX, "{peak_kb} kB");
    let seen = client
        .http
        .get(format!("{}/_sim/requests", client.file.control_url));
    let seen = seen.send().await.unwrap().text().await.unwrap();
    assert!(
        seen.contains("so not every mistake was tried"),
        "{seen:.2000}"
    );
    terminate(&child);
    child.wait().await.unwrap();
}
