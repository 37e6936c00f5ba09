//! The list of rule ids for contributors is whole: what a comment cites can be looked up.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A letter of the families and a number, as `M5`.
fn rule_ids(text: &str) -> BTreeSet<String> {
    let is_rule = |word: &&str| {
        let (letter, number) = word.split_at(1);
        "MGIPT".contains(letter)
            && !number.starts_with('0')
            && (1..=2).contains(&number.len())
            && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.filter(is_rule).map(str::to_owned).collect()
}

/// What the comments below a folder cite.
fn cited(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            cited(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            for line in fs::read_to_string(&path).unwrap().lines() {
                let comment = line.split_once("//").map_or("", |(_, comment)| comment);
                found.extend(rule_ids(comment));
            }
        }
    }
}

#[test]
fn every_rule_that_a_comment_cites_is_in_the_list_for_contributors() {
    let mut found = BTreeSet::new();
    for folder in ["shared", "functions", "local", "tests"] {
        cited(&Path::new(ROOT).join(folder), &mut found);
    }
    assert!(found.contains("M5") && found.contains("T10"), "{found:?}");
    let listed = rule_ids(&fs::read_to_string(Path::new(ROOT).join("CONTRIBUTING.md")).unwrap());
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "add to CONTRIBUTING.md: {missing:?}");
}
