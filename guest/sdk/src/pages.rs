//! Listings: a page at a time, or an iterator that follows the cursors.

use crate::Result;
use std::vec;

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries, in the order of the listing.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last page. Opaque.
    pub next: Option<String>,
}

/// Entries that an [`Entries`] asks for at a time. Fewer than the 1,000 that the contract allows, so that a backend on
/// S3 sees in one listing of 1,000 keys that more follow.
pub(crate) const PAGE_SIZE: u32 = 900;

/// An iterator over all entries of a listing, which fetches a page at a time. Entries that are written or deleted
/// meanwhile may be listed or not. The iterator ends after the first error.
pub struct Entries<'s, T> {
    page: vec::IntoIter<T>,
    state: State<'s, T>,
}

type Fetch<'s, T> = Box<dyn FnMut(Option<&str>) -> Result<Page<T>> + 's>;

enum State<'s, T> {
    More { fetch: Fetch<'s, T>, after: Option<String> },
    Last,
}

impl<'s, T> Entries<'s, T> {
    pub(crate) fn new(fetch: impl FnMut(Option<&str>) -> Result<Page<T>> + 's) -> Self {
        Entries { page: vec::IntoIter::default(), state: State::More { fetch: Box::new(fetch), after: None } }
    }
}

impl<T> Iterator for Entries<'_, T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        loop {
            if let Some(item) = self.page.next() {
                return Some(Ok(item));
            }
            let State::More { fetch, after } = &mut self.state else { return None };
            match fetch(after.as_deref()) {
                Ok(Page { items, next }) => {
                    self.page = items.into_iter();
                    match next {
                        Some(cursor) => *after = Some(cursor),
                        None => self.state = State::Last,
                    }
                }
                Err(error) => {
                    self.state = State::Last;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl<T> std::iter::FusedIterator for Entries<'_, T> {}

impl<T> std::fmt::Debug for Entries<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("at_hand", &self.page.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Entries, Page};
    use crate::Error;

    fn page(items: &[u32], next: Option<&str>) -> Page<u32> {
        Page { items: items.to_vec(), next: next.map(str::to_owned) }
    }

    #[test]
    fn follows_cursors_over_empty_pages_and_asks_no_further() {
        let mut asked = Vec::new();
        let entries = Entries::new(|after| {
            asked.push(after.map(str::to_owned));
            Ok(match after {
                None => page(&[1, 2], Some("a")),
                Some("a") => page(&[], Some("b")),
                Some("b") => page(&[3], None),
                other => panic!("asked for {other:?}"),
            })
        });
        assert_eq!(entries.collect::<Result<Vec<_>, _>>().unwrap(), [1, 2, 3]);
        assert_eq!(asked, [None, Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn reports_a_failure_once_and_ends() {
        let mut entries = Entries::new(|after| match after {
            None => Ok(page(&[1], Some("a"))),
            Some(_) => Err(Error::Unavailable { retry_after: None }),
        });
        assert_eq!(entries.next(), Some(Ok(1)));
        assert_eq!(entries.next(), Some(Err(Error::Unavailable { retry_after: None })));
        assert_eq!(entries.next(), None);
    }
}
