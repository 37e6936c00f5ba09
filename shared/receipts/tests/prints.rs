//! What people see: each sample as a page in both languages, and as PDF.
#![cfg(test)]

mod samples;

use parkade_domain::tariff::Locale;
use parkade_receipts::{html, pdf, sheet};
use samples::samples;

#[test]
fn the_pages_are_as_they_were_looked_at() {
    for (name, document) in samples() {
        assert!(document.adds_up(), "{name}");
        for locale in [Locale::En, Locale::De] {
            let page = html(&sheet(&document, locale)).unwrap();
            insta::assert_snapshot!(format!("{name}.{}", locale.tag()), page);
        }
    }
}

#[test]
fn a_page_loads_nothing_runs_nothing_and_escapes_what_others_wrote() {
    for (name, document) in samples() {
        let page = html(&sheet(&document, Locale::En)).unwrap();
        for forbidden in ["<script", "http://", "https://", "<img", "<link", "javascript:", " on", "<Söhne>", "url("] {
            let found = page.match_indices(forbidden).filter(|(at, _)| {
                forbidden != " on" || page[at + 3..].contains("=\"") && page[at + 3..].starts_with("click")
            });
            assert_eq!(found.count(), 0, "{name}: {forbidden}");
        }
    }
}

#[test]
fn a_pdf_is_the_same_bytes_for_the_same_document_and_claims_what_it_keeps() {
    for (name, document) in samples() {
        for locale in [Locale::En, Locale::De] {
            let printed = || pdf(&sheet(&document, locale)).unwrap_or_else(|error| panic!("{name}: {error}"));
            let first = printed();
            assert!(first.starts_with(b"%PDF-1.7"), "{name}");
            assert_eq!(first, printed(), "{name}");
            assert!(first.len() < 100_000, "{name} has {} bytes", first.len());
        }
    }
}
