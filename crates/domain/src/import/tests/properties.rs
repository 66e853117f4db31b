//! Properties: chunks do not matter, no bytes panic, and what a CSV writer writes is read.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const PIECES: &[&[u8]] = &[
    b"Id,Attributes.A\n",
    b"User.UserId\n",
    b"Address,ChannelType\r\n",
    b"1,x\n",
    b"2,\"a,b\"\r",
    b"\"",
    b"\"\"",
    b",",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"SMS",
    b"+1,SMS\n",
    b"3,\"a\nb\"\n",
    b"{\"Id\":\"1\"}\n",
    b"{\"Id\":null,",
    b"\"Address\":\"a\",\"ChannelType\":\"SMS\"}\n",
    b"{\"User\":{\"UserId\":\"u\"}}\n",
    b"\xef\xbb\xbf",
    b"\\u0041",
    b"{\"EndpointStatus\":\"ACTIVE\",\"Id\":\"1\"}\r\n",
];

/// Files that are nearly right: the pieces make every branch likely.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Csv), Just(Format::Json)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn chunks_do_not_matter(format in format(), file in file(), sizes in proptest::collection::vec(1_usize..9, 1..20)) {
        let whole = read_chunks(format, [file.as_slice()]);
        let mut chunks = Vec::new();
        let mut rest = file.as_slice();
        for size in sizes.iter().cycle() {
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read_chunks(format, chunks), whole);
    }

    #[test]
    fn any_bytes_end(format in format(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_chunks(format, [bytes.as_slice()]);
        let _ = first_record_error(format, &bytes);
    }

    #[test]
    fn no_line_is_lost(lines in proptest::collection::vec("[a-z\",]{1,8}", 1..40)) {
        // Whatever the quoting, every line is a row, a fault, or part of a record of several lines.
        let file = format!("Id,Attributes.A\n{}\n", lines.join("\n"));
        let (rows, result) = read_chunks(Format::Csv, [file.as_bytes()]);
        prop_assert_eq!(result, Ok(()));
        let ends = rows.iter().skip(1).map(|(number, _)| *number).chain([lines.len() as u64 + 2]);
        prop_assert_eq!(rows.first().map(|(number, _)| *number), Some(2));
        for ((number, row), end) in rows.iter().zip(ends) {
            match row {
                Ok(json) => prop_assert_eq!(end - number, 1 + json.matches("\\n").count() as u64),
                Err(_) => prop_assert!((1..=RECORD_LINES_MAX as u64).contains(&(end - number))),
            }
        }
    }

    #[test]
    fn what_a_csv_writer_writes_is_read(
        rows in proptest::collection::vec(
            // One line break in a value at most: RECORD_LINES_MAX is for the record.
            ("[a-zA-Z0-9,\" é😀]{1,12}", proptest::collection::vec("[a-z,\"' \\t\\\\é]{0,6}\n?[a-z,\"' ]{0,6}", 3)), 0..20),
        quote_always in any::<bool>(),
    ) {
        let style = if quote_always { ::csv::QuoteStyle::Always } else { ::csv::QuoteStyle::Necessary };
        let mut writer = ::csv::WriterBuilder::new().quote_style(style).from_writer(Vec::new());
        writer.write_record(["Id", "Attributes.A", "Attributes.A", "User.UserAttributes.[x] \"y\""]).unwrap();
        let mut wanted: Vec<Value> = Vec::new();
        for (id, values) in &rows {
            writer.write_record([id, &values[0], &values[1], &values[2]]).unwrap();
            let list: Vec<&String> = values[..2].iter().filter(|value| !value.is_empty()).collect();
            let mut item = json!({"Id": id});
            if !list.is_empty() {
                item["Attributes"] = json!({"A": list});
            }
            if !values[2].is_empty() {
                item["User"] = json!({"UserAttributes": {"[x] \"y\"": [values[2]]}});
            }
            wanted.push(item);
        }
        let file = writer.into_inner().unwrap();
        let (read, result) = read_chunks(Format::Csv, [file.as_slice()]);
        prop_assert_eq!(result, Ok(()));
        let read: Vec<Value> = read
            .into_iter()
            .map(|(_, row)| serde_json::from_str(&row.expect("a good row")).expect("JSON"))
            .collect();
        prop_assert_eq!(read, wanted);
    }
}
