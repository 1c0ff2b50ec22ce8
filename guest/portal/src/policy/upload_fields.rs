//! The header fields of resumable uploads: structured fields (RFC 9651) of the IETF's draft, plain numbers of tus 1.0.
//!
//! A malformed structured field counts as absent (draft-ietf-httpbis-resumable-upload-12, 4).

use sfv::{BareItemFromInput, DictSerializer, KeyRef, Parser, visitor::Ignored};
use std::convert::Infallible;

/// The newest interop version of the IETF's draft that this portal knows: draft 12. A request without a version, or
/// with a newer one, is served like this.
pub(crate) const INTEROP_VERSION: u64 = 9;

/// The media type of an append, in the IETF's draft.
pub(crate) const PARTIAL_UPLOAD: &str = "application/partial-upload";

/// Reads a field that is a number of bytes or a version.
pub(crate) fn integer(field: &str) -> Option<u64> {
    match item(field)? {
        BareItemFromInput::Integer(number) => u64::try_from(i64::from(number)).ok(),
        _ => None,
    }
}

/// Reads a field that is a boolean.
pub(crate) fn boolean(field: &str) -> Option<bool> {
    match item(field)? {
        BareItemFromInput::Boolean(value) => Some(value),
        _ => None,
    }
}

/// Reads a field that is an item, without its parameters.
fn item(field: &str) -> Option<BareItemFromInput<'_>> {
    let mut found = None;
    let visitor = |item| {
        found = Some(item);
        Ok::<_, Infallible>(Ignored)
    };
    Parser::new(field).parse_item_with_visitor(visitor).ok()?;
    found
}

/// Formats a boolean.
pub(crate) fn write_boolean(value: bool) -> &'static str {
    if value { "?1" } else { "?0" }
}

/// Formats `Upload-Limit` of these limits, as far as integers of structured fields (15 digits) can say them.
pub(crate) fn limits(limits: &[(&'static str, u64)]) -> String {
    let mut dictionary = DictSerializer::new();
    for (key, value) in limits {
        if let Ok(value) = sfv::Integer::try_from(*value) {
            let _ = dictionary.bare_item(KeyRef::constant(key), value);
        }
    }
    dictionary.finish().unwrap_or_default()
}

/// Reads a number as tus 1.0 writes it: decimal digits, at most 2^63 - 1.
pub(crate) fn decimal(field: &str) -> Option<u64> {
    let digits = (1..=19).contains(&field.len()) && field.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| field.parse().ok()).flatten().filter(|number| *number <= crate::limits::SIZE_MAX)
}

#[cfg(test)]
mod tests {
    use super::{boolean, decimal, integer, limits};

    #[test]
    fn malformed_fields_count_as_absent() {
        for (field, value) in [
            ("0", Some(0)),
            (" 100 ", Some(100)),
            ("999999999999999", Some(999_999_999_999_999)),
            ("5;a=1", Some(5)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("1, 2", None),
            ("1000000000000000", None),
            ("?1", None),
            ("\"1\"", None),
            ("one", None),
        ] {
            assert_eq!(integer(field), value, "{field}");
        }
        for (field, value) in
            [("?1", Some(true)), ("?0", Some(false)), ("?2", None), ("1", None), ("true", None), ("?1, ?1", None)]
        {
            assert_eq!(boolean(field), value, "{field}");
        }
        for (field, value) in [
            ("0", Some(0)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1 ", None),
            ("", None),
            ("1, 1", None),
        ] {
            assert_eq!(decimal(field), value, "{field}");
        }
    }

    #[test]
    fn limits_are_a_dictionary() {
        assert_eq!(limits(&[("max-size", 5), ("min-size", 0)]), "max-size=5, min-size=0");
        assert_eq!(limits(&[("max-size", u64::MAX), ("max-age", 60)]), "max-age=60");
    }
}
