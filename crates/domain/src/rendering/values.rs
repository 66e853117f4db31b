//! What a recipient's template can read: layers of values, and one value of them.

use std::borrow::Cow;

use serde_json::Value;

use super::Substitutions;
use super::path::Path;

/// The values of one recipient, borrowed, in layers (spec/40-templates.md §4): those of the address win over those of the
/// message, over the endpoint's, over the template's defaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    address: Option<&'a Substitutions>,
    message: Option<&'a Substitutions>,
    endpoint: Option<&'a Value>,
    defaults: Option<&'a Value>,
}

impl<'a> Values<'a> {
    /// The values of an endpoint: `EndpointResponse` as JSON, with `RecommendationItems` and `Recommendations` if there are any.
    pub fn new(endpoint: &'a Value) -> Self {
        Self { endpoint: Some(endpoint), ..Self::default() }
    }

    /// Adds a template's defaults: see [`super::parse_default_substitutions`].
    #[must_use]
    pub fn with_defaults(self, defaults: &'a Value) -> Self {
        Self { defaults: Some(defaults), ..self }
    }

    /// Adds the Substitutions of a channel's message.
    #[must_use]
    pub fn with_message(self, substitutions: &'a Substitutions) -> Self {
        Self { message: Some(substitutions), ..self }
    }

    /// Adds the Substitutions of the recipient's `AddressConfiguration` or `EndpointSendConfiguration`.
    #[must_use]
    pub fn with_address(self, substitutions: &'a Substitutions) -> Self {
        Self { address: Some(substitutions), ..self }
    }

    /// The value at `path` in the highest layer that has one. Null and an empty list are none.
    pub(super) fn find(&self, path: &Path) -> Item<'a> {
        let substitutions = [self.address, self.message].into_iter().flatten();
        for layer in substitutions.filter(|layer| !layer.is_empty()) {
            // The longest key first: "a.b" beats element "b" of "a".
            for to in (1..=path.len()).rev() {
                if let Some(texts) = layer.get(path.key(0, to))
                    && let Some(found) = Item::Texts(texts).navigate(path, to)
                {
                    return found;
                }
            }
        }
        let documents = [self.endpoint, self.defaults].into_iter().flatten();
        for document in documents {
            if path.len() > 0
                && let Some(found) = Item::Json(document).navigate(path, 0)
            {
                return found;
            }
        }
        Item::Missing
    }
}

/// One value while a template is rendered.
#[derive(Debug, Clone)]
pub(super) enum Item<'v> {
    Missing,
    /// Never null.
    Json(&'v Value),
    /// A substitution: `each` sees all, everything else the first.
    Texts(&'v [String]),
    Text(Cow<'v, str>),
    Number(f64),
    Bool(bool),
}

impl Item<'_> {
    pub(super) fn owned(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    /// The value that the names of `path` from `from` on lead to; `None` where they lead nowhere, to null or to an empty
    /// list. A key may itself be dotted: `Attributes.first.name` finds the attribute `first.name`.
    pub(super) fn navigate(self, path: &Path, from: usize) -> Option<Self> {
        if from == path.len() {
            return match self {
                Self::Missing | Self::Json(Value::Null) | Self::Texts([]) => None,
                Self::Json(Value::Array(list)) if list.is_empty() => None,
                found => Some(found),
            };
        }
        match self {
            Self::Json(Value::Object(members)) => (from + 1..=path.len()).find_map(|to| {
                members.get(path.key(from, to)).and_then(|member| Self::Json(member).navigate(path, to))
            }),
            list @ (Self::Json(Value::Array(_)) | Self::Texts(_)) => match path.key(from, from + 1) {
                "length" => Some(Self::Number(list.elements().count() as f64)),
                index => list.element(index.parse().ok()?)?.navigate(path, from + 1),
            },
            // A default is a plain text where the endpoint has a list: `.[0]` must fit both.
            Self::Json(_) | Self::Text(_) | Self::Number(_) | Self::Bool(_)
                if path.key(from, from + 1) == "0" =>
            {
                self.navigate(path, from + 1)
            }
            _ => None,
        }
    }

    /// The value under a computed key: what `lookup` answers.
    pub(super) fn member(&self, key: &str) -> Self {
        let found = match self {
            Self::Json(Value::Object(members)) => members.get(key).map(Self::Json),
            Self::Missing => None,
            _ => key.parse().ok().and_then(|index| self.element(index)),
        };
        match found {
            None | Some(Self::Json(Value::Null)) => Self::Missing,
            Some(found) => found,
        }
    }

    fn element(&self, index: usize) -> Option<Self> {
        match self {
            Self::Json(Value::Array(list)) => list.get(index).map(Self::Json),
            Self::Texts(texts) => texts.get(index).map(|text| Self::Text(Cow::Borrowed(text))),
            _ => (index == 0).then(|| self.clone()),
        }
    }

    /// The elements of a list, or the value itself where it is no list; none of a missing value.
    pub(super) fn elements(&self) -> Box<dyn Iterator<Item = Self> + '_> {
        match self {
            Self::Missing => Box::new(std::iter::empty()),
            Self::Json(Value::Array(list)) => Box::new(list.iter().map(Self::Json)),
            Self::Texts(texts) => Box::new(texts.iter().map(|text| Self::Text(Cow::Borrowed(text)))),
            one => Box::new(std::iter::once(one.clone())),
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing | Self::Json(Value::Null))
    }

    /// What `if` takes for yes: all but a missing value, false, 0, an empty text, an empty list. A list of one is its
    /// element. The texts "false" and "0" are yes, as in every Handlebars.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Json(Value::Null) => false,
            Self::Json(Value::Bool(yes)) | Self::Bool(yes) => *yes,
            Self::Json(Value::Number(number)) => number.as_f64() != Some(0.0),
            Self::Json(Value::String(text)) => !text.is_empty(),
            Self::Json(Value::Array(list)) => match list.as_slice() {
                [] => false,
                [one] => Self::Json(one).is_true(),
                _ => true,
            },
            Self::Json(Value::Object(_)) => true,
            Self::Texts(texts) => match texts {
                [] => false,
                [one] => !one.is_empty(),
                _ => true,
            },
            Self::Text(text) => !text.is_empty(),
            Self::Number(number) => *number != 0.0,
        }
    }

    /// The value as it is printed: lists joined by commas, a substitution's first value.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Missing | Self::Json(Value::Null) => Cow::Borrowed(""),
            Self::Json(Value::String(text)) => Cow::Borrowed(text),
            Self::Json(Value::Bool(yes)) | Self::Bool(yes) => {
                Cow::Borrowed(if *yes { "true" } else { "false" })
            }
            Self::Json(Value::Number(number)) => match number.as_f64() {
                // 20.0 is printed as 20.
                Some(float) if number.is_f64() => Cow::Owned(float.to_string()),
                _ => Cow::Owned(number.to_string()),
            },
            Self::Json(Value::Array(list)) => match list.as_slice() {
                [Value::String(one)] => Cow::Borrowed(one),
                list => Cow::Owned(joined(list)),
            },
            Self::Json(object @ Value::Object(_)) => Cow::Owned(object.to_string()),
            Self::Texts(texts) => Cow::Borrowed(texts.first().map_or("", String::as_str)),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number.to_string()),
        }
    }

    /// The value as a finite number, also where a text holds it.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Json(Value::Number(number)) => number.as_f64(),
            Self::Bool(_) | Self::Json(Value::Bool(_)) | Self::Missing => None,
            _ => self.text().trim().parse().ok().filter(|number: &f64| number.is_finite()),
        }
    }

    /// Is a number rather than a text that holds one.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Json(Value::Number(_)))
    }

    /// About how many bytes a helper reads of it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Missing | Self::Number(_) | Self::Bool(_) => 0,
            Self::Text(text) => text.len(),
            Self::Texts(texts) => texts.iter().map(String::len).sum(),
            Self::Json(Value::String(text)) => text.len(),
            Self::Json(Value::Array(list)) => list.iter().map(|element| Self::Json(element).bytes()).sum(),
            Self::Json(Value::Object(members)) => {
                members.iter().map(|(name, member)| name.len() + Self::Json(member).bytes()).sum()
            }
            Self::Json(_) => 8,
        }
    }
}

/// The texts of a list, as they are printed.
fn joined(list: &[Value]) -> String {
    let texts: Vec<String> = list.iter().map(|element| Item::Json(element).text().into_owned()).collect();
    texts.join(",")
}
