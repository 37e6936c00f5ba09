//! In which form and language a client wants an answer: what it says in the query counts before its headers.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderName};
use parkade_domain::tariff::Locale;

use crate::query::Query;
use crate::registry::FieldCode;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For programs.
    Json,
    /// For people, on a screen.
    Html,
    /// For people, on paper and in archives.
    Pdf,
}

impl Format {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Json, "json", "application/json"),
        (Self::Html, "html", "text/html"),
        (Self::Pdf, "pdf", "application/pdf"),
    ];

    /// Its short name, the value of the parameter `format`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Html => "html",
            Self::Pdf => "pdf",
        }
    }
}

/// The parameter `format`, else what `Accept` prefers of what there is, else JSON.
pub fn format(query: &mut Query<'_>, headers: &HeaderMap) -> Format {
    if let Some(asked) = query.text("format") {
        let known = Format::ALL.into_iter().find(|(_, name, _)| *name == asked);
        if known.is_none() {
            query.error("format", FieldCode::Invalid, "`json`, `html` or `pdf`");
        }
        return known.map_or(Format::Json, |(format, ..)| format);
    }
    let of_type =
        |wanted: &str| Format::ALL.into_iter().find(|(.., media)| *media == wanted).map(|(format, ..)| format);
    let any = |wanted: &str| matches!(wanted, "*/*" | "application/*").then_some(Format::Json);
    preferred(headers, &ACCEPT).find_map(|wanted| of_type(&wanted).or_else(|| any(&wanted))).unwrap_or(Format::Json)
}

/// The parameter `locale`, else the first language of `Accept-Language` that we have, else English.
pub fn locale(query: &mut Query<'_>, headers: &HeaderMap) -> Locale {
    let asked = query.text("locale").map(Locale::known);
    if asked == Some(None) {
        query.error("locale", FieldCode::Invalid, "`en` or `de`");
    }
    let accepted = || preferred(headers, &ACCEPT_LANGUAGE).find_map(|tag| Locale::known(&tag));
    asked.flatten().or_else(accepted).unwrap_or(Locale::En)
}

/// The values of a header that lists them with weights (RFC 9110), best first, in lower case; without those of weight 0.
fn preferred(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let weighed = |item: &str| {
        let mut parts = item.split(';').map(str::trim);
        let value = parts.next()?.to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1_000), thousandths)?;
        (weight > 0).then_some((weight, value))
    };
    let mut values: Vec<(u16, String)> = texts.flat_map(|text| text.split(',')).filter_map(weighed).collect();
    values.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    values.into_iter().map(|(_, value)| value)
}

/// `0.8` as 800; a weight has at most three digits after the point.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let fraction: u16 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(whole.parse::<u16>().ok()?.min(1) * 1_000 + fraction)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Uri};

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    fn asked(uri: &'static str, accept: &'static str) -> Format {
        let uri = Uri::from_static(uri);
        format(&mut Query::new(&uri, &["format"]), &headers(ACCEPT, accept))
    }

    #[test]
    fn the_form_is_what_the_client_likes_best_of_what_there_is() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert_eq!(asked("/", browser), Format::Html);
        assert_eq!(asked("/?format=pdf", browser), Format::Pdf);
        assert_eq!(asked("/", "application/pdf;q=0.5, text/html;q=0.25"), Format::Pdf);
        assert_eq!(asked("/", "text/html;q=0, application/pdf"), Format::Pdf);
        for json in ["", "*/*", "image/png", "application/json, text/html;q=0.9", "application/*, text/html;q=0.999"] {
            assert_eq!(asked("/", json), Format::Json, "{json}");
        }
    }

    #[test]
    fn the_language_is_the_best_weighed_one_that_we_have() {
        let asked = |uri: &'static str, accepts: &'static str| {
            let uri = Uri::from_static(uri);
            locale(&mut Query::new(&uri, &["locale"]), &headers(ACCEPT_LANGUAGE, accepts))
        };
        assert_eq!(asked("/", "fr-FR, en;q=0.5, de-AT;q=0.8"), Locale::De);
        assert_eq!(asked("/?locale=en", "de"), Locale::En);
        assert_eq!(asked("/", "fr"), Locale::En);
    }

    #[test]
    fn what_there_is_not_is_refused() {
        let uri = Uri::from_static("/?format=xml&locale=fr");
        let mut query = Query::new(&uri, &["format", "locale"]);
        format(&mut query, &HeaderMap::new());
        locale(&mut query, &HeaderMap::new());
        let problem = query.finish().unwrap_err();
        let pointers: Vec<_> = problem.errors().iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/query/format", "/query/locale"]);
    }
}
