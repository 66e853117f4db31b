use domain::import::{Format, Reader};

use super::*;

fn pieces(folded: u64) -> Pieces {
    let app = AppKey { account: "123456789012".into(), app: "a".into() };
    let segment = Some(("s".to_owned(), 2));
    Pieces::new(Header { app, job: "j".to_owned(), segment, register: true }, folded)
}

fn feed(pieces: &mut Pieces, text: &str) {
    let mut reader = Reader::new(Format::Json);
    reader.feed(text.as_bytes(), &mut |row| pieces.row("s3://b/k", &row)).unwrap();
    reader.finish(&mut |row| pieces.row("s3://b/k", &row)).unwrap();
}

/// Of each piece: number, rows, failed, last.
fn shape(records: &[Bytes]) -> Vec<(u64, usize, u64, Option<bool>)> {
    let shape = |record: &Bytes| {
        let record = Record::decode(record).unwrap();
        let Body::Import { piece } = record.body else { panic!("not a piece") };
        assert_eq!((piece.job, piece.segment, piece.register), ("j", Some(("s", 2)), true));
        (piece.number, piece.endpoints.len() + piece.users.len(), piece.failed, piece.last)
    };
    records.iter().map(shape).collect()
}

fn rows(count: usize) -> String {
    (0..count).fold(String::new(), |rows, row| rows + &format!("{{\"Id\":\"{row}\"}}\n"))
}

#[test]
fn rows_are_cut_into_pieces_and_what_is_folded_is_not_made_again() {
    let make = |folded| {
        let mut pieces = pieces(folded);
        feed(&mut pieces, &rows(220));
        feed(&mut pieces, "{\"User\":{\"UserId\":\"u\"}}\nx\n");
        pieces.finish(false)
    };
    let all = make(0);
    assert_eq!(shape(&all), [(0, 100, 0, None), (1, 100, 0, None), (2, 21, 1, Some(false))]);
    assert_eq!(make(2), all[2..]);
    // The objects became less: the job still ends, and counts nothing twice.
    assert_eq!(shape(&make(5)), [(5, 0, 0, Some(false))]);
}

#[test]
fn pieces_are_bounded_in_bytes_and_by_failures() {
    let mut large = pieces(0);
    let row = format!("{{\"Id\":\"1\",\"Address\":\"{}\"}}\n", "a".repeat(200 << 10));
    feed(&mut large, &row.repeat(5));
    assert_eq!(shape(&large.finish(false)), [(0, 2, 0, None), (1, 2, 0, None), (2, 1, 0, Some(false))]);

    let mut broken = pieces(0);
    feed(&mut broken, &"x\n".repeat(120));
    let records = broken.finish(true);
    assert_eq!(shape(&records), [(0, 0, 100, None), (1, 0, 20, Some(true))]);
    let texts: Vec<usize> = records
        .iter()
        .map(|record| {
            let Body::Import { piece } = Record::decode(record).unwrap().body else { return 0 };
            piece.failures.len()
        })
        .collect();
    assert_eq!(texts, [FAILURES_MAX, 0]);
}

#[test]
fn what_could_not_be_a_key_is_refused_and_texts_stay_short() {
    let mut pieces = pieces(0);
    let long = "ä".repeat(10_000);
    feed(
        &mut pieces,
        &format!("{{\"Id\":\"{long}\"}}\n{{\"User\":{{\"UserId\":\"{long}\"}}}}\n{{\"Id\":\"a$\"}}\n"),
    );
    feed(&mut pieces, &format!("{{\"Address\":\"x\",\"ChannelType\":\"{long}\"}}\n"));
    let records = pieces.finish(false);
    assert_eq!(shape(&records), [(0, 0, 4, Some(false))]);
    let record = Record::decode(&records[0]).unwrap();
    let Body::Import { piece } = record.body else { panic!("not a piece") };
    assert!(piece.failures.iter().all(|text| text.chars().count() <= FAILURE_CHARACTERS_MAX + 1));
    assert!(piece.failures[0].starts_with("s3://b/k line 1: "), "{:?}", piece.failures[0]);
}
