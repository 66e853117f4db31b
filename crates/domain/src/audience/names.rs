//! The names that an application's endpoints have used.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::AttributeKind;

/// Names by kind. Stored as pairs of both, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeSet<(AttributeKind, String)>", into = "BTreeSet<(AttributeKind, String)>")]
pub struct CapturedNames(BTreeMap<AttributeKind, BTreeSet<String>>);

impl CapturedNames {
    /// Names of all kinds.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn contains(&self, kind: AttributeKind, name: &str) -> bool {
        self.0.get(&kind).is_some_and(|names| names.contains(name))
    }

    /// All names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (AttributeKind, &str)> {
        self.0.iter().flat_map(|(kind, names)| names.iter().map(|name| (*kind, name.as_str())))
    }

    pub(super) fn retain(&mut self, kind: AttributeKind, keep: impl Fn(&str) -> bool) {
        if let Some(names) = self.0.get_mut(&kind) {
            names.retain(|name| keep(name));
        }
        self.0.retain(|_, names| !names.is_empty());
    }
}

impl Extend<(AttributeKind, String)> for CapturedNames {
    fn extend<I: IntoIterator<Item = (AttributeKind, String)>>(&mut self, names: I) {
        for (kind, name) in names {
            self.0.entry(kind).or_default().insert(name);
        }
    }
}

impl From<BTreeSet<(AttributeKind, String)>> for CapturedNames {
    fn from(pairs: BTreeSet<(AttributeKind, String)>) -> Self {
        let mut names = Self::default();
        names.extend(pairs);
        names
    }
}

impl From<CapturedNames> for BTreeSet<(AttributeKind, String)> {
    fn from(names: CapturedNames) -> Self {
        let of_kind = |(kind, names): (AttributeKind, BTreeSet<String>)| {
            names.into_iter().map(move |name| (kind, name))
        };
        names.0.into_iter().flat_map(of_kind).collect()
    }
}
