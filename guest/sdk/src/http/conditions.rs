//! Conditional requests (RFC 9110, 13).

use crate::StoredObject;
use std::time::{Duration, SystemTime};

/// The validators of a stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// A strong entity tag, quotes included: the content's SHA-256.
    pub etag: String,
    /// The creation time, to the second, and never later than now (RFC 9110, 8.8.2.1) even if a clock was set back.
    /// Content under one URL never changes, so this is a strong validator too.
    pub last_modified: SystemTime,
}

impl Validators {
    /// Returns the validators of a stored object.
    pub fn of(object: &StoredObject, now: SystemTime) -> Self {
        let last_modified = to_the_second(object.created_at.min(now));
        Validators { etag: etag(object), last_modified }
    }

    /// Formats `Last-Modified`.
    pub fn last_modified(&self) -> String {
        httpdate::fmt_http_date(self.last_modified)
    }

    /// Returns whether a `Range` applies: `If-Range` is absent or names this content.
    pub fn hold_for_range(&self, if_range: Option<&str>) -> bool {
        if_range.is_none_or(|field| field == self.etag || date(field).is_some_and(|date| date == self.last_modified))
    }
}

/// Returns the entity tag of a stored object, quotes included.
pub(super) fn etag(object: &StoredObject) -> String {
    format!("\"{}\"", object.sha256)
}

/// The conditional fields of a request; several lines of one field are joined by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<String>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<String>,
}

/// The outcome of the conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Perform the request.
    Proceed,
    /// 304: the client already has the content.
    NotModified,
    /// 412: a condition does not hold.
    Failed,
}

impl Conditions {
    /// Evaluates the conditions in the order of RFC 9110, 13.2.2. `current` are the validators of the existing object,
    /// if any; `reads` is true for GET and HEAD.
    pub fn verdict(&self, current: Option<&Validators>, reads: bool) -> Verdict {
        let unmatched = if reads { Verdict::NotModified } else { Verdict::Failed };
        if let Some(field) = &self.if_match {
            if !current.is_some_and(|current| names(field, &current.etag, Comparison::Strong)) {
                return Verdict::Failed;
            }
        } else if let (Some(since), Some(current)) = (self.if_unmodified_since.as_deref().and_then(date), current)
            && current.last_modified > since
        {
            return Verdict::Failed;
        }
        if let Some(field) = &self.if_none_match {
            if current.is_some_and(|current| names(field, &current.etag, Comparison::Weak)) {
                return unmatched;
            }
        } else if let (true, Some(since), Some(current)) =
            (reads, self.if_modified_since.as_deref().and_then(date), current)
            && current.last_modified <= since
        {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Returns whether a list of entity tags, or `*`, contains the strong tag `etag`. A malformed list ends at its first error.
fn names(list: &str, etag: &str, comparison: Comparison) -> bool {
    let mut rest = list.trim_matches(BLANK);
    if rest == "*" {
        return true;
    }
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
        let Some(length) = tag.strip_prefix('"').and_then(|opaque| opaque.find('"')) else { return false };
        let (tag, after) = tag.split_at(length + 2);
        if tag == etag && !(weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = after.trim_start_matches(BLANK);
        if !rest.is_empty() && !rest.starts_with(',') {
            return false;
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

fn date(field: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(field).ok()
}

/// Rounds to an HTTP date: whole seconds, up to the year 9999.
fn to_the_second(time: SystemTime) -> SystemTime {
    const LAST: u64 = 253_402_300_799;
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs().min(LAST));
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Validators, Verdict, Verdict::*, to_the_second};
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn current() -> Validators {
        Validators { etag: "\"a\"".into(), last_modified: httpdate::parse_http_date(DATE).unwrap() }
    }

    fn conditions(fields: [(&str, &str); 2]) -> Conditions {
        let field = |name| fields.iter().find(|field| field.0 == name).map(|field| field.1.to_owned());
        Conditions {
            if_match: field("match"),
            if_none_match: field("none"),
            if_modified_since: field("since"),
            if_unmodified_since: field("unmodified"),
        }
    }

    fn table(reads: bool, rows: &[([(&str, &str); 2], Verdict)]) {
        for (fields, verdict) in rows {
            assert_eq!(conditions(*fields).verdict(Some(&current()), reads), *verdict, "{fields:?} reads: {reads}");
        }
    }

    const NONE: (&str, &str) = ("", "");

    #[test]
    fn tags() {
        let rows = [
            ([NONE, NONE], Proceed),
            ([("match", "*"), NONE], Proceed),
            ([("match", "\"a\""), NONE], Proceed),
            ([("match", "\"b\", \"a\""), NONE], Proceed),
            ([("match", ",, \"b\" ,\t\"a\","), NONE], Proceed),
            ([("match", "\"b,\\\", \"a\""), NONE], Proceed),
            ([("match", "W/\"a\""), NONE], Failed),
            ([("match", "\"b\""), NONE], Failed),
            ([("match", "a"), NONE], Failed),
            ([("match", ""), NONE], Failed),
            ([("match", "\"a"), NONE], Failed),
            ([("match", "\"b\" \"a\""), NONE], Failed),
            ([("match", "\"b\", *"), NONE], Failed),
            ([("none", "\"b\""), NONE], Proceed),
            ([("none", "garbage"), NONE], Proceed),
            ([("none", "\"a\"x"), NONE], NotModified),
            ([("none", "\"a\""), NONE], NotModified),
            ([("none", "W/\"a\""), NONE], NotModified),
            ([("none", "\"b\", W/\"a\""), NONE], NotModified),
            ([("none", "*"), NONE], NotModified),
            ([("match", "\"b\""), ("none", "\"a\"")], Failed),
            ([("match", "\"a\""), ("none", "\"a\"")], NotModified),
        ];
        table(true, &rows);
        let writes = rows.map(|(fields, verdict)| (fields, if verdict == NotModified { Failed } else { verdict }));
        table(false, &writes);
    }

    #[test]
    fn dates() {
        table(
            true,
            &[
                ([("since", DATE), NONE], NotModified),
                ([("since", LATER), NONE], NotModified),
                ([("since", EARLIER), NONE], Proceed),
                ([("since", "Sunday, 06-Nov-94 08:49:37 GMT"), NONE], NotModified),
                ([("since", "yesterday"), NONE], Proceed),
                ([("since", &format!("{DATE}, {DATE}")), NONE], Proceed),
                ([("since", DATE), ("none", "\"b\"")], Proceed),
                ([("unmodified", DATE), NONE], Proceed),
                ([("unmodified", LATER), NONE], Proceed),
                ([("unmodified", EARLIER), NONE], Failed),
                ([("unmodified", "yesterday"), NONE], Proceed),
                ([("unmodified", EARLIER), ("match", "\"a\"")], Proceed),
            ],
        );
        table(false, &[([("since", DATE), NONE], Proceed), ([("unmodified", EARLIER), NONE], Failed)]);
    }

    #[test]
    fn where_nothing_is_nothing_matches() {
        for (fields, verdict) in [
            ([("match", "*"), NONE], Failed),
            ([("match", "\"a\""), NONE], Failed),
            ([("none", "*"), NONE], Proceed),
            ([("none", "\"a\""), NONE], Proceed),
            ([("unmodified", EARLIER), NONE], Proceed),
        ] {
            assert_eq!(conditions(fields).verdict(None, false), verdict, "{fields:?}");
        }
    }

    #[test]
    fn if_range_wants_the_very_content() {
        for (field, holds) in [
            (None, true),
            (Some("\"a\""), true),
            (Some(DATE), true),
            (Some("W/\"a\""), false),
            (Some("\"b\""), false),
            (Some("\"a\", \"b\""), false),
            (Some("*"), false),
            (Some(EARLIER), false),
            (Some(LATER), false),
            (Some(""), false),
        ] {
            assert_eq!(current().hold_for_range(field), holds, "{field:?}");
        }
        assert_eq!(current().last_modified(), DATE);
    }

    #[test]
    fn no_clock_breaks_the_date() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(httpdate::fmt_http_date(to_the_second(far)), "Fri, 31 Dec 9999 23:59:59 GMT");
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(httpdate::fmt_http_date(to_the_second(before)), "Thu, 01 Jan 1970 00:00:00 GMT");
        let within = SystemTime::UNIX_EPOCH + Duration::from_millis(1_999);
        assert_eq!(to_the_second(within), SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn a_tag_is_found_wherever_it_stands_in_a_list(
            others in prop::collection::vec("[!#-~]{0,8}", 0..5),
            place in any::<prop::sample::Index>(),
            weak in any::<bool>(),
        ) {
            prop_assume!(!others.contains(&"a".to_owned()));
            let mut tags: Vec<String> = others.iter().map(|tag| format!("\"{tag}\"")).collect();
            let mut given = conditions([("none", &tags.join(", ")), NONE]);
            prop_assert_eq!(given.verdict(Some(&current()), true), Proceed);
            tags.insert(place.index(tags.len() + 1), if weak { "W/\"a\"".into() } else { "\"a\"".into() });
            given.if_none_match = Some(tags.join(" , "));
            prop_assert_eq!(given.verdict(Some(&current()), true), NotModified);
        }

        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            let given = conditions([("match", &text), ("none", &text)]);
            let _ = given.verdict(Some(&current()), true);
            let _ = current().hold_for_range(Some(&text));
        }
    }
}
