//! Finds the route of a request: a trie over the *raw* segments of the path.
//!
//! Clients percent-encode labels fully, slashes too, so the path is split before anything is decoded (spec/00 §2). A
//! segment that is written in the table wins over a label, and the search steps back where it led nowhere: the template
//! kind `email` is both (`/v1/templates/{template-name}/email` and `…/{template-type}/versions`).

use percent_encoding::percent_decode_str;

use crate::error::ApiError;

/// Paths to places of `T`, which is cheap to copy: an index into the table of routes.
#[derive(Debug)]
pub(crate) struct Router<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    literals: Vec<(&'static str, Node<T>)>,
    label: Option<Box<Node<T>>>,
    /// By method.
    routes: Vec<(&'static str, T)>,
}

/// What was found, with the segments that stand for labels, in order and still encoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a, T> {
    Route {
        route: T,
        labels: Vec<&'a str>,
    },
    /// The path exists, with other methods.
    WrongMethod,
    Nothing,
}

impl<T: Copy> Router<T> {
    pub(crate) fn new() -> Self {
        Self { root: Node::default() }
    }

    /// Adds a path template such as `/v1/apps/{application-id}`.
    pub(crate) fn add(&mut self, method: &'static str, template: &'static str, route: T) {
        let mut node = &mut self.root;
        for segment in segments(template) {
            node = if is_label(segment) {
                &mut **node.label.get_or_insert_default()
            } else {
                node.literal(segment)
            };
        }
        debug_assert!(
            node.routes.iter().all(|(known, _)| *known != method),
            "{method} {template} is there already"
        );
        node.routes.push((method, route));
    }

    /// The route of a request. `path` is raw, without the query; one trailing slash is ignored.
    pub(crate) fn find<'a>(&self, method: &str, path: &'a str) -> Found<'a, T> {
        let Some(path) = path.strip_prefix('/') else { return Found::Nothing };
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut search = Search { method, labels: Vec::new(), is_known_path: false };
        match self.root.find(path, &mut search) {
            Some(route) => Found::Route { route, labels: search.labels },
            None if search.is_known_path => Found::WrongMethod,
            None => Found::Nothing,
        }
    }
}

impl<T: Copy> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

struct Search<'m, 'a> {
    method: &'m str,
    labels: Vec<&'a str>,
    is_known_path: bool,
}

impl<T: Copy> Node<T> {
    fn literal(&mut self, segment: &'static str) -> &mut Self {
        let known = self.literals.iter().position(|(literal, _)| *literal == segment);
        let place = known.unwrap_or(self.literals.len());
        if known.is_none() {
            self.literals.push((segment, Self::default()));
        }
        &mut self.literals[place].1
    }

    /// `path`: what is left, without a leading slash.
    fn find<'a>(&self, path: &'a str, search: &mut Search<'_, 'a>) -> Option<T> {
        if path.is_empty() {
            search.is_known_path |= !self.routes.is_empty();
            return self.routes.iter().find(|(method, _)| *method == search.method).map(|(_, route)| *route);
        }
        let (segment, rest) = path.split_once('/').unwrap_or((path, ""));
        // "a//b" names no place: an empty segment is neither a literal nor a label.
        if segment.is_empty() || (rest.is_empty() && path.len() > segment.len()) {
            return None;
        }
        let literal = self.literals.iter().find(|(literal, _)| *literal == segment);
        if let Some((_, node)) = literal
            && let Some(route) = node.find(rest, search)
        {
            return Some(route);
        }
        let label = self.label.as_ref()?;
        search.labels.push(segment);
        let found = label.find(rest, search);
        if found.is_none() {
            search.labels.pop();
        }
        found
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literals: Vec::new(), label: None, routes: Vec::new() }
    }
}

/// The names of the labels of a path template, in order.
pub(crate) fn label_names(template: &'static str) -> Vec<&'static str> {
    segments(template).filter(|segment| is_label(segment)).map(|label| &label[1..label.len() - 1]).collect()
}

/// The text of a label.
pub(crate) fn decode_label(raw: &str) -> Result<String, ApiError> {
    match percent_decode_str(raw).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(ApiError::bad_request("A part of the path is not UTF-8 text")),
    }
}

/// Names and values of a query in the order received.
pub(crate) fn decode_query(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    let decode = |text: &str| {
        // Forms write a space as `+`; signers of queries write `%20`, and `%2B` for a plus.
        let spaced = text.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned);
        decoded.map_err(|_| ApiError::bad_request("The query is not UTF-8 text"))
    };
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decode(name)?, decode(value)?));
    }
    Ok(pairs)
}

fn segments(template: &'static str) -> impl Iterator<Item = &'static str> {
    template.split('/').filter(|segment| !segment.is_empty())
}

fn is_label(segment: &str) -> bool {
    segment.starts_with('{')
}

#[cfg(test)]
mod tests;
