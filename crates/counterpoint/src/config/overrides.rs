//! The environment and the command line, read as the types that the defaults have: `0123` stays a text where the default is
//! one, and becomes a number where that is one.

use figment::value::{Dict, Map, Num, Value};
use figment::{Metadata, Profile, Provider};

use super::ConfigError;

/// What every variable of ours begins with.
const PREFIX: &str = "COUNTERPOINT_";
/// Variables that are not keys: the place of the file, and what the tests of this project use.
const NOT_KEYS: [&str; 2] = ["COUNTERPOINT_CONFIG", "COUNTERPOINT_TEST_"];

/// Texts that change the configuration, by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// `COUNTERPOINT_<SECTION>__<KEY>`.
    pub(crate) environment: Vec<(String, String)>,
    /// `section.key=value`.
    pub(crate) flags: Vec<String>,
}

/// Texts of one origin, read.
pub(super) struct Layer {
    name: &'static str,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

impl Overrides {
    pub(super) fn layers(&self, defaults: &Dict) -> Result<[Layer; 2], ConfigError> {
        let mut environment = Dict::new();
        let is_key =
            |name: &str| name.starts_with(PREFIX) && !NOT_KEYS.iter().any(|not| name.starts_with(not));
        for (name, text) in self.environment.iter().filter(|(name, _)| is_key(name)) {
            let path = name[PREFIX.len()..].to_lowercase();
            let (section, key) = path.split_once("__").unwrap_or((&path, ""));
            set(&mut environment, defaults, (section, key), text)
                .map_err(|reason| ConfigError::Override(format!("environment variable {name} {reason}")))?;
        }
        let mut flags = Dict::new();
        for flag in &self.flags {
            let (path, text) = flag
                .split_once('=')
                .ok_or_else(|| ConfigError::Override("--set takes section.key=value".to_owned()))?;
            let (section, key) = path.split_once('.').unwrap_or((path, ""));
            set(&mut flags, defaults, (section, key), text)
                .map_err(|reason| ConfigError::Override(format!("--set {path} {reason}")))?;
        }
        Ok([
            Layer { name: "environment", values: environment },
            Layer { name: "command line", values: flags },
        ])
    }
}

/// Reads a text as what the default of its key is. The error never repeats the text.
fn set(values: &mut Dict, defaults: &Dict, (section, key): (&str, &str), text: &str) -> Result<(), String> {
    let default = match defaults.get(section) {
        Some(Value::Dict(_, keys)) => keys.get(key),
        _ => None,
    };
    let read = match default {
        None => return Err("names no key of the configuration".to_owned()),
        Some(Value::String(..)) => Value::from(text),
        Some(Value::Bool(..)) => Value::from(text.parse::<bool>().map_err(|_| "must be true or false")?),
        Some(Value::Num(_, Num::F32(_) | Num::F64(_))) => {
            Value::from(text.parse::<f64>().map_err(|_| "must be a number")?)
        }
        Some(Value::Num(..)) => Value::from(text.parse::<u64>().map_err(|_| "must be a whole number")?),
        Some(_) => return Err("can be set in a file only".to_owned()),
    };
    match values.entry(section.to_owned()).or_insert_with(|| Value::from(Dict::new())) {
        Value::Dict(_, keys) => {
            keys.insert(key.to_owned(), read);
        }
        _ => return Err("names no section".to_owned()),
    }
    Ok(())
}
