//! Import files: CSV and newline-delimited JSON, read as they arrive (spec/30-segments.md §6).
//!
//! A [`Reader`] is fed with chunks of a file of any size and calls back for every row. Its memory is one line, or one
//! record of a few lines. A bad row is a counted [`RowFault`]; only a header that says nothing sensible ends the file
//! ([`FileFault`]).

use ring::digest;

use crate::channels::ChannelType;

mod csv;
mod document;
mod lines;
mod ndjson;
mod plan;

use self::csv::CsvReader;
use self::lines::Lines;
use self::ndjson::NdjsonReader;

/// Bytes of a line, or of a record of several lines. An endpoint has 15 KB, which JSON may write sixfold.
pub const LINE_BYTES_MAX: usize = 256 * 1024;
/// Lines of a CSV record whose quoted values hold line breaks.
pub const RECORD_LINES_MAX: usize = 8;
/// Columns of a CSV file: the quota of 250 attribute names, with room for lists.
pub const COLUMNS_MAX: usize = 1_000;

/// The Format of an import job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The format of a wire name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "CSV" => Some(Self::Csv),
            "JSON" => Some(Self::Json),
            _ => None,
        }
    }
}

/// One row of a file: what it says, or why it says nothing.
#[derive(Debug, PartialEq, Eq)]
pub struct ImportRow<'r> {
    /// The line on which the row starts, counted from 1; a CSV header is a line.
    pub number: u64,
    pub result: Result<ImportItem<'r>, RowFault>,
}

/// What a good row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportItem<'r> {
    /// JSON of an `EndpointBatchItem` with an Id, which [`crate::endpoints::EndpointUpdate::parse`] reads. Only its syntax
    /// has been checked where the file is JSON.
    Endpoint(&'r str),
    /// A user, of a file that lists users. It must exist already.
    UserId(&'r str),
}

/// Why a row is not imported; it counts as one failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowFault(pub String);

/// Why a file cannot be read at all. Every later call answers the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    #[error("the file has no header")]
    NoHeader,
    #[error("the header is not readable: {0}")]
    Header(String),
    #[error("unknown column {0:?}")]
    UnknownColumn(String),
    #[error("column {0:?} stands more than once in the header")]
    DuplicateColumn(String),
    #[error("the header has {0} columns; at most {COLUMNS_MAX} are allowed")]
    TooManyColumns(usize),
    #[error("the header needs Address and ChannelType for new endpoints, or Id for known ones")]
    MissingColumns,
}

/// Reads one file.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    kind: Kind,
    fault: Option<FileFault>,
}

#[derive(Debug)]
enum Kind {
    Csv(Box<CsvReader>),
    Ndjson(NdjsonReader),
}

impl Reader {
    pub fn new(format: Format) -> Self {
        let kind = match format {
            Format::Csv => Kind::Csv(Box::default()),
            Format::Json => Kind::Ndjson(NdjsonReader::default()),
        };
        Self { lines: Lines::default(), kind, fault: None }
    }

    /// Reads on: calls `sink` for every row that ends in `chunk`.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl FnMut(ImportRow<'_>)) -> Result<(), FileFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let kind = &mut self.kind;
        let result = self.lines.feed(chunk, &mut |number, line| match kind {
            Kind::Csv(reader) => reader.line(number, line, sink),
            Kind::Ndjson(reader) => {
                reader.line(number, line, sink);
                Ok(())
            }
        });
        self.fault = result.clone().err();
        result
    }

    /// Reads the rows that the end of the file ends.
    pub fn finish(mut self, sink: &mut impl FnMut(ImportRow<'_>)) -> Result<(), FileFault> {
        // A line break is what ends a last line without one.
        self.feed(b"\n", sink)?;
        match self.kind {
            Kind::Csv(reader) => reader.finish(sink),
            Kind::Ndjson(_) => Ok(()),
        }
    }
}

/// Tells gzip by its magic number.
pub fn is_gzip(start: &[u8]) -> bool {
    start.starts_with(&[0x1f, 0x8b])
}

/// The id of an endpoint that comes without one: 32 hexadecimal characters, the same whenever the same channel and address
/// (in whatever letters' case, if it is a mail address) are imported, so that a second import doubles nobody.
pub fn endpoint_id(channel: ChannelType, address: &str) -> String {
    let mut text = channel.as_str().to_owned();
    text.push('\0');
    text.push_str(&channel.folded_address(address));
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref()[..16].iter().fold(String::with_capacity(32), |mut id, byte| {
        for nibble in [byte >> 4, byte & 15] {
            id.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        id
    })
}

/// What `CreateImportJob` answers 400 with when the start of the file cannot be read (spec/97 C9): for JSON the message of a
/// parser, for CSV the header's fault. `None` if the start is good, or too short to tell.
pub fn first_record_error(format: Format, start: &[u8]) -> Option<String> {
    match format {
        Format::Csv => {
            let mut reader = Reader::new(Format::Csv);
            reader.feed(start, &mut |_| ()).err().map(|fault| fault.to_string())
        }
        Format::Json => ndjson::first_line_error(start),
    }
}

#[cfg(test)]
mod tests;
