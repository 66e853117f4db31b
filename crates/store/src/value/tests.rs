use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Old {
    name: String,
    count: u32,
}

impl Stored for Old {
    const FORMAT: u8 = 1;
}

/// The second format: the count is signed, and there are notes.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Example {
    name: String,
    count: i64,
    notes: Vec<Option<String>>,
}

impl Stored for Example {
    const FORMAT: u8 = 2;

    fn migrate(format: u8, bytes: &[u8]) -> Result<Self, ValueError> {
        if format != Old::FORMAT {
            return Err(ValueError::UnknownFormat { format, newest: Self::FORMAT });
        }
        let Old { name, count } = decode_exactly(bytes)?;
        Ok(Self { name, count: i64::from(count), notes: Vec::new() })
    }
}

fn old() -> Old {
    Old { name: "first".to_owned(), count: 300 }
}

#[test]
fn values_come_back_and_older_formats_are_migrated() {
    let example =
        Example { name: "second".to_owned(), count: -1, notes: vec![None, Some("note".to_owned())] };
    assert_eq!(decode::<Example>(&encode(&example)).unwrap(), example);
    let migrated = Example { name: "first".to_owned(), count: 300, notes: Vec::new() };
    assert_eq!(decode::<Example>(&encode(&old())).unwrap(), migrated);
    golden::check("example", &example);
    golden::check("example", &old());
    golden::check_older("example", 1, &migrated);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let stored = encode(&old());
    assert!(matches!(decode::<Old>(&[]), Err(ValueError::Empty)));
    assert!(matches!(decode::<Old>(&stored[..3]), Err(ValueError::Undecodable(_))));
    assert!(matches!(decode::<Old>(&[&stored[..], b"x"].concat()), Err(ValueError::LeftOver(1))));
    let newer = decode::<Old>(&[9, 0]);
    assert!(matches!(newer, Err(ValueError::UnknownFormat { format: 9, newest: 1 })));
    assert!(matches!(KvError::from(newer.unwrap_err()), KvError::Corrupt(text) if text.contains("format 9")));
}

#[test]
#[should_panic(expected = "the layout of example has changed")]
fn a_changed_layout_is_noticed() {
    golden::check("example", &Example { name: "second".to_owned(), count: 1, notes: Vec::new() });
}

#[test]
#[should_panic(expected = "COUNTERPOINT_WRITE_GOLDEN")]
fn a_missing_golden_file_is_noticed() {
    golden::check_older("example", 77, &old());
}
