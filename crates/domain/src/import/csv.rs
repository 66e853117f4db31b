//! Reads CSV: RFC 4180, strictly, so that broken quoting is found where it is and costs one record.

use super::document::write_item;
use super::lines::Line;
use super::plan::{Content, Plan};
use super::{FileFault, ImportItem, ImportRow, LINE_BYTES_MAX, RECORD_LINES_MAX, RowFault};

const NOT_CLOSED: &str = "a quote is not closed";

#[derive(Debug, Default)]
pub(super) struct CsvReader {
    /// From the header; `None` before it.
    plan: Option<Plan>,
    fields: Fields,
    /// The JSON of a row: one buffer for all.
    output: String,
    /// A record that has not ended with its line: a quote is open.
    open: Option<OpenRecord>,
}

#[derive(Debug)]
struct OpenRecord {
    number: u64,
    lines: Vec<String>,
}

impl CsvReader {
    pub(super) fn line(
        &mut self,
        number: u64,
        line: Line<'_>,
        sink: &mut impl FnMut(ImportRow<'_>),
    ) -> Result<(), FileFault> {
        let text = match line {
            Line::TooLong => Err(RowFault(format!("the line has more than {LINE_BYTES_MAX} bytes"))),
            Line::Whole(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| RowFault("the line is not UTF-8".to_owned()))
            }
        };
        match text {
            Ok(text) => self.text(number, text, sink),
            Err(fault) => {
                self.close_records(sink)?;
                self.fault(number, fault, sink)
            }
        }
    }

    pub(super) fn finish(mut self, sink: &mut impl FnMut(ImportRow<'_>)) -> Result<(), FileFault> {
        self.close_records(sink)?;
        if self.plan.is_none() { Err(FileFault::NoHeader) } else { Ok(()) }
    }

    fn text(
        &mut self,
        number: u64,
        text: &str,
        sink: &mut impl FnMut(ImportRow<'_>),
    ) -> Result<(), FileFault> {
        let Some(mut record) = self.open.take() else {
            if text.trim().is_empty() {
                return Ok(());
            }
            return match self.fields.read(text) {
                Ok(()) => self.record(number, sink),
                Err(QuoteFault::Open) => {
                    self.open = Some(OpenRecord { number, lines: vec![text.to_owned()] });
                    Ok(())
                }
                Err(QuoteFault::Broken(reason)) => self.fault(number, RowFault(reason.to_owned()), sink),
            };
        };
        record.lines.push(text.to_owned());
        let joined = record.lines.join("\n");
        let is_full = record.lines.len() == RECORD_LINES_MAX || joined.len() > LINE_BYTES_MAX;
        match self.fields.read(&joined) {
            Ok(()) => self.record(record.number, sink),
            Err(QuoteFault::Open) if !is_full => {
                self.open = Some(record);
                Ok(())
            }
            Err(QuoteFault::Open) => {
                self.open = Some(record);
                self.close_record(NOT_CLOSED, sink)
            }
            Err(QuoteFault::Broken(reason)) => {
                self.open = Some(record);
                self.close_record(reason, sink)
            }
        }
    }

    /// Gives up the open record: its first line is the fault, the lines after it are read anew.
    fn close_record(&mut self, reason: &str, sink: &mut impl FnMut(ImportRow<'_>)) -> Result<(), FileFault> {
        let Some(record) = self.open.take() else { return Ok(()) };
        self.fault(record.number, RowFault(reason.to_owned()), sink)?;
        for (number, line) in (record.number + 1..).zip(&record.lines[1..]) {
            self.text(number, line, sink)?;
        }
        Ok(())
    }

    /// Gives up whatever is open.
    fn close_records(&mut self, sink: &mut impl FnMut(ImportRow<'_>)) -> Result<(), FileFault> {
        while self.open.is_some() {
            self.close_record(NOT_CLOSED, sink)?;
        }
        Ok(())
    }

    fn fault(
        &mut self,
        number: u64,
        fault: RowFault,
        sink: &mut impl FnMut(ImportRow<'_>),
    ) -> Result<(), FileFault> {
        if self.plan.is_none() {
            return Err(FileFault::Header(fault.0));
        }
        sink(ImportRow { number, result: Err(fault) });
        Ok(())
    }

    /// Takes the record that stands in `fields`.
    fn record(&mut self, number: u64, sink: &mut impl FnMut(ImportRow<'_>)) -> Result<(), FileFault> {
        let fields = &self.fields;
        let Some(plan) = &self.plan else {
            self.plan = Some(Plan::compile(fields)?);
            return Ok(());
        };
        if fields.len() != plan.columns {
            let reason = format!("the row has {} values, the header {} columns", fields.len(), plan.columns);
            sink(ImportRow { number, result: Err(RowFault(reason)) });
            return Ok(());
        }
        match &plan.content {
            Content::Users if fields.is_quoted() => {
                sink(ImportRow { number, result: user(fields.get(0)) });
            }
            // The guide shows one id a line, and several.
            Content::Users => {
                for id in fields.get(0).split_whitespace() {
                    sink(ImportRow { number, result: user(id) });
                }
            }
            Content::Endpoints(members) => {
                self.output.clear();
                let result = write_item(members, fields, &mut self.output);
                sink(ImportRow { number, result: result.map(|()| ImportItem::Endpoint(&self.output)) });
            }
        }
        Ok(())
    }
}

fn user(id: &str) -> Result<ImportItem<'_>, RowFault> {
    if id.is_empty() {
        return Err(RowFault("User.UserId is empty".to_owned()));
    }
    Ok(ImportItem::UserId(id))
}

/// Why a text is no record.
enum QuoteFault {
    /// It ends within quotes: the next line may close them.
    Open,
    Broken(&'static str),
}

/// The values of a record.
#[derive(Debug, Default)]
pub(super) struct Fields {
    text: String,
    /// Where in `text` each value ends.
    ends: Vec<usize>,
    is_quoted: bool,
}

impl Fields {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, place: usize) -> &str {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.text[start..self.ends[place]]
    }

    /// Some value stood in quotes.
    fn is_quoted(&self) -> bool {
        self.is_quoted
    }

    fn read(&mut self, record: &str) -> Result<(), QuoteFault> {
        self.text.clear();
        self.ends.clear();
        self.is_quoted = record.contains('"');
        if !self.is_quoted {
            for value in record.split(',') {
                self.push(value);
            }
            return Ok(());
        }
        let mut rest = record;
        loop {
            rest = if let Some(quoted) = rest.strip_prefix('"') {
                self.read_quoted(quoted)?
            } else {
                let length = rest.find(',').unwrap_or(rest.len());
                if rest[..length].contains('"') {
                    return Err(QuoteFault::Broken("a quote stands within a value without quotes"));
                }
                self.push(&rest[..length]);
                &rest[length..]
            };
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None if rest.is_empty() => return Ok(()),
                None => return Err(QuoteFault::Broken("a value goes on after its closing quote")),
            }
        }
    }

    /// Takes a value whose opening quote is gone; answers what follows its closing quote.
    fn read_quoted<'r>(&mut self, quoted: &'r str) -> Result<&'r str, QuoteFault> {
        let mut rest = quoted;
        loop {
            let length = rest.find('"').ok_or(QuoteFault::Open)?;
            self.text.push_str(&rest[..length]);
            rest = &rest[length + 1..];
            let Some(after) = rest.strip_prefix('"') else {
                self.ends.push(self.text.len());
                return Ok(rest);
            };
            self.text.push('"');
            rest = after;
        }
    }

    fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.ends.push(self.text.len());
    }
}
