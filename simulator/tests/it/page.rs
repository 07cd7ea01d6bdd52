//! The page of the control port: its files, its words in both languages, and the lists that it shows. What
//! a person does on it is tested in a browser.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use simulator::Change;

use crate::control_callers::call;
use crate::support::Bench;

const JS: &str = "text/javascript; charset=utf-8";

#[tokio::test]
async fn the_page_is_served_whole_and_runs_nothing_but_its_own_files() {
    let bench = Bench::new().await;
    let control = bench.simulator.control_url();
    let mut files = vec![
        ("/".to_owned(), "text/html; charset=utf-8", "not WeChat Pay"),
        (
            "/page.css".to_owned(),
            "text/css; charset=utf-8",
            "color-scheme",
        ),
        ("/page.js".to_owned(), JS, "/_sim/events"),
    ];
    let mut read = 0;
    while let Some((path, kind, holds)) = files.get(read).cloned() {
        read += 1;
        let url = format!("{control}{path}");
        let response = bench.client.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), kind);
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        let text = response.text().await.unwrap();
        assert!(text.contains(holds), "{path}");
        // A script brings others, and each is served like this one.
        for (_, rest) in text
            .match_indices("from \"./")
            .map(|(at, found)| text.split_at(at + found.len()))
        {
            let path = format!("/{}", rest.split('"').next().unwrap());
            if !files.iter().any(|(known, ..)| *known == path) {
                files.push((path, JS, "//"));
            }
        }
        for foreign in [
            "http://",
            "https://",
            "innerHTML",
            "<style",
            " style=",
            " onclick=",
        ] {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(foreign), "{path} holds {foreign}");
        }
    }
    assert!(read > 12, "{read} files were found");
}

/// Every text that a file of the page shows by `t("…")`, also where one of two is chosen.
fn shown(script: &str) -> Vec<String> {
    let call = Regex::new(r#"\bt\((?:[^"()]*\? )?"([^"]+)"(?: : "([^"]+)")?"#).unwrap();
    let texts = call.captures_iter(script).flat_map(|found| {
        let texts = [found.get(1), found.get(2)].into_iter().flatten();
        texts
            .map(|text| text.as_str().to_owned())
            .collect::<Vec<_>>()
    });
    texts.collect()
}

/// What stands between the tags of the page.
fn written(html: &str) -> Vec<String> {
    let (_, body) = html.split_once("<body>").unwrap();
    let pieces = body.split('>').filter_map(|piece| piece.split('<').next());
    let texts = pieces.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    texts
        .filter(|text| text.chars().any(|letter| letter.is_ascii_alphabetic()))
        .collect()
}

#[tokio::test]
async fn whatever_the_page_says_it_says_in_chinese_too() {
    let bench = Bench::new().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control/page");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let chinese = read("zh.js");
    let entry = Regex::new(r#"(?m)^  "(.+)": "(.*)",$"#).unwrap();
    let words: HashMap<&str, &str> = entry
        .captures_iter(&chinese)
        .map(|found| {
            (
                found.get(1).unwrap().as_str(),
                found.get(2).unwrap().as_str(),
            )
        })
        .collect();
    let value = Regex::new(r"\{\w+\}").unwrap();
    let values = |text: &str| -> BTreeSet<String> {
        value
            .find_iter(text)
            .map(|found| found.as_str().to_owned())
            .collect()
    };
    let mut texts = written(&read("index.html"));
    for file in std::fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".js") && !name.starts_with("zh") {
            texts.extend(shown(&read(&name)));
        }
    }
    assert!(texts.len() > 150, "{} texts were found", texts.len());
    // Without a script nothing can be put into Chinese.
    let unscripted = |text: &str| {
        text.starts_with("This page needs JavaScript") || text == "wechatpay-simulator --help"
    };
    let mut missing = Vec::new();
    for text in texts.iter().filter(|text| !unscripted(text)) {
        match words
            .get(text.as_str())
            .or(words.get(format!("{text} ").as_str()))
        {
            Some(said) => assert_eq!(values(text), values(said), "{text}"),
            None => missing.push(text),
        }
    }
    assert!(missing.is_empty(), "zh.js lacks {missing:#?}");
    for fault in bench.seen("/_sim/faults").await["items"]
        .as_array()
        .unwrap()
    {
        let name = fault["name"].as_str().unwrap();
        assert!(
            chinese.contains(&format!("\n  {name}: \"")),
            "zh.js lacks the fault {name}"
        );
    }
}

/// All Rust of the simulator, in which a sentence that was broken over lines is whole again.
fn sources(folder: &Path) -> String {
    let mut code = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            code.push_str(&sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            code.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    Regex::new(r"\\\n\s+")
        .unwrap()
        .replace_all(&code, "")
        .into_owned()
}

#[test]
fn the_sentences_that_are_put_into_chinese_are_those_that_are_said() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sentences = std::fs::read_to_string(source.join("control/page/zh-sentences.js")).unwrap();
    let code = sources(&source);
    let pattern = Regex::new(r"(?m)^  \[/\^(.+)\$/s?, ").unwrap();
    // What of a pattern stands for itself.
    let literal = Regex::new(r"[A-Za-z0-9_ ,:;']{10,}").unwrap();
    let mut found = 0;
    for pattern in pattern.captures_iter(&sentences) {
        for part in literal
            .find_iter(&pattern[1])
            .map(|part| part.as_str().trim())
        {
            assert!(
                code.contains(part),
                "nothing says {part:?}: {}",
                &pattern[1]
            );
            found += 1;
        }
    }
    assert!(found > 80, "{found} parts were compared");
}

/// What a refusal says of its reason is for a person, so whoever reads Chinese gets all of it.
#[test]
fn each_reason_of_a_refusal_is_put_into_chinese() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sentences = std::fs::read_to_string(source.join("control/page/zh-sentences.js")).unwrap();
    let pattern = Regex::new(r"(?m)^  \[/(\^.+\$)/(s?), ").unwrap();
    let patterns: Vec<Regex> = pattern
        .captures_iter(&sentences)
        .map(|found| {
            let flags = if &found[2] == "s" { "(?s)" } else { "" };
            Regex::new(&format!("{flags}{}", &found[1])).unwrap()
        })
        .collect();
    let code = sources(&source);
    let said = Regex::new(r#"\.because\(\s*(?:format!\(\s*)?"((?:[^"\\]|\\.)*)""#).unwrap();
    let filled = Regex::new(r"\{[^}]*\}").unwrap();
    let mut found = 0;
    for sentence in said.captures_iter(&code) {
        let sentence = sentence[1].replace("\\\"", "\"");
        let sentence = filled.replace_all(&sentence, "7");
        assert!(
            patterns.iter().any(|pattern| pattern.is_match(&sentence)),
            "in English only: {sentence}"
        );
        found += 1;
    }
    assert!(found > 40, "{found} sentences were found");
}

#[tokio::test]
async fn the_code_of_a_native_order_is_drawn() {
    let bench = Bench::new().await;
    let body = bench.native("ORDER-code", 1);
    bench
        .client
        .post("/v3/pay/transactions/native", &body)
        .await;
    bench.order("ORDER-no-code", 1).await;
    let control = bench.simulator.control_url();
    let drawn = async |number: &str| {
        let url = format!("{control}/_sim/orders/{number}/code.svg");
        bench.client.http.get(url).send().await.unwrap()
    };
    let answer = drawn("ORDER-code").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/svg+xml");
    let first = answer.text().await.unwrap();
    assert!(
        first.starts_with("<svg") && first.ends_with("</svg>"),
        "{first}"
    );
    assert_eq!(drawn("ORDER-code").await.text().await.unwrap(), first);
    // A new code replaces the old one, in the picture too.
    bench
        .client
        .post("/v3/pay/transactions/native", &body)
        .await;
    assert_ne!(drawn("ORDER-code").await.text().await.unwrap(), first);
    for number in ["ORDER-no-code", "ORDER-nobody"] {
        assert_eq!(drawn(number).await.status(), 404, "{number}");
    }
}

#[tokio::test]
async fn lists_tell_their_total_and_give_the_newest_when_asked() {
    let bench = Bench::new().await;
    for index in 0..5 {
        bench.order(&format!("ORDER-last-{index}"), 1).await;
    }
    let all = bench.seen("/_sim/ledger").await;
    assert_eq!(
        (all["items"].as_array().unwrap().len(), &all["total"]),
        (5, &json!(5))
    );
    let last = bench.seen("/_sim/ledger?last=2").await;
    let numbers: Vec<&str> = last["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["out_trade_no"].as_str().unwrap())
        .collect();
    assert_eq!(numbers, ["ORDER-last-3", "ORDER-last-4"], "newest last");
    assert_eq!(last["total"], 5);
    let requests = bench.seen("/_sim/requests?last=1").await;
    assert_eq!(requests["items"][0]["entered"], 5);
    assert_eq!(
        call(&bench, Method::GET, "/_sim/ledger?last=x", &[]).await,
        (400, "BAD_REQUEST".to_owned())
    );
}

#[tokio::test]
async fn the_ledger_gives_what_waits_alone() {
    let bench = Bench::new().await;
    bench.knob("refund_delay_s", json!(null)).await;
    bench.order("ORDER-open", 1).await;
    for end in ["complete", "close", "abnormal"] {
        let number = format!("ORDER-{end}");
        bench.paid(&number, 2).await;
        let refund = bench.refund(&number, &format!("R-{end}"), 1, 2).await;
        assert_eq!(refund.status, 200);
    }
    bench.paid("ORDER-waits", 2).await;
    bench.refund("ORDER-waits", "R-waits", 1, 2).await;
    for end in ["complete", "close", "abnormal"] {
        let path = format!("/_sim/refunds/R-{end}/{end}");
        bench.control(&path, json!({})).await;
    }
    let numbers = async |query: &str, name: &str| {
        let rows = bench.seen(&format!("/_sim/ledger?{query}")).await;
        let numbers: Vec<String> = rows["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[name].as_str().unwrap().to_owned())
            .collect();
        (numbers, rows["total"].as_u64().unwrap())
    };
    let (orders, total) = numbers("open=orders", "out_trade_no").await;
    assert_eq!((orders, total), (vec!["ORDER-open".to_owned()], 1));
    let (refunds, total) = numbers("open=refunds&last=1", "out_refund_no").await;
    assert_eq!((refunds, total), (vec!["R-waits".to_owned()], 2));
    bench.advance(7 * 86_400).await;
    assert_eq!(numbers("open=orders", "out_trade_no").await.1, 0);
    assert_eq!(
        call(&bench, Method::GET, "/_sim/ledger?open=x", &[]).await,
        (400, "BAD_REQUEST".to_owned())
    );
}

#[tokio::test]
async fn every_change_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = Change::ALL.into_iter().map(Change::as_str).collect();
    assert_eq!(names.len(), Change::ALL.len());
}

#[tokio::test]
async fn a_refused_signature_keeps_what_both_sides_signed() {
    let bench = Bench::new().await;
    let mchid = bench.client.file.mchid.clone();
    let path = "/v3/pay/transactions/out-trade-no/ORDER-texts";
    let mut draft = bench
        .client
        .draft("GET", &format!("{path}?mchid={mchid}"), b"");
    let tail = format!("{}\n{}\n\n", draft.timestamp, draft.nonce);
    draft.signed_target = path.to_owned();
    assert_eq!(bench.client.send(draft.clone()).await.status, 401);
    assert_eq!(
        bench.last_request().await["signed_texts"],
        json!({
            "server": format!("GET\n{path}?mchid={mchid}\n{tail}"),
            "client": format!("GET\n{path}\n{tail}"),
        })
    );
    draft.signed_target = "/nobody/guesses/this".to_owned();
    assert_eq!(bench.client.send(draft).await.status, 401);
    let texts = bench.last_request().await["signed_texts"].clone();
    assert_eq!(texts["client"], Value::Null);
    bench.order("ORDER-texts", 1).await;
    assert_eq!(bench.last_request().await["signed_texts"], Value::Null);
}

#[tokio::test]
async fn an_indented_body_is_recognised_in_the_order_it_was_written() {
    let bench = Bench::new().await;
    let sent = r#"{"mchid":"1900000109","amount":{"total":1,"tags":[],"more":[1,2]},"description":"a \"b\" \\","appid":"wx"}"#;
    let written = "{\n  \"mchid\": \"1900000109\",\n  \"amount\": {\n    \"total\": 1,\n    \"tags\": [],\n    \
                   \"more\": [\n      1,\n      2\n    ]\n  },\n  \"description\": \"a \\\"b\\\" \\\\\",\n  \
                   \"appid\": \"wx\"\n}";
    for indent in ["  ", "    ", "\t"] {
        let body = written.replace("  ", indent);
        let target = "/v3/pay/transactions/jsapi";
        let mut draft = bench.client.draft("POST", target, sent.as_bytes());
        draft.signed_body = body.clone().into_bytes();
        assert_eq!(bench.client.send(draft).await.status, 401);
        let row = bench.last_request().await;
        let explanation = row["explanation"].as_str().unwrap();
        assert!(explanation.contains("serialised again"), "{explanation}");
        let client = row["signed_texts"]["client"].as_str().unwrap();
        assert!(client.ends_with(&format!("{body}\n")), "{client}");
    }
}
