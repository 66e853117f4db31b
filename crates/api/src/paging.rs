//! Pages of lists: `page-size`, and a token that says after which item the next page begins (spec/00 §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::time::Timestamp;
use store::tables::definitions::{Body, Head};

use crate::error::ApiError;

/// Items of a page where the client asks for no number.
pub const PAGE_SIZE_DEFAULT: usize = 100;
/// Items of a page, at most; a larger number counts as this one.
pub const PAGE_SIZE_MAX: usize = 200;

/// First byte of a token, so that its form can change.
const TOKEN_FORMAT: u8 = 1;

/// The place of an item in a list that is sorted by falling `rank` (an instant, a version), then by rising `id`. A token holds
/// the place of the last item shown, so that items made or deleted between two pages neither repeat nor hide others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub rank: i64,
    pub id: String,
}

impl Place {
    pub fn new(rank: i64, id: impl Into<String>) -> Self {
        Self { rank, id: id.into() }
    }

    /// The place of a definition in a list that is newest first.
    pub fn of_head(head: &Head) -> Self {
        Self::new(head.created.0, head.id.as_str())
    }

    /// The place of a version in a list that is newest first.
    pub fn of_body(body: &Body) -> Self {
        Self::new(i64::from(body.version), "")
    }

    /// The place of something with an instant.
    pub fn at(instant: Timestamp, id: impl Into<String>) -> Self {
        Self::new(instant.0, id)
    }

    fn is_after(&self, other: &Self) -> bool {
        self.rank < other.rank || (self.rank == other.rank && self.id > other.id)
    }

    fn token(&self) -> String {
        let mut bytes = vec![TOKEN_FORMAT];
        bytes.extend_from_slice(&self.rank.to_be_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn parse(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (&TOKEN_FORMAT, rest) = bytes.split_first()? else { return None };
        let (rank, id) = rest.split_first_chunk()?;
        Some(Self { rank: i64::from_be_bytes(*rank), id: str::from_utf8(id).ok()?.to_owned() })
    }
}

/// Which part of a list the client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub size: usize,
    pub after: Option<Place>,
}

impl Page {
    /// Reads `page-size` and `token`; 400 where one is malformed.
    pub fn parse(page_size: Option<&str>, token: Option<&str>) -> Result<Self, ApiError> {
        let size = match page_size.filter(|text| !text.is_empty()) {
            None => PAGE_SIZE_DEFAULT,
            Some(text) => match text.parse::<u32>() {
                Ok(size) if size > 0 => (size as usize).min(PAGE_SIZE_MAX),
                _ => return Err(ApiError::bad_request("Page size must be a number from 1 to 200")),
            },
        };
        let after = match token.filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(Place::parse(text).ok_or_else(|| ApiError::bad_request("Invalid token"))?),
        };
        Ok(Self { size, after })
    }

    /// The page of a whole list, and the token of the next one if there is one.
    pub fn cut<T>(&self, items: Vec<T>, place: impl Fn(&T) -> Place) -> (Vec<T>, Option<String>) {
        let mut page = Vec::new();
        let is_due = |item: &T| self.after.as_ref().is_none_or(|after| place(item).is_after(after));
        for item in items.into_iter().filter(is_due) {
            if page.len() == self.size {
                let next_token = page.last().map(|last| place(last).token());
                return (page, next_token);
            }
            page.push(item);
        }
        (page, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(item: &(i64, &str)) -> Place {
        Place::new(item.0, item.1)
    }

    #[test]
    fn pages_follow_one_another_though_the_list_changes() {
        let items = vec![(9, "a"), (8, "a"), (8, "b"), (8, "c"), (1, "z")];
        let page = Page::parse(Some("2"), None).unwrap();
        let (first, token) = page.cut(items, place);
        assert_eq!(first, [(9, "a"), (8, "a")]);
        // The last item shown is deleted, and a newer one is made.
        let items = vec![(10, "a"), (9, "a"), (8, "b"), (8, "c"), (1, "z")];
        let page = Page::parse(Some("2"), token.as_deref()).unwrap();
        let (second, token) = page.cut(items.clone(), place);
        assert_eq!(second, [(8, "b"), (8, "c")]);
        let page = Page::parse(Some("2"), token.as_deref()).unwrap();
        assert_eq!(page.cut(items, place), (vec![(1, "z")], None));
    }

    #[test]
    fn a_full_last_page_has_no_token() {
        let page = Page::parse(Some("2"), None).unwrap();
        assert_eq!(page.cut(vec![(2, "a"), (1, "a")], place), (vec![(2, "a"), (1, "a")], None));
        assert_eq!(page.cut(Vec::new(), place), (Vec::new(), None));
    }

    #[test]
    fn sizes_are_bounded_and_faults_are_refused() {
        assert_eq!(Page::parse(None, Some("")).unwrap(), Page { size: 100, after: None });
        assert_eq!(Page::parse(Some("5000"), None).unwrap().size, 200);
        for size in ["0", "-1", "x", "1.5", "99999999999"] {
            assert!(Page::parse(Some(size), None).is_err(), "{size}");
        }
        for token in ["x", "!", "AA", "AgAAAAAAAAAA"] {
            assert!(Page::parse(None, Some(token)).is_err(), "{token}");
        }
    }
}
