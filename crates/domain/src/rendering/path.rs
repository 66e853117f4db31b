//! A path to a value: `User.UserAttributes.[Last Name].[0]`, `this`, `../name`, `@index`.

/// Where a path starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The element at hand, then the ones around it, then the recipient.
    Scopes {
        /// How many `../`.
        up: usize,
    },
    /// `this.name`, `./name`: the element at hand only.
    This,
    /// `@root.name`.
    Root,
    /// `@index` and its like; `up` counts `../`.
    Data { up: usize },
}

/// A path, with its names joined by dots so that flat keys are looked up without joining again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub origin: Origin,
    dotted: String,
    /// Where in `dotted` each name ends.
    ends: Vec<usize>,
}

impl Path {
    /// The names joined by dots, without brackets.
    pub(super) fn dotted(&self) -> &str {
        &self.dotted
    }

    /// How many names the path has; none for `this`.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The names from `from` to before `to`, joined by dots.
    pub(super) fn key(&self, from: usize, to: usize) -> &str {
        let start = if from == 0 { 0 } else { self.ends[from - 1] + 1 };
        &self.dotted[start..self.ends[to - 1]]
    }

    /// The only name of a path that is nothing but a name: what a helper or a partial is called.
    pub(super) fn simple_name(&self) -> Option<&str> {
        (self.origin == Origin::Scopes { up: 0 } && self.len() == 1).then_some(self.dotted.as_str())
    }

    /// Reads a path from the start of `text`; answers the bytes it takes up.
    pub(super) fn parse(text: &str) -> Result<(Self, usize), &'static str> {
        let mut path = Self { origin: Origin::Scopes { up: 0 }, dotted: String::new(), ends: Vec::new() };
        let mut rest = path.read_origin(text);
        loop {
            if let Some(raw) = rest.strip_prefix('[') {
                let end = raw.find(']').ok_or("'[' is not closed")?;
                path.push(&raw[..end]);
                rest = &raw[end + 1..];
            } else {
                let end = rest.find(|letter: char| !is_name_letter(letter)).unwrap_or(rest.len());
                if end == 0 {
                    break;
                }
                path.push(&rest[..end]);
                rest = &rest[end..];
            }
            let next = rest.strip_prefix(['.', '/']).unwrap_or(rest);
            if !next.starts_with(|letter: char| letter == '[' || is_name_letter(letter)) {
                break;
            }
            rest = next;
        }
        if path.ends.is_empty() && matches!(path.origin, Origin::Data { .. }) {
            return Err("'@' is followed by no name");
        }
        Ok((path, text.len() - rest.len()))
    }

    /// Takes `@`, `@root`, `this`, `.`, `./` and `../` from the start of `text`; answers what follows.
    fn read_origin<'text>(&mut self, text: &'text str) -> &'text str {
        let (text, is_data) = match text.strip_prefix('@') {
            Some(data) => (data, true),
            None => (text, false),
        };
        if is_data && let Some(rest) = strip_word(text, "root") {
            self.origin = Origin::Root;
            return rest.strip_prefix(['.', '/']).unwrap_or(rest);
        }
        let (mut rest, mut up) = (text, 0);
        while let Some(parent) = rest.strip_prefix("..") {
            up += 1;
            rest = parent.strip_prefix('/').unwrap_or(parent);
        }
        if is_data {
            self.origin = Origin::Data { up };
            return rest;
        }
        self.origin = Origin::Scopes { up };
        let current = strip_word(rest, "this").or_else(|| rest.strip_prefix('.'));
        let Some(current) = current else { return rest };
        if up == 0 {
            self.origin = Origin::This;
        }
        current.strip_prefix(['.', '/']).unwrap_or(current)
    }

    fn push(&mut self, name: &str) {
        if !self.ends.is_empty() {
            self.dotted.push('.');
        }
        self.dotted.push_str(name);
        self.ends.push(self.dotted.len());
    }
}

/// Letters of a name outside brackets, as in Handlebars: all but white space and its punctuation.
pub(super) fn is_name_letter(letter: char) -> bool {
    !letter.is_whitespace() && !"!\"#%&'()*+,./;<=>@[\\]^`{|}~".contains(letter)
}

/// `text` after `word`, unless the word goes on.
fn strip_word<'text>(text: &'text str, word: &str) -> Option<&'text str> {
    text.strip_prefix(word).filter(|rest| !rest.starts_with(is_name_letter))
}
