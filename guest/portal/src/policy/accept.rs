//! `Accept` (RFC 9110, 12.5.1): whether a client is a browser that shows pages.

/// Whether a client would rather have `text/html` than `application/json`.
pub(crate) fn prefers_html(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| weight(accept, "text/html") > weight(accept, "application/json"))
}

/// Returns the weight of a media type in thousandths. The most specific range that matches counts.
fn weight(accept: &str, media_type: &str) -> u16 {
    let (kind, _) = media_type.split_once('/').unwrap_or((media_type, ""));
    let ranges = accept.split(',').filter_map(|element| {
        let mut pieces = element.split(';').map(str::trim);
        let range = pieces.next()?;
        let precision = match range.split_once('/')? {
            _ if range.eq_ignore_ascii_case(media_type) => 3,
            (of, "*") if of.eq_ignore_ascii_case(kind) => 2,
            ("*", "*") => 1,
            _ => return None,
        };
        let given = pieces.find_map(|piece| piece.strip_prefix("q=").or(piece.strip_prefix("Q=")));
        Some((precision, given.map_or(1_000, thousandths)))
    });
    ranges.max().map_or(0, |(_, weight)| weight)
}

/// Parses a weight (RFC 9110, 12.4.2); 0 for a malformed one.
fn thousandths(text: &str) -> u16 {
    match text.parse::<f32>() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1_000.0) as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::prefers_html;

    #[test]
    fn browsers_prefer_pages_and_programs_do_not() {
        for (accept, html) in [
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), true),
            (Some("text/html"), true),
            (Some("TEXT/HTML;level=1"), true),
            (Some("text/*, application/json;q=0.5"), true),
            (Some("*/*, application/json; q=0.1"), true),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("application/json, text/html;q=0.9"), false),
            (Some("application/json, text/html"), false),
            (Some("text/html;q=0"), false),
            (Some("text/html;q=nonsense, */*;q=0.1"), false),
            (Some("text/html;q=2"), false),
            (Some(""), false),
            (Some("text"), false),
            (Some(",;/"), false),
            (None, false),
        ] {
            assert_eq!(prefers_html(accept), html, "{accept:?}");
        }
    }
}
