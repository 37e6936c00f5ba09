//! `docs/errors.md` says what the registry says.

use std::path::Path;

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
