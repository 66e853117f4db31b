use std::fmt::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What is read of an object that comes in chunks of this size: a line for each row.
fn read(
    format: Format,
    object: &[u8],
    chunk: usize,
    mut bytes_left: u64,
) -> (Vec<String>, Result<(), ObjectFault>) {
    let mut rows = Vec::new();
    let mut sink = |row: ImportRow<'_>| rows.push(format!("{row:?}"));
    let mut intake = Intake::new(format);
    for part in object.chunks(chunk) {
        if let Err(fault) = intake.feed(part, &mut bytes_left, &mut sink) {
            return (rows, Err(fault));
        }
    }
    let ended = intake.finish(&mut bytes_left, &mut sink);
    (rows, ended)
}

#[test]
fn packing_and_chunks_do_not_change_what_is_read() {
    let mut text = String::from("\u{feff}");
    for row in 0..3_000 {
        writeln!(text, "{{\"Id\":\"{row}\",\"Address\":\"ä{row}@example.com\"}}").unwrap();
    }
    let (first, rest) = text.as_bytes().split_at(text.len() / 3);
    let members = [gzip(first), gzip(rest)].concat();
    let (expected, ended) = read(Format::Json, text.as_bytes(), text.len(), u64::MAX);
    assert_eq!((expected.len(), ended), (3_000, Ok(())));
    for object in [text.as_bytes(), &gzip(text.as_bytes()), &members] {
        for chunk in [1, 7, 511, 512, 5_000, object.len()] {
            assert_eq!(read(Format::Json, object, chunk, u64::MAX), (expected.clone(), Ok(())), "{chunk}");
        }
    }
}

#[test]
fn what_is_not_of_the_format_is_told_by_its_beginning() {
    let csv = b"Id,Address\n1,a\n";
    let json = b"\xef\xbb\xbf\n {\"Id\":\"1\"}\n";
    let other = (Vec::new(), Err(ObjectFault::OtherFormat));
    assert_eq!(read(Format::Csv, json, 3, u64::MAX), other);
    assert_eq!(read(Format::Json, csv, 3, u64::MAX), other);
    assert_eq!(read(Format::Json, &gzip(csv), 3, u64::MAX), other);
    assert_eq!(read(Format::Csv, b"PK\x03\x04\0\0", 3, u64::MAX), other);
    assert_eq!(read(Format::Json, b"[{\"Id\":\"1\"}]", 3, u64::MAX), other);
    assert_eq!(read(Format::Csv, csv, 3, u64::MAX).0.len(), 1);
    // A broken first row is a row.
    let (rows, ended) = read(Format::Json, b"{\"Id\":\n{\"Id\":\"1\"}\n", 3, u64::MAX);
    assert_eq!((rows.len(), ended), (2, Ok(())));
    assert_eq!(read(Format::Json, b"", 1, u64::MAX), (Vec::new(), Ok(())));
    assert_eq!(
        read(Format::Csv, b"", 1, u64::MAX),
        (Vec::new(), Err(ObjectFault::File(FileFault::NoHeader)))
    );
}

#[test]
fn damaged_gzip_is_told() {
    let text = "{\"Id\":\"1\"}\n".repeat(1_000);
    let whole = gzip(text.as_bytes());
    let (_, cut) = read(Format::Json, &whole[..whole.len() - 1], 100, u64::MAX);
    assert_eq!(cut, Err(ObjectFault::Gzip));
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    assert_eq!(read(Format::Json, &damaged, 100, u64::MAX).1, Err(ObjectFault::Gzip));
    assert_eq!(read(Format::Json, &whole[..1], 100, u64::MAX).1, Err(ObjectFault::OtherFormat));
}

#[test]
fn unpacked_bytes_are_limited() {
    let bomb = gzip(&vec![b' '; 50 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(read(Format::Json, &bomb, 64 << 10, 1 << 20).1, Err(ObjectFault::TooLarge));
    let text = b"{\"Id\":\"1\"}\n";
    assert_eq!(read(Format::Json, text, 4, text.len() as u64).1, Ok(()));
    assert_eq!(read(Format::Json, text, 4, text.len() as u64 - 1).1, Err(ObjectFault::TooLarge));
}

#[test]
fn the_start_of_a_packed_object_is_read() {
    let text = "{\"Id\":\"1\"}\n".repeat(100_000);
    let packed = gzip(text.as_bytes());
    let start = unpacked_start(&packed[..packed.len() / 2]);
    assert!(start.starts_with(b"{\"Id\":\"1\"}\n{"), "{}", start.len());
    assert_eq!(unpacked_start(b"\x1f\x8bx"), b"");
}
