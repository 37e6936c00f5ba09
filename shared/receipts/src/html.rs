//! The page.

use askama::Template;

use crate::{RenderError, Sheet};

/// Allows the page its own style and nothing else: no script, no image, no form, no frame.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'sha256-3nzTrgXsutga9PsqhD8W9E0CXnZOOcIcO9nWoAwGWk8='; base-uri 'none'; \
                                           form-action 'none'; frame-ancestors 'none'";

/// The style, as it stands in the page.
const STYLE: &str = include_str!("../templates/receipt.css");

#[derive(Template)]
#[template(path = "receipt.html")]
struct Page<'a> {
    sheet: &'a Sheet,
    style: &'static str,
}

/// The sheet as an HTML page.
///
/// # Errors
/// [`RenderError::Html`].
pub fn html(sheet: &Sheet) -> Result<String, RenderError> {
    Page { sheet, style: STYLE }.render().map_err(RenderError::Html)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ring::digest::{SHA256, digest};

    use super::*;

    #[test]
    fn the_policy_allows_exactly_this_style() {
        let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{hash}'")), "the style's hash is {hash}");
    }
}
