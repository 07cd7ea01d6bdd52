//! Both languages are there, say the same things of the same values, and are what they claim to be.

use std::collections::BTreeSet;

use super::super::texts;
use super::fixture::{looked_at, made};
use crate::doctor::{Language, Name, Verdict};

fn places(text: &str) -> BTreeSet<&str> {
    let parts = text.split('{').skip(1);
    parts
        .filter_map(|part| part.split_once('}'))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn every_sentence_is_there_in_both_languages_with_the_same_places() {
    for text in texts::ALL {
        let id = text.id;
        assert!(
            !text.en.trim().is_empty() && !text.zh.trim().is_empty(),
            "{id}"
        );
        assert_eq!(places(text.en), places(text.zh), "{id}");
        let chinese = |letter: char| matches!(letter, '\u{4e00}'..='\u{9fff}');
        // A name that WeChat writes so in Chinese, too, and sentences that are a value alone.
        let mut own = text
            .zh
            .split('{')
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
        let wordless = own.all(|part| !part.contains(char::is_alphabetic));
        let fine = wordless || text.zh == "AppID" || text.zh.contains(chinese);
        assert!(fine, "{id} is not Chinese: {}", text.zh);
        assert!(
            !text.zh.contains(". "),
            "{id} has an English full stop: {}",
            text.zh
        );
    }
}

#[test]
fn a_fix_is_one_sentence_in_either_language() {
    let fixes = texts::ALL.iter();
    let fixes = fixes.filter(|text| {
        let begins = ["FIX_", "GIVE_", "SEE_"];
        begins.iter().any(|begin| text.id.starts_with(begin))
    });
    for text in fixes {
        let id = text.id;
        assert!(
            text.en.ends_with('.') && !text.en.contains(". "),
            "{id}: {}",
            text.en
        );
        assert_eq!(text.zh.matches('。').count(), 1, "{id}: {}", text.zh);
        assert!(text.zh.ends_with('。'), "{id}: {}", text.zh);
    }
}

#[tokio::test]
async fn the_json_is_what_scripts_rely_on() {
    let mut subject = made().sound.clone();
    subject.mchid = Some("1900000222".to_owned());
    let report = looked_at(&subject).await;
    for language in [Language::En, Language::Zh] {
        let json = report.to_json(language);
        assert_eq!(json.as_object().unwrap().len(), 1);
        let checks = json["checks"].as_array().unwrap();
        assert_eq!(checks.len(), Name::ALL.len());
        for (check, name) in checks.iter().zip(Name::ALL) {
            let members: Vec<&String> = check.as_object().unwrap().keys().collect();
            assert_eq!(members, ["evidence", "fix", "name", "verdict"]);
            assert_eq!(check["name"], name.as_str());
            let verdict = check["verdict"].as_str().unwrap();
            assert!(["ok", "fail", "skipped"].contains(&verdict));
            assert!(!check["evidence"].as_str().unwrap().is_empty());
            assert_eq!(check["fix"].as_str().unwrap().is_empty(), verdict == "ok");
            assert!(!check["evidence"].as_str().unwrap().contains('{'));
        }
    }
}

#[tokio::test]
async fn people_read_a_sign_an_evidence_and_a_fix() {
    let mut subject = made().sound.clone();
    subject.serial_no = made().other.serial_no.clone();
    let report = looked_at(&subject).await;
    assert!(!report.is_ok());
    let english = report.to_text(Language::En);
    assert!(
        english.contains("✗ Certificate's serial number: "),
        "{english}"
    );
    assert!(english.contains("\n  → Write "), "{english}");
    assert!(english.contains("✓ Merchant number (mchid): "), "{english}");
    assert!(english.contains("– Virtual goods: "), "{english}");
    let skipped = report.count(Verdict::Skipped);
    let summary = format!("11 in order, 1 to mend, {skipped} not checked\n");
    assert!(english.ends_with(&summary), "{english}");
    let chinese = report.to_text(Language::Zh);
    assert!(chinese.contains("✗ 证书序列号："), "{chinese}");
    assert!(chinese.contains("1 项需要处理"), "{chinese}");
}

#[test]
fn the_language_is_that_of_the_environment() {
    let languages = [
        (Some("zh_CN.UTF-8"), Language::Zh),
        (Some("ZH"), Language::Zh),
        (Some("en_US.UTF-8"), Language::En),
        (Some("C"), Language::En),
        (None, Language::En),
    ];
    for (locale, language) in languages {
        assert_eq!(Language::of_locale(locale), language, "{locale:?}");
    }
}

#[test]
fn the_pages_tell_every_check_in_both_languages() {
    let page = |name: &str| {
        let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    let (english, chinese) = (page("doctor.md"), page("doctor.zh-CN.md"));
    for text in [&english, &chinese] {
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
        let rows = rows
            .filter_map(|row| row.split_once("` |"))
            .map(|(name, _)| name);
        let rows: Vec<&str> = rows.filter(|name| !name.contains('.')).collect();
        let names: Vec<&str> = Name::ALL.iter().map(|name| name.as_str()).collect();
        assert_eq!(rows, names);
    }
    let blocks = |text: &str| -> Vec<String> {
        text.split("```")
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(blocks(&english), blocks(&chinese));
    let headings = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(headings(&english), headings(&chinese));
    // The example is of what is really said.
    let begins = |line: &&str| ["✓ ", "✗ ", "– "].iter().any(|sign| line.starts_with(sign));
    let example = &blocks(&english)[1];
    for line in example.lines().filter(begins) {
        let title = line.get(4..).and_then(|line| line.split_once(": "));
        let title = title.map(|(title, _)| title);
        let mut titles = Name::ALL.iter().map(|name| name.title().en);
        assert!(titles.any(|known| Some(known) == title), "{line}");
    }
    for fix in [texts::FIX_SERIAL, texts::VIRTUAL_GOODS_FIX] {
        let said = fix
            .en
            .replace("{serial}", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1");
        assert!(example.contains(&said), "{said}");
    }
}
