//! `docs/errors.md` says what the registry says.

use std::collections::BTreeSet;
use std::path::Path;

use parkade_api::FieldCode;

#[test]
fn the_document_of_problems_is_generated_from_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let expected = parkade_api::registry::document();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/errors.md is out of date: UPDATE=1 cargo test -p parkade-api --test errors_document"
    );
}

/// The domain validates documents (tariffs, policies, calendars) and knows no registry; its codes reach clients all the same.
#[test]
fn every_code_that_the_domain_finds_in_a_document_is_registered() {
    let domain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/src");
    let files = ["policy.rs", "tariff.rs", "tariff/check.rs", "tariff/check_windows.rs", "tariff/days.rs"];
    let mut found = BTreeSet::new();
    for file in files {
        found.extend(codes(&std::fs::read_to_string(domain.join(file)).unwrap()));
    }
    for known in ["gap", "overlap", "unreachable", "not_descending", "window_reversed", "out_of_range"] {
        assert!(found.contains(known), "{known} is no longer found: does this test still read the sources aright?");
    }
    let registered: BTreeSet<_> = FieldCode::ALL.iter().map(|code| code.as_str()).collect();
    let missing: Vec<_> = found.iter().filter(|code| !registered.contains(code.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The snake-case literals that stand between a pointer and a detail, or are given to a field `code`.
fn codes(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let flat = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts: Vec<&str> = flat.split('"').collect();
    let is_code = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let has_detail = |after: &str, next: &str| match after {
        ", " => next.contains(' '),
        _ => after.starts_with(", &") || after.starts_with(", detail"),
    };
    let found = parts.windows(4).filter_map(|part| {
        let [before, literal, after, next] = part else { return None };
        let is_argument = before.ends_with("code: ") || (before.ends_with(", ") && has_detail(after, next));
        (is_code(literal) && is_argument).then(|| (*literal).to_owned())
    });
    found.collect()
}
