//! What templates may read of a recipient's document: of its hundreds of values a message shows two or three.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::path::Path;

/// Names of a path that are told apart; a longer path is taken for one that reads all of the member that it starts with.
const NAMES_MAX: usize = 8;

/// The paths, by names joined by dots. A text never reads the document as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// What is read with everything below it.
    whole: BTreeSet<String>,
    /// Those, and every start of one: a key may itself be dotted, so `Attributes.first.name` may be the value of `first.name`.
    starts: BTreeSet<String>,
}

impl Reads {
    pub(super) fn push(&mut self, path: &Path) {
        let names = if path.len() > NAMES_MAX { 1 } else { path.len() };
        for to in 1..=names {
            self.starts.insert(path.key(0, to).to_owned());
        }
        if names > 0 {
            self.whole.insert(path.key(0, names).to_owned());
        }
    }

    /// Adds what others read.
    pub fn extend(&mut self, others: &Self) {
        self.whole.extend(others.whole.iter().cloned());
        self.starts.extend(others.starts.iter().cloned());
    }

    /// The members of the document of which something is read, and names that are none.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.starts.iter().map(String::as_str).filter(|path| !path.contains('.'))
    }

    /// Whether everything in a group is read.
    pub fn includes_all(&self, group: &str) -> bool {
        self.whole.contains(group)
    }

    /// The keys in a group whose values may be read, where not everything is: more than there are.
    pub fn keys<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a str> {
        let behind = self.starts.range::<str, _>((Bound::Excluded(group), Bound::Unbounded));
        let paths = behind.map_while(move |path| path.strip_prefix(group));
        paths.filter_map(|rest| rest.strip_prefix('.'))
    }
}
