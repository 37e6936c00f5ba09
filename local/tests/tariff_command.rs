//! `parkade tariff` as an operator runs it: every golden case, mistakes, receipts, and the examples of the reference.
#![cfg(test)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use parkade_domain::money::{Currency, Money};
use serde_json::{Value, json};

const REFERENCE: &str = include_str!("../../docs/tariffs.md");
/// Processes at a time.
const THREADS: usize = 4;

/// An empty folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tariff-{name}"));
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn parkade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parkade")).arg("tariff").args(arguments).current_dir(folder).output().unwrap()
}

/// Both streams as text, and the exit code.
fn said(output: &Output) -> (String, Option<i32>) {
    let text = [&output.stdout, &output.stderr].map(|stream| std::str::from_utf8(stream).unwrap()).concat();
    (text, output.status.code())
}

fn goldens() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tariffs");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let golden = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), golden)
    };
    let mut goldens: Vec<_> = paths.map(read).collect();
    goldens.sort_by(|left, right| left.0.cmp(&right.0));
    goldens
}

/// The flags of a golden case; a fact without a flag fails the test.
fn flags(folder: &Path, name: &str, zone: &Value, case: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut flags = vec!["--zone".to_owned(), text(zone)];
    for (fact, value) in case.as_object().unwrap() {
        match (fact.as_str(), value) {
            ("total" | "why" | "debit", _) => {}
            ("from" | "to" | "class" | "left_at", value) => {
                flags.extend([format!("--{}", fact.replace('_', "-")), text(value)]);
            }
            ("basis", value) => flags.extend((value == "stay").then(|| "--stay".to_owned())),
            ("ticket", value) => flags.extend((value == "lost").then(|| "--lost-ticket".to_owned())),
            ("permits", Value::Array(permits)) => {
                flags.extend(permits.iter().flat_map(|permit| ["--permit".to_owned(), text(permit)]));
            }
            ("validations", Value::Array(given)) => flags.extend(given.iter().flat_map(|given| {
                let used = given["used_before"].as_u64().unwrap_or(0);
                ["--validation".to_owned(), format!("{}:{used}", text(&given["id"]))]
            })),
            ("no_show", value) => {
                flags.push("--no-show".to_owned());
                flags.extend((value["gate_offline"] == true).then(|| "--gate-offline".to_owned()));
            }
            ("calendar", value) => {
                let file = format!("{name}-calendar.json");
                std::fs::write(folder.join(&file), value.to_string()).unwrap();
                flags.extend(["--calendar".to_owned(), file]);
            }
            _ => panic!("{fact} has no flag"),
        }
    }
    flags
}

/// What the command says that the case costs, with the currency's digits, and what merchants owe.
fn owed(folder: &Path, tariff: &str, currency: &Value, flags: &[String]) -> (String, i64) {
    let mut arguments = vec!["price", tariff, "--json"];
    arguments.extend(flags.iter().map(String::as_str));
    let output = parkade(folder, &arguments);
    let (text, code) = said(&output);
    if code == Some(1) && text.starts_with("unavailable  ") {
        return ("unavailable".to_owned(), 0);
    }
    assert_eq!(code, Some(0), "{tariff} {flags:?}: {text}");
    let answer: Value = serde_json::from_str(&text).unwrap();
    // A settlement has what was owed and what is owed; a receipt has one price.
    let price = answer.get("owed").unwrap_or(&answer["price"]);
    let money =
        Money::new(price["total_minor"].as_i64().unwrap(), Currency::from_code(currency.as_str().unwrap()).unwrap());
    let debits = price["debits"].as_array().into_iter().flatten().map(|debit| debit["amount_minor"].as_i64().unwrap());
    (money.format().split_once(' ').unwrap().1.to_owned(), debits.sum())
}

struct Case {
    file: String,
    currency: Value,
    flags: Vec<String>,
    expected: Value,
}

impl Case {
    /// What is wrong with the answer, if anything.
    fn wrong(&self, folder: &Path) -> Option<String> {
        let Self { file, currency, flags, expected } = self;
        let (total, debits_minor) = owed(folder, file, currency, flags);
        let debit = expected["debit"].as_str().map(|text| text.replace('.', ""));
        let right = expected["total"] == total.as_str() && debit.is_none_or(|debit| debit.parse() == Ok(debits_minor));
        (!right).then(|| format!("{file} {flags:?}: {total}, debits {debits_minor}, not {expected}"))
    }
}

#[test]
fn every_golden_case_is_reproduced() {
    let folder = folder("golden");
    let mut cases = Vec::new();
    for (name, golden) in goldens() {
        let file = format!("{name}.json");
        std::fs::write(folder.join(&file), golden["tariff"].to_string()).unwrap();
        for (position, case) in golden["stays"].as_array().unwrap().iter().enumerate() {
            let flags = flags(&folder, &format!("{name}-{position}"), &golden["time_zone"], case);
            let currency = golden["tariff"]["currency"].clone();
            cases.push(Case { file: file.clone(), currency, flags, expected: case.clone() });
        }
    }
    assert!(cases.len() >= 190, "{}", cases.len());
    let folder = &folder;
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let run = |chunk: &'_ [Case]| chunk.iter().filter_map(|case| case.wrong(folder)).collect::<Vec<_>>();
        let chunks = cases.chunks(cases.len().div_ceil(THREADS));
        let threads: Vec<_> = chunks.map(|chunk| scope.spawn(move || run(chunk))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_golden_tariff_passes_the_check() {
    let folder = folder("check");
    for (name, golden) in goldens() {
        let file = format!("{name}.json");
        std::fs::write(folder.join(&file), golden["tariff"].to_string()).unwrap();
        let (text, code) = said(&parkade(&folder, &["check", &file]));
        assert_eq!(code, Some(0), "{name}: {text}");
        let last = text.lines().last().unwrap();
        assert!(text.starts_with("valid: ") && last.starts_with("Next: parkade tariff price "), "{name}: {text}");
    }
}

#[test]
fn each_mistake_is_named_by_its_place() {
    let folder = folder("mistakes");
    for (document, finding) in [
        (r#"{"currency": "EUR","#, "(document)  malformed_json  not JSON: EOF while parsing"),
        (r#"["EUR"]"#, "(document)  malformed_json  not a JSON object"),
        (r#"{"currency": "EUR", "tables": [{"id": "cars", "bass": []}]}"#, "/tables/0/bass  invalid  unknown field"),
        (r#"{"currency": "EUR", "unit_minutes": "1"}"#, "/unit_minutes  invalid  invalid type: string"),
        (
            r#"{"currency": "EUR", "tables": [{"id": "cars", "base": [{"total": "1.0"}]}]}"#,
            "/tables/0/base/0/total  currency_digits  EUR has 2 digits",
        ),
    ] {
        std::fs::write(folder.join("broken.json"), document).unwrap();
        let stay = ["price", "broken.json", "--from", "2026-05-04T10:00", "--to", "2026-05-04T11:00"];
        for arguments in [&["check", "broken.json"][..], &stay] {
            let output = parkade(&folder, arguments);
            let (text, code) = said(&output);
            assert_eq!((code, output.stdout.is_empty()), (Some(1), true), "{text}");
            assert!(text.starts_with(finding), "{text}");
        }
    }
    let (text, code) = said(&parkade(&folder, &["check", "absent.json"]));
    assert!(code == Some(1) && text.contains("name a readable JSON file"), "{text}");
    assert_eq!(said(&parkade(&folder, &["check"])).1, Some(2), "no file is a matter of usage");
}

#[test]
fn a_stay_that_cannot_be_priced_says_which_flag_to_change() {
    let folder = folder("refusals");
    let tariff = json!({"currency": "EUR", "tables": [{"id": "cars", "for": {"classes": ["standard"]},
        "base": [{"total": "2.00"}], "max_stay_minutes": 120}]});
    std::fs::write(folder.join("t.json"), tariff.to_string()).unwrap();
    let [ten, eleven] = ["2026-05-04T10:00", "2026-05-04T11:00"];
    for (flags, said_so) in [
        (&["--from", "2026-03-29T02:30", "--to", "2026-03-29T04:00"][..], "--from 2026-03-29T02:30: the clocks skip"),
        (&["--from", "2026-03-29T02:30", "--to", "2026-03-29T04:00"], "rule T9"),
        (&["--from", eleven, "--to", ten], "--to 2026-05-04T10:00: a stay ends after it starts"),
        (&["--from", "today", "--to", ten], "--from today: a time is RFC 3339"),
        (&["--from", ten, "--to", "2026-05-04T12:01"], "at most 2 h after --from"),
        (&["--from", ten, "--to", eleven, "--class", "large"], "no_rate  "),
        (&["--from", ten, "--to", eleven, "--validation", "x"], "change --validation x; the tariff has none"),
    ] {
        let arguments = [&["price", "t.json", "--zone", "Europe/Berlin"][..], flags].concat();
        let (text, code) = said(&parkade(&folder, &arguments));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(said_so), "{text}");
    }
    // The repeated hour is taken the first time: 02:30 to 03:30 are two hours.
    let flags = ["--from", "2026-10-25T02:30", "--to", "2026-10-25T03:30"];
    let (text, code) = said(&parkade(&folder, &[&["price", "t.json", "--zone", "Europe/Berlin"][..], &flags].concat()));
    assert!(code == Some(0) && text.contains("2026-10-25 02:30 +02:00  2026-10-25 03:30 +01:00"), "{text}");
}

#[test]
fn a_receipt_prices_again_to_the_same_bytes_and_a_changed_one_does_not() {
    let folder = folder("reprice");
    let tariff = json!({"currency": "EUR", "tables": [{"id": "cars", "base": [{"every_minutes": 60, "add": "2.00"}]}]});
    std::fs::write(folder.join("t.json"), tariff.to_string()).unwrap();
    let price = ["price", "t.json", "--json", "--from", "2026-05-04T10:00", "--to", "2026-05-04T12:00"];
    let (receipt, _) = said(&parkade(&folder, &price));
    let reprice = |receipt: &str, flags: &[&str]| {
        std::fs::write(folder.join("r.json"), receipt).unwrap();
        said(&parkade(&folder, &[&["reprice", "t.json", "r.json"][..], flags].concat()))
    };
    assert_eq!(reprice(&receipt, &[]), ("same, byte for byte\n".to_owned(), Some(0)));
    let seventh = receipt.replace("\"tariff_version\": 0", "\"tariff_version\": 7");
    assert_eq!(reprice(&seventh, &[]).1, Some(0));
    let (text, code) = reprice(&seventh, &["--version", "8"]);
    assert!(code == Some(1) && text.contains("names version 7"), "{text}");
    let (text, code) = reprice(&receipt.replace("T12:00:00Z", "T12:01:00Z"), &[]);
    assert!(code == Some(1) && text.contains("/price/total_minor  400 on the receipt, 600 now"), "{text}");
    let (text, code) = reprice(&receipt.replace("\"total_minor\": 400", "\"total_minor\": 300"), &[]);
    assert!(code == Some(1) && text.contains("do not add up"), "{text}");
}

#[test]
fn a_tariff_comes_from_standard_input_too() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_parkade"))
        .args(["tariff", "check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let tariff = r#"{"currency": "JPY", "unit_minutes": 30, "rates": {"standard": 200}}"#;
    process.stdin.take().unwrap().write_all(tariff.as_bytes()).unwrap();
    let (text, code) = said(&process.wait_with_output().unwrap());
    assert_eq!(code, Some(0));
    assert!(text.starts_with("valid: JPY, 0 digits after the point\n  standard: 200 per started 30 min\n"), "{text}");
}

#[test]
fn a_tariff_that_is_cheaper_for_longer_is_valid_with_a_warning() {
    let folder = folder("warnings");
    let base = json!([{"up_to_minutes": 60, "total": "5.000"}, {"total": "4.000"}]);
    let tariff = json!({"currency": "KWD", "tables": [{"id": "cars", "base": base}]});
    std::fs::write(folder.join("t.json"), tariff.to_string()).unwrap();
    let (text, code) = said(&parkade(&folder, &["check", "t.json"]));
    assert_eq!(code, Some(0), "{text}");
    let warning = "warning: /tables/0  non_monotone  1 h cost KWD 5.000, 1 h 1 min KWD 4.000\n";
    assert!(text.contains(warning), "{text}");
}

#[test]
fn the_reference_shows_what_the_commands_print() {
    let folder = folder("reference");
    let after = |heading: &str| REFERENCE.split_once(heading).unwrap().1;
    let example = after("## Windows by day and time\n").split_once("```json tariff\n").unwrap().1;
    std::fs::write(folder.join("car-park.json"), example.split_once("```").unwrap().0).unwrap();
    let shown =
        after("## Try it without a server\n").split_once("```console\n").unwrap().1.split_once("```").unwrap().0;
    let mut printed = String::new();
    for command in shown.lines().filter_map(|line| line.strip_prefix("$ parkade tariff ")) {
        let output = parkade(&folder, &command.split(' ').collect::<Vec<_>>());
        write!(printed, "$ parkade tariff {command}\n{}", said(&output).0).unwrap();
    }
    assert_eq!(shown, printed);
}
