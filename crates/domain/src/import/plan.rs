//! What a CSV header says, compiled once for all rows.

use super::csv::Fields;
use super::{COLUMNS_MAX, FileFault};

/// The compiled header.
#[derive(Debug)]
pub(super) struct Plan {
    pub columns: usize,
    pub content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// The only column is `User.UserId`.
    Users,
    Endpoints(Box<Members>),
}

/// The members of an `EndpointBatchItem` that the file has columns for, by the object they stand in.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub id: Option<usize>,
    pub address: Option<usize>,
    pub channel_type: Option<usize>,
    /// `EffectiveDate`, `OptOut`, `RequestId`.
    pub top: Vec<Member>,
    pub demographic: Vec<Member>,
    pub location: Vec<Member>,
    pub attributes: Vec<List>,
    pub metrics: Vec<Member>,
    pub user_id: Option<usize>,
    pub user_attributes: Vec<List>,
}

/// A member with one value.
#[derive(Debug)]
pub(super) struct Member {
    /// As the header spells it, for faults.
    pub name: String,
    /// The name as JSON.
    pub key: String,
    pub column: usize,
    pub kind: Kind,
}

/// How a value is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Date,
    OptOut,
}

/// An attribute: each of its columns holds one value.
#[derive(Debug)]
pub(super) struct List {
    pub key: String,
    pub columns: Vec<usize>,
}

const DEMOGRAPHIC: [&str; 8] =
    ["AppVersion", "Locale", "Make", "Model", "ModelVersion", "Platform", "PlatformVersion", "Timezone"];
const LOCATION: [&str; 6] = ["City", "Country", "Latitude", "Longitude", "PostalCode", "Region"];
/// What an export has and an import does not take: `EndpointStatus` (spec/30 §6), and what the server sets itself.
const IGNORED: [&str; 4] = ["EndpointStatus", "ApplicationId", "CohortId", "CreationDate"];

impl Plan {
    pub(super) fn compile(header: &Fields) -> Result<Self, FileFault> {
        let columns = header.len();
        if columns > COLUMNS_MAX {
            return Err(FileFault::TooManyColumns(columns));
        }
        if columns == 1 && header.get(0).trim() == "User.UserId" {
            return Ok(Self { columns, content: Content::Users });
        }
        let mut members = Members::default();
        for column in 0..columns {
            members.add(header.get(column).trim(), column)?;
        }
        if members.id.is_none() && (members.address.is_none() || members.channel_type.is_none()) {
            return Err(FileFault::MissingColumns);
        }
        Ok(Self { columns, content: Content::Endpoints(Box::new(members)) })
    }
}

impl Members {
    fn add(&mut self, header: &str, column: usize) -> Result<(), FileFault> {
        let unknown = || FileFault::UnknownColumn(header.to_owned());
        let duplicate = || FileFault::DuplicateColumn(header.to_owned());
        let (object, name) = split(header);
        if name.is_empty() {
            return Err(unknown());
        }
        let single = match (object, name) {
            ("", "Id") => &mut self.id,
            ("", "Address") => &mut self.address,
            ("", "ChannelType") => &mut self.channel_type,
            ("User", "UserId") => &mut self.user_id,
            ("", name) if IGNORED.contains(&name) => return Ok(()),
            ("Attributes", name) => {
                add_to_list(&mut self.attributes, name, column);
                return Ok(());
            }
            ("User.UserAttributes", name) => {
                add_to_list(&mut self.user_attributes, name, column);
                return Ok(());
            }
            _ => {
                let (list, kind) = match (object, name) {
                    ("", "EffectiveDate") => (&mut self.top, Kind::Date),
                    ("", "OptOut") => (&mut self.top, Kind::OptOut),
                    ("", "RequestId") => (&mut self.top, Kind::Text),
                    ("Demographic", name) if DEMOGRAPHIC.contains(&name) => {
                        (&mut self.demographic, Kind::Text)
                    }
                    ("Location", "Latitude" | "Longitude") => (&mut self.location, Kind::Number),
                    ("Location", name) if LOCATION.contains(&name) => (&mut self.location, Kind::Text),
                    ("Metrics", _) => (&mut self.metrics, Kind::Number),
                    _ => return Err(unknown()),
                };
                if list.iter().any(|member| member.name == header) {
                    return Err(duplicate());
                }
                list.push(Member { name: header.to_owned(), key: key(name), column, kind });
                return Ok(());
            }
        };
        if single.replace(column).is_some() {
            return Err(duplicate());
        }
        Ok(())
    }
}

/// The object that a column belongs to, and its name there, which may have dots.
fn split(header: &str) -> (&str, &str) {
    for object in ["User.UserAttributes", "User", "Attributes", "Metrics", "Demographic", "Location"] {
        if let Some(name) = header.strip_prefix(object).and_then(|rest| rest.strip_prefix('.')) {
            return (object, name);
        }
    }
    ("", header)
}

fn add_to_list(lists: &mut Vec<List>, name: &str, column: usize) {
    let key = key(name);
    match lists.iter_mut().find(|list| list.key == key) {
        Some(list) => list.columns.push(column),
        None => lists.push(List { key, columns: vec![column] }),
    }
}

fn key(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}
