//! The Chinese pages say what the English ones say: under the same headings the same blocks of code, the same
//! rows of tables and the same names (`code`). Words can only be read; what is missing or stale can be found.

use std::collections::BTreeSet;
use std::path::Path;

use crate::documents::{Fence, fences, page, pages, root};

/// What users read, which is there in both languages.
const FOR_USERS: [&str; 12] = [
    "README.md",
    "SECURITY.md",
    "docs/api.md",
    "docs/cli.md",
    "docs/doctor.md",
    "docs/events.md",
    "docs/operations.md",
    "docs/quality.md",
    "docs/reliability.md",
    "docs/simulator.md",
    "docs/troubleshooting.md",
    "miniprogram/README.md",
];

/// The Chinese page beside an English one.
fn chinese(english: &str) -> String {
    let name = english.strip_suffix(".md").unwrap();
    format!("{name}.zh-CN.md")
}

/// What stands between a heading and the next one; the first has no heading.
#[derive(Debug, Default)]
struct Section {
    heading: String,
    line: usize,
    fences: Vec<Fence>,
    rows: usize,
    /// What stands outside the blocks, in one line.
    text: String,
}

impl Section {
    /// How deep the heading is; 0 before the first one.
    fn level(&self) -> usize {
        self.heading.chars().take_while(|sign| *sign == '#').count()
    }

    /// What its text sets as code: names, values and short commands. A page of the other language is named by
    /// its own file.
    fn names(&self) -> BTreeSet<String> {
        let inside = self.text.split('`').skip(1).step_by(2);
        let words = inside.map(|name| name.split_whitespace().collect::<Vec<_>>());
        words
            .map(|words| words.join(" ").replace(".zh-CN.md", ".md"))
            .collect()
    }

    fn named(&self) -> String {
        if self.heading.is_empty() {
            "the lines before the first heading".to_owned()
        } else {
            format!("{:?} (line {})", self.heading, self.line)
        }
    }
}

/// A page's sections, in order.
fn sections(page: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut found = fences(page).into_iter().peekable();
    let mut fenced = false;
    for (line, text) in (1..).zip(page.lines()) {
        if text.trim_start_matches(' ').starts_with("```") {
            let section = sections.last_mut().unwrap();
            section
                .fences
                .extend(found.next_if(|fence| fence.line == line));
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        if text.starts_with('#') {
            sections.push(Section {
                heading: text.to_owned(),
                line,
                ..Section::default()
            });
        }
        let section = sections.last_mut().unwrap();
        section.rows += usize::from(text.trim_start().starts_with('|'));
        section.text.push_str(text);
        section.text.push('\n');
    }
    sections
}

/// The first difference between a page and its translation, as a sentence.
fn difference(english: &str, chinese: &str) -> Option<String> {
    let (english, chinese) = (sections(english), sections(chinese));
    for (ours, theirs) in english.iter().zip(&chinese) {
        if ours.level() != theirs.level() {
            return Some(format!(
                "the heading {} stands where the Chinese page has {}",
                ours.named(),
                theirs.named()
            ));
        }
        let place = || format!("{}, in Chinese {}", ours.named(), theirs.named());
        if ours.fences.len() != theirs.fences.len() {
            return Some(format!(
                "{}: {} blocks of code, in Chinese {}",
                place(),
                ours.fences.len(),
                theirs.fences.len()
            ));
        }
        for (block, other) in ours.fences.iter().zip(&theirs.fences) {
            if block.info != other.info || block.text != other.text {
                let lines = block.text.lines().zip(other.text.lines());
                let same = lines.take_while(|(line, other)| line == other).count();
                return Some(format!(
                    "{}: the block of code in line {} differs from the Chinese page's in line {}, \
                     from line {} of the block on",
                    place(),
                    block.line,
                    other.line,
                    same + 1
                ));
            }
        }
        if ours.rows != theirs.rows {
            return Some(format!(
                "{}: {} lines of tables, in Chinese {}",
                place(),
                ours.rows,
                theirs.rows
            ));
        }
        let (said, translated) = (ours.names(), theirs.names());
        let missing: Vec<&String> = said.difference(&translated).collect();
        let only: Vec<&String> = translated.difference(&said).collect();
        if !missing.is_empty() || !only.is_empty() {
            return Some(format!(
                "{}: the Chinese page does not name {missing:?}, and alone names {only:?}",
                place()
            ));
        }
    }
    let shared = english.len().min(chinese.len());
    match (english.get(shared), chinese.get(shared)) {
        (Some(more), _) => Some(format!("the Chinese page ends before {}", more.named())),
        (_, Some(more)) => Some(format!("only the Chinese page has {}", more.named())),
        (None, None) => None,
    }
}

#[test]
fn a_difference_between_two_pages_is_told_in_a_sentence() {
    let english = "# A\n\nSee `a.md`.\n\n| a |\n|---|\n| b |\n\n```sh\nls\ncat\n```\n\n## B\n\n  ```sh\n  # no heading\n  ```\n";
    let told = |chinese: &str| difference(english, chinese);
    let same = english
        .replace("# A", "# 甲")
        .replace("| b |", "| 乙 |")
        .replace("See `a.md`.", "见 `a.zh-CN.md`。");
    assert_eq!(told(&same), None);
    let expected = [
        (
            same.replace("## B", "### 乙"),
            "the heading \"## B\" (line 14) stands where",
        ),
        (
            same.replace("cat", "dog"),
            "in line 9 differs from the Chinese page's in line 9, from line 2 of",
        ),
        (
            same.replace("```sh\nls", "```\nls"),
            "the block of code in line 9 differs",
        ),
        (
            same.replace("| 乙 |\n", ""),
            "3 lines of tables, in Chinese 2",
        ),
        (
            same.replace("`a.zh-CN.md`", "`b.md`"),
            "the Chinese page does not name [\"a.md\"], and alone names [\"b.md\"]",
        ),
        (
            same.replace("  ```sh\n  # no heading\n  ```\n", ""),
            "1 blocks of code, in Chinese 0",
        ),
        (
            same.split("## B").next().unwrap().to_owned(),
            "ends before \"## B\" (line 14)",
        ),
        (
            format!("{same}\n## C\n"),
            "only the Chinese page has \"## C\"",
        ),
    ];
    for (chinese, sentence) in expected {
        let told = told(&chinese).unwrap_or_else(|| panic!("nothing is said of {chinese}"));
        assert!(told.contains(sentence), "{told}");
    }
}

#[test]
fn what_users_read_is_there_in_both_languages() {
    for english in FOR_USERS {
        for path in [english.to_owned(), chinese(english)] {
            assert!(root().join(&path).is_file(), "{path} is missing");
        }
    }
}

#[test]
fn every_chinese_page_has_the_headings_blocks_tables_and_names_of_the_english_one() {
    let mut compared = 0;
    let mut differ = Vec::new();
    for path in pages() {
        let path = path.to_str().unwrap().to_owned();
        let Some(name) = path.strip_suffix(".zh-CN.md") else {
            continue;
        };
        let english = format!("{name}.md");
        let there = Path::new(&english);
        assert!(
            root().join(there).is_file(),
            "{path} translates {english}, which is missing"
        );
        if let Some(told) = difference(&page(&english), &page(&path)) {
            differ.push(format!("{english}: {told}"));
        }
        compared += 1;
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(
        compared >= FOR_USERS.len(),
        "only {compared} pages were compared"
    );
}

#[test]
fn each_page_leads_to_the_other_language() {
    for english in FOR_USERS {
        let translated = chinese(english);
        for (from, to) in [(english, translated.as_str()), (&translated, english)] {
            let name = to.rsplit('/').next().unwrap();
            let link = format!("]({name})");
            let leads = page(from).lines().take(8).any(|line| line.contains(&link));
            assert!(leads, "{from} does not lead to {to} in its first lines");
        }
    }
}
