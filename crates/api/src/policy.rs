//! What an access key may do: a policy in the language of IAM, without conditions.
//!
//! Anything this module cannot judge is refused when the policy is read, never ignored when it is used: a `Deny` that is
//! not understood must not turn into an `Allow`.

use domain::audience::glob_matches;
use serde::Deserialize;
use serde_json::value::RawValue;

#[cfg(test)]
mod tests;

/// Bytes of a policy document.
pub const POLICY_BYTES_MAX: usize = 20_480;
/// Statements of a policy.
pub const STATEMENTS_MAX: usize = 100;
/// Bytes of one action or resource: bounds the time of a match, which grows with pattern times text.
pub const PATTERN_BYTES_MAX: usize = 2_048;

/// A policy that was read and understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    document: String,
    statements: Vec<Statement>,
}

/// What a policy says of one action on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    /// A statement denies it; no other statement can allow it.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
}

/// Why a document is no policy. The text names the statement, counted from 1, and is meant for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("policy has more than {POLICY_BYTES_MAX} bytes")]
    TooLong,
    #[error("policy has more than {STATEMENTS_MAX} statements")]
    TooManyStatements,
    #[error("policy is not well formed: {0}")]
    Malformed(String),
    #[error("statement {statement}: {reason}")]
    Statement { statement: usize, reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    effect: Effect,
    /// In lower case: actions match without case.
    actions: Patterns,
    resources: Patterns,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, `Resource` or `NotResource`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Patterns {
    Any(Vec<String>),
    NoneOf(Vec<String>),
}

impl Policy {
    /// Reads a policy document.
    pub fn parse(document: &str) -> Result<Self, PolicyError> {
        if document.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong);
        }
        let wire: WirePolicy<'_> = serde_json::from_str(document).map_err(|error| malformed(&error))?;
        if !matches!(wire.version.as_deref(), None | Some("2012-10-17" | "2008-10-17")) {
            return Err(PolicyError::Malformed("Version must be 2012-10-17".to_owned()));
        }
        let text = wire.statement.get();
        let raw: Vec<&RawValue> = if text.starts_with('[') {
            serde_json::from_str(text).map_err(|error| malformed(&error))?
        } else {
            vec![wire.statement]
        };
        if raw.is_empty() {
            return Err(PolicyError::Malformed("Statement is empty".to_owned()));
        }
        if raw.len() > STATEMENTS_MAX {
            return Err(PolicyError::TooManyStatements);
        }
        let statements = raw
            .into_iter()
            .zip(1..)
            .map(|(raw, statement)| {
                Statement::parse(raw).map_err(|reason| PolicyError::Statement { statement, reason })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { document: document.to_owned(), statements })
    }

    /// Every action on every resource: what a root key has.
    pub fn allow_all() -> Self {
        let document =
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        Self::parse(document).expect("a constant that the tests parse")
    }

    /// What an app on a device needs, and no more: sending events and updating endpoints of one application. The ARN is
    /// that of the application, `arn:aws:mobiletargeting:<region>:<account>:apps/<id>`; its region may be `*`.
    pub fn mobile(app_arn: &str) -> Result<Self, PolicyError> {
        let document = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ["mobiletargeting:PutEvents", "mobiletargeting:UpdateEndpoint"],
                "Resource": [app_arn, format!("{app_arn}/*")],
            }],
        });
        Self::parse(&document.to_string())
    }

    /// Whether every action on every resource is allowed, in so many words.
    pub fn allows_everything(&self) -> bool {
        let is_all = |patterns: &Patterns| matches!(patterns, Patterns::Any(listed) if listed.iter().any(|it| it == "*"));
        let allows = |statement: &Statement| {
            statement.effect == Effect::Allow && is_all(&statement.actions) && is_all(&statement.resources)
        };
        self.statements.iter().any(allows) && self.statements.iter().all(|it| it.effect == Effect::Allow)
    }

    /// The text this policy was read from, to be stored.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// Decides on an action, such as `mobiletargeting:PutEvents`, on a resource. Action names match without case,
    /// resources with it.
    pub fn decide(&self, action: &str, resource_arn: &str) -> Decision {
        let action = action.to_ascii_lowercase();
        let mut decision = Decision::ImplicitDeny;
        for statement in &self.statements {
            if !statement.actions.hold_for(&action) || !statement.resources.hold_for(resource_arn) {
                continue;
            }
            match statement.effect {
                Effect::Deny => return Decision::ExplicitDeny,
                Effect::Allow => decision = Decision::Allow,
            }
        }
        decision
    }
}

/// What a refused caller reads (spec/97 §6.3). `action` is as `mobiletargeting:PutEvents`.
pub fn denial(user_arn: &str, action: &str, resource_arn: &str) -> String {
    format!("User: {user_arn} is not authorized to perform: {action} on resource: {resource_arn}")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WirePolicy<'a> {
    #[serde(default, borrow)]
    version: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, rename = "Id")]
    _id: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    statement: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WireStatement {
    #[serde(default, rename = "Sid")]
    _sid: Option<serde::de::IgnoredAny>,
    effect: Effect,
    action: Option<OneOrMany>,
    not_action: Option<OneOrMany>,
    resource: Option<OneOrMany>,
    not_resource: Option<OneOrMany>,
    condition: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Statement {
    fn parse(raw: &RawValue) -> Result<Self, String> {
        let wire: WireStatement = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
        if wire.condition.is_some() {
            return Err("Condition is not supported".to_owned());
        }
        let mut actions = Patterns::new("Action", wire.action, wire.not_action)?;
        let resources = Patterns::new("Resource", wire.resource, wire.not_resource)?;
        let (Patterns::Any(patterns) | Patterns::NoneOf(patterns)) = &mut actions;
        for pattern in patterns {
            if pattern != "*" && !pattern.contains(':') {
                return Err(format!("action `{pattern}` is neither `*` nor of the form service:Operation"));
            }
            pattern.make_ascii_lowercase();
        }
        let (Patterns::Any(patterns) | Patterns::NoneOf(patterns)) = &resources;
        for pattern in patterns {
            if pattern != "*" && !pattern.starts_with("arn:") {
                return Err(format!("resource `{pattern}` is neither `*` nor an ARN"));
            }
            if pattern.contains("${") {
                return Err(format!("resource `{pattern}` has a policy variable, which is not supported"));
            }
        }
        Ok(Self { effect: wire.effect, actions, resources })
    }
}

impl Patterns {
    fn new(name: &str, positive: Option<OneOrMany>, negative: Option<OneOrMany>) -> Result<Self, String> {
        let patterns = match (positive, negative) {
            (Some(patterns), None) => Self::Any(patterns.into()),
            (None, Some(patterns)) => Self::NoneOf(patterns.into()),
            _ => return Err(format!("exactly one of {name} and Not{name} is required")),
        };
        let (Self::Any(texts) | Self::NoneOf(texts)) = &patterns;
        if texts.is_empty() {
            return Err(format!("{name} is empty"));
        }
        if texts.iter().any(|text| text.len() > PATTERN_BYTES_MAX) {
            return Err(format!("{name} has more than {PATTERN_BYTES_MAX} bytes"));
        }
        Ok(patterns)
    }

    fn hold_for(&self, text: &str) -> bool {
        match self {
            Self::Any(patterns) => patterns.iter().any(|pattern| matches(pattern, text)),
            Self::NoneOf(patterns) => !patterns.iter().any(|pattern| matches(pattern, text)),
        }
    }
}

impl From<OneOrMany> for Vec<String> {
    fn from(texts: OneOrMany) -> Self {
        match texts {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// The glob matcher allocates; most patterns need none.
fn matches(pattern: &str, text: &str) -> bool {
    pattern == "*" || if pattern.contains(['*', '?']) { glob_matches(pattern, text) } else { pattern == text }
}

fn malformed(error: &serde_json::Error) -> PolicyError {
    PolicyError::Malformed(error.to_string())
}
