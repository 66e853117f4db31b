//! Tables of files and rows; properties have a file of their own.

use super::*;
use crate::endpoints::EndpointUpdate;

mod properties;

/// A row as a test reads it: the item's text or `user:ID`, or the fault.
pub(super) type Row = (u64, Result<String, String>);

pub(super) fn read_chunks<'c>(
    format: Format,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> (Vec<Row>, Result<(), FileFault>) {
    let mut rows = Vec::new();
    let mut sink = |row: ImportRow<'_>| {
        let result = match row.result {
            Ok(ImportItem::Endpoint(json)) => {
                serde_json::from_str::<serde::de::IgnoredAny>(json).expect("an item is JSON");
                Ok(json.to_owned())
            }
            Ok(ImportItem::UserId(id)) => Ok(format!("user:{id}")),
            Err(fault) => Err(fault.to_string()),
        };
        rows.push((row.number, result));
    };
    let mut reader = Reader::new(format);
    let mut result = Ok(());
    for chunk in chunks {
        result = reader.feed(chunk, &mut sink);
    }
    if result.is_ok() {
        result = reader.finish(&mut sink);
    }
    (rows, result)
}

#[track_caller]
fn check(format: Format, file: impl AsRef<[u8]>, wanted: &[(u64, Result<&str, &str>)]) {
    let (rows, result) = read_chunks(format, [file.as_ref()]);
    assert_eq!(result, Ok(()));
    let rows: Vec<_> =
        rows.iter().map(|(number, row)| (*number, row.as_deref().map_err(String::as_str))).collect();
    assert_eq!(rows, wanted);
}

#[track_caller]
fn check_file_fault(file: impl AsRef<[u8]>, wanted: &FileFault) {
    let (rows, result) = read_chunks(Format::Csv, [file.as_ref()]);
    assert_eq!((rows, result.as_ref()), (Vec::new(), Err(wanted)));
}

#[test]
fn every_column_has_its_place() {
    let file = "ChannelType,Address,Id,OptOut,EffectiveDate,RequestId,EndpointStatus,Location.Country,Location.Latitude,\
        Location.Longitude,Location.City,Location.Region,Location.PostalCode,Demographic.Make,Demographic.Timezone,\
        Metrics.Age,Attributes.Ride,Attributes.Ride,Attributes.a.b,User.UserId,User.UserAttributes.Last Name\n\
        SMS,+1206,e1,NONE,2026-01-02T03:04:05Z,r1,INACTIVE,US,47.61,-122,Seattle,WA,98121,Apple,Europe/Berlin,\
        17.50,Bus,Tram,\"say \"\"hi\"\", x\",u1,O'Neil\n\
        EMAIL,a@example.com,e2,,,,,,,,,,,,,,,Tram,,,\n";
    let wanted = concat!(
        r#"{"Id":"e1","ChannelType":"SMS","Address":"+1206","OptOut":"NONE","EffectiveDate":"2026-01-02T03:04:05Z","#,
        r#""RequestId":"r1","Demographic":{"Make":"Apple","Timezone":"Europe/Berlin"},"Location":{"Country":"US","#,
        r#""Latitude":47.61,"Longitude":-122,"City":"Seattle","Region":"WA","PostalCode":"98121"},"Metrics":{"Age":17.5},"#,
        r#""Attributes":{"Ride":["Bus","Tram"],"a.b":["say \"hi\", x"]},"User":{"UserId":"u1","#,
        r#""UserAttributes":{"Last Name":["O'Neil"]}}}"#
    );
    let second =
        r#"{"Id":"e2","ChannelType":"EMAIL","Address":"a@example.com","Attributes":{"Ride":["Tram"]}}"#;
    check(Format::Csv, file, &[(2, Ok(wanted)), (3, Ok(second))]);
    let update = EndpointUpdate::parse(wanted).unwrap();
    assert_eq!(update.check(), Ok(()));
    assert_eq!(update.attributes.unwrap()["Ride"].as_slice(), ["Bus", "Tram"]);
    assert_eq!(update.metrics.unwrap()["Age"].to_string(), "17.5");
}

#[test]
fn an_endpoint_without_id_gets_the_same_one_every_time() {
    let id = endpoint_id(ChannelType::Sms, "+1206");
    // The first half of: printf 'SMS\\0+1206' | sha256sum
    assert_eq!(id, "83da4661b6ca95f2082dcdc556ab610f");
    assert_ne!(id, endpoint_id(ChannelType::Voice, "+1206"));
    assert_ne!(id, endpoint_id(ChannelType::Sms, "+1207"));
    assert_eq!(endpoint_id(ChannelType::Email, "A@b.C"), endpoint_id(ChannelType::Email, "a@B.c"));
    assert_ne!(endpoint_id(ChannelType::Gcm, "A"), endpoint_id(ChannelType::Gcm, "a"));
    let wanted = format!(r#"{{"Id":"{id}","ChannelType":"SMS","Address":"+1206"}}"#);
    check(Format::Csv, "Address,ChannelType\n+1206,SMS\n+1206,SMS\n", &[(2, Ok(&wanted)), (3, Ok(&wanted))]);
    for (line, wanted) in [
        (
            r#"{"ChannelType":"SMS","Address":"+1206"}"#,
            format!(r#"{{"Id":"{id}","ChannelType":"SMS","Address":"+1206"}}"#),
        ),
        (
            r#"{"Address":"+1206","Id":"","ChannelType":"SMS"}"#,
            format!(r#"{{"Address":"+1206","Id":"{id}","ChannelType":"SMS"}}"#),
        ),
        (
            r#"{"Id": null,"Address":"\u002b1206","ChannelType":"SMS"}"#,
            format!(r#"{{"Id": "{id}","Address":"\u002b1206","ChannelType":"SMS"}}"#),
        ),
        (
            r#"{"EndpointStatus":"INACTIVE","Address":"+1206","ChannelType":"SMS","Id":null}"#,
            format!(r#"{{"EndpointStatus":null,"Address":"+1206","ChannelType":"SMS","Id":"{id}"}}"#),
        ),
    ] {
        check(Format::Json, line, &[(1, Ok(&wanted))]);
        assert_eq!(EndpointUpdate::parse(&wanted).unwrap().id.as_deref(), Some(id.as_str()));
    }
}

#[test]
fn line_ends_marks_and_blank_lines() {
    let one = r#"{"Id":"1"}"#;
    let two = r#"{"Id":"2"}"#;
    let three = r#"{"Id":"3"}"#;
    for file in [
        "Id,RequestId\n1,\n2,\n3,\n",
        "Id,RequestId\r\n1,\r\n2,\r\n3,",
        "Id,RequestId\r1,\r2,\r3,\r",
        "\u{feff}\"Id\",RequestId\n1,\r\n2,\r3,",
    ] {
        check(Format::Csv, file, &[(2, Ok(one)), (3, Ok(two)), (4, Ok(three))]);
    }
    check(Format::Csv, "\n\r\n Id ,RequestId\n\n1,\n  \n\n2,", &[(5, Ok(one)), (8, Ok(two))]);
    check(
        Format::Json,
        format!("\u{feff}{one}\r\n\r\n {two} \r{three}"),
        &[(1, Ok(one)), (3, Ok(two)), (4, Ok(three))],
    );
    check(Format::Csv, "Id,RequestId\n", &[]);
    check(Format::Json, "", &[]);
}

#[test]
fn bad_rows_are_counted_and_the_next_is_read() {
    let good = r#"{"Id":"g","ChannelType":"SMS","Address":"+1"}"#;
    let header = "Id,ChannelType,Address,OptOut,Metrics.M,Location.Latitude,EffectiveDate";
    for (row, wanted) in [
        ("x,SMS", "the row has 2 values, the header 7 columns"),
        ("x,SMS,+1,,,,,", "the row has 8 values, the header 7 columns"),
        (",SMS,,,,,", "Address and ChannelType are required where there is no Id"),
        (",,+1,,,,", "Address and ChannelType are required where there is no Id"),
        ("x,TELEX,+1,,,,", "unknown ChannelType \"TELEX\""),
        ("x,SMS,+1,MAYBE,,,", "OptOut must be ALL or NONE, not \"MAYBE\""),
        ("x,SMS,+1,,many,,", "Metrics.M is not a number: \"many\""),
        ("x,SMS,+1,,NaN,,", "Metrics.M is not a number: \"NaN\""),
        ("x,SMS,+1,,,1e999,", "Location.Latitude is not a number: \"1e999\""),
        ("x,SMS,+1,,,,soon", "EffectiveDate is not an ISO 8601 date: \"soon\""),
        ("x,SM\"S,+1,,,,", "a quote stands within a value without quotes"),
        ("x,\"SMS\"x,+1,,,,", "a value goes on after its closing quote"),
        ("x,\"SMS,+1,,,,", "a quote is not closed"),
    ] {
        let file = format!("{header}\n{row}\ng,SMS,+1,,,,\n");
        check(Format::Csv, file, &[(2, Err(wanted)), (3, Ok(good))]);
    }
    let (rows, _) = read_chunks(Format::Csv, [&b"Id,Address\n1,\xff\n2,ok\n"[..]]);
    assert_eq!(rows[0], (2, Err("the line is not UTF-8".to_owned())));
    assert_eq!(rows[1].0, 3);
    let long = "x".repeat(LINE_BYTES_MAX);
    let wanted = "the line has more than 262144 bytes";
    check(Format::Csv, format!("Id,Address\n1,{long}\n2,"), &[(2, Err(wanted)), (3, Ok(r#"{"Id":"2"}"#))]);
    check(
        Format::Json,
        format!("{{\"Id\":\"{long}\"}}\n{{\"Id\":\"2\"}}"),
        &[(1, Err(wanted)), (2, Ok(r#"{"Id":"2"}"#))],
    );
}

#[test]
fn quoted_values_may_hold_line_breaks() {
    check(
        Format::Csv,
        "Id,Attributes.A\n1,\"a\nb\r\n\nc\"\n2,x\n",
        &[
            (2, Ok(r#"{"Id":"1","Attributes":{"A":["a\nb\n\nc"]}}"#)),
            (6, Ok(r#"{"Id":"2","Attributes":{"A":["x"]}}"#)),
        ],
    );
    // A quote that nothing closes costs its own line, at once, after a few lines, or at the end.
    let row = |id: u64| format!(r#"{{"Id":"{id}","Attributes":{{"A":["x"]}}}}"#);
    for rest in [
        "3,\"x\"\n4,x\n",
        "3,x\n4,x\n",
        "3,x\n4,\"x\"",
        "3,x\n4,x\n5,x\n6,x\n7,x\n8,x\n9,x\n10,x\n11,x\n12,x\n13,x\n",
    ] {
        let (rows, result) = read_chunks(Format::Csv, [format!("Id,Attributes.A\n2,\"x\n{rest}").as_bytes()]);
        assert_eq!(result, Ok(()));
        assert_eq!(rows[0].0, 2, "{rest}");
        assert!(rows[0].1.is_err(), "{rest}");
        assert_eq!(rows.len(), rest.lines().count() + 1, "{rest}");
        for (number, result) in &rows[1..] {
            assert_eq!(result, &Ok(row(*number)), "{rest}");
        }
    }
}

#[test]
fn users_are_listed() {
    let file = "User.UserId\nu1\nu2 u3\n\n\"u 4\"\nu5,u6\n\"\"\n";
    check(
        Format::Csv,
        file,
        &[
            (2, Ok("user:u1")),
            (3, Ok("user:u2")),
            (3, Ok("user:u3")),
            (5, Ok("user:u 4")),
            (6, Err("the row has 2 values, the header 1 columns")),
            (7, Err("User.UserId is empty")),
        ],
    );
    check(
        Format::Json,
        "{\"User\":{\"UserId\":\"x\"}}\n{\"User\":{\"UserId\":\"\"}}",
        &[(1, Ok("user:x")), (2, Err("Address and ChannelType are required where there is no Id"))],
    );
}

#[test]
fn headers_are_checked() {
    for (header, wanted) in [
        ("", FileFault::NoHeader),
        ("\n\n", FileFault::NoHeader),
        ("Id,Adress", FileFault::UnknownColumn("Adress".into())),
        ("Id,Attributes.", FileFault::UnknownColumn("Attributes.".into())),
        ("Id,", FileFault::UnknownColumn(String::new())),
        ("Id,Demographic.Shoe", FileFault::UnknownColumn("Demographic.Shoe".into())),
        ("Id,id", FileFault::UnknownColumn("id".into())),
        ("Id,User.Name", FileFault::UnknownColumn("User.Name".into())),
        ("Id,Address,Id", FileFault::DuplicateColumn("Id".into())),
        ("Id,Metrics.A,Metrics.A", FileFault::DuplicateColumn("Metrics.A".into())),
        ("Id,Location.City,Location.City", FileFault::DuplicateColumn("Location.City".into())),
        ("Address,Attributes.A", FileFault::MissingColumns),
        ("User.UserId,Attributes.A", FileFault::MissingColumns),
        ("Id,\"Address\nx", FileFault::Header("a quote is not closed".into())),
        ("Id,Add\"ress", FileFault::Header("a quote stands within a value without quotes".into())),
        ("{\"Id\":\"1\"}", FileFault::Header("a quote stands within a value without quotes".into())),
    ] {
        check_file_fault(header, &wanted);
    }
    check_file_fault(
        vec!["Attributes.x"; 100_000].join(","),
        &FileFault::Header(format!("the line has more than {LINE_BYTES_MAX} bytes")),
    );
    check_file_fault(vec!["Id"; 1_001].join(","), &FileFault::TooManyColumns(1_001));
    check_file_fault(b"\xff\xfeI\0d\0\n", &FileFault::Header("the line is not UTF-8".into()));
    // The fault stays.
    let mut reader = Reader::new(Format::Csv);
    for _ in 0..2 {
        let result = reader.feed(b"Nonsense\nId\n1\n", &mut |row| panic!("{row:?}"));
        assert_eq!(result, Err(FileFault::UnknownColumn("Nonsense".into())));
    }
}

#[test]
fn json_lines_are_checked_and_passed_on() {
    let exported = r#"{"Id": "1", "EndpointStatus" : "INACTIVE", "CohortId":"7", "User":{"UserId":"u"}}"#;
    check(
        Format::Json,
        [
            r#"{"Id":"1","Attributes":{"Ride":"Bus"}}"#,
            exported,
            r#"{"Id":"1""#,
            "Id,Address",
            "[1]",
            r#"{"Id":7}"#,
            r#"{"Id":"1","Id":"2"}"#,
            r#"{"Address":"a@example.com"}"#,
            r#"{"Address":"a","ChannelType":"FAX"}"#,
            "{}",
            r#"{"Id":"9"}"#,
        ]
        .join("\n"),
        &[
            (1, Ok(r#"{"Id":"1","Attributes":{"Ride":"Bus"}}"#)),
            (2, Ok(r#"{"Id": "1", "EndpointStatus" : null, "CohortId":"7", "User":{"UserId":"u"}}"#)),
            (3, Err("EOF while parsing an object at line 1 column 9")),
            (
                4,
                Err(
                    "Unexpected character ('I' (code 73)): expected a valid value (JSON object, array, string, number, 'true', 'false' or 'null')",
                ),
            ),
            (5, Err("the record is not a JSON object")),
            (6, Err("Id is not a string")),
            (7, Err("duplicate field `Id` at line 1 column 14")),
            (8, Err("Address and ChannelType are required where there is no Id")),
            (9, Err("unknown ChannelType \"FAX\"")),
            (10, Err("Address and ChannelType are required where there is no Id")),
            (11, Ok(r#"{"Id":"9"}"#)),
        ],
    );
    // Nesting is no fault of syntax, and no danger.
    let nested = format!("{{\"Id\":\"1\",\"Attributes\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let (rows, _) = read_chunks(Format::Json, [nested.as_bytes()]);
    assert!(EndpointUpdate::parse(rows[0].1.as_ref().unwrap()).is_err());
}

#[test]
fn the_first_record_is_judged_at_once() {
    for (start, wanted) in [
        (&b"Id,Address\n"[..], Some("Unexpected character ('I' (code 73)): expected")),
        (b"\xef\xbb\xbf \n hello", Some("Unexpected character ('h' (code 104)): expected")),
        (b"{\"Id\":x}\n", Some("Unexpected character ('x' (code 120)): expected value")),
        (b"{\"Id\":\"1\"\n", Some("Unexpected end-of-input: EOF")),
        (b"[1]\n", Some("the record is not a JSON object")),
        (b"\"text\"\n", Some("the record is not a JSON object")),
        (b"\xff\xfe{\n", Some("Invalid UTF-8")),
        (b"{\"Id\":\"1\"}\nrubbish", None),
        (b"{\"Id\":\"1", None),
        (b"{\"Id\":\"\xc3", None),
        (b" \n", None),
        (b"", None),
    ] {
        let message = first_record_error(Format::Json, start);
        let fits = match (&message, wanted) {
            (Some(message), Some(wanted)) => message.starts_with(wanted),
            (None, None) => true,
            _ => false,
        };
        assert!(fits, "{}: {message:?}", String::from_utf8_lossy(start));
    }
    assert_eq!(
        first_record_error(Format::Csv, b"Id,Nonsense\n").as_deref(),
        Some("unknown column \"Nonsense\"")
    );
    assert_eq!(first_record_error(Format::Csv, b"Id,Address\n1,"), None);
    assert_eq!(first_record_error(Format::Csv, b"Id,Nonsen"), None);
    assert!(is_gzip(b"\x1f\x8b\x08") && !is_gzip(b"\x1f") && !is_gzip(b"Id"));
    assert_eq!((Format::parse("CSV"), Format::parse("json")), (Some(Format::Csv), None));
}
