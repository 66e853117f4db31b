//! Rows of an import gathered into numbered pieces: the same rows always make the same pieces.

use std::borrow::Cow;

use bytes::Bytes;
use domain::audience::AppKey;
use domain::endpoints::check_endpoint_id;
use domain::import::{ImportItem, ImportRow, RowFault};
use domain::records::{Body, EndpointItem, ImportPiece, Record};
use store::tables::jobs::FAILURES_MAX;

use super::FAILURE_CHARACTERS_MAX;
use crate::project::RECORD_UPDATES_MAX;

/// Rows of a piece.
pub(super) const PIECE_ROWS_MAX: usize = RECORD_UPDATES_MAX;
/// Bytes of a piece's rows; one row alone may have more.
pub(super) const PIECE_BYTES_MAX: usize = 512 << 10;
/// Characters of a user id, as of an endpoint id.
const USER_ID_CHARACTERS_MAX: usize = domain::endpoints::ENDPOINT_ID_CHARACTERS_MAX;

/// What all pieces of a job have in common.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) app: AppKey,
    pub(super) job: String,
    pub(super) segment: Option<(String, u32)>,
    pub(super) register: bool,
}

/// The piece that is being filled, and those that are full.
#[derive(Debug)]
pub(super) struct Pieces {
    header: Header,
    /// Pieces before this one are folded: they are counted, and not made again.
    folded: u64,
    /// The number of the piece that is being filled.
    number: u64,
    endpoints: Vec<(String, String)>,
    users: Vec<String>,
    /// Of the rows.
    bytes: usize,
    /// Rows, or objects, that could not be read.
    failed: u64,
    failures: Vec<String>,
    failures_left: usize,
    /// The account may have more endpoints: rows of endpoints that do not exist make them.
    pub(super) may_create: bool,
    full: Vec<Bytes>,
}

impl Pieces {
    pub(super) fn new(header: Header, folded: u64) -> Self {
        Self {
            header,
            folded,
            number: 0,
            endpoints: Vec::new(),
            users: Vec::new(),
            bytes: 0,
            failed: 0,
            failures: Vec::new(),
            failures_left: FAILURES_MAX,
            may_create: true,
            full: Vec::new(),
        }
    }

    /// Takes a row of the object that `url` names.
    pub(super) fn row(&mut self, url: &str, row: &ImportRow<'_>) {
        let taken = match &row.result {
            Ok(ImportItem::Endpoint(json)) => self.endpoint(json),
            Ok(ImportItem::UserId(id)) => self.user(id),
            Err(fault) => Err(fault.clone()),
        };
        if let Err(RowFault(reason)) = taken {
            self.fail(format!("{url} line {}: {reason}", row.number));
        }
    }

    /// Counts something that could not be imported.
    pub(super) fn fail(&mut self, text: String) {
        self.make_room(0);
        self.failed += 1;
        if self.failures_left > 0 {
            self.failures_left -= 1;
            self.failures.push(shortened(text));
        }
    }

    /// Pieces that are full, in order.
    pub(super) fn full(&mut self) -> &mut Vec<Bytes> {
        &mut self.full
    }

    /// Ends the job with the piece that is being filled.
    pub(super) fn finish(mut self, is_failed: bool) -> Vec<Bytes> {
        if self.number < self.folded {
            // The objects became less since the job ran before: what is left here was folded with other pieces.
            self.number = self.folded;
            self.clear();
        }
        self.cut(Some(is_failed));
        self.full
    }

    fn endpoint(&mut self, json: &str) -> Result<(), RowFault> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Named<'j> {
            #[serde(borrow)]
            id: Cow<'j, str>,
        }
        let Named { id } = serde_json::from_str(json).map_err(|fault| RowFault(fault.to_string()))?;
        check_endpoint_id(&id).map_err(|invalid| RowFault(invalid.0))?;
        self.make_room(json.len());
        self.bytes += json.len();
        self.endpoints.push((id.into_owned(), json.to_owned()));
        Ok(())
    }

    fn user(&mut self, id: &str) -> Result<(), RowFault> {
        if id.chars().count() > USER_ID_CHARACTERS_MAX {
            return Err(RowFault(format!("UserId has more than {USER_ID_CHARACTERS_MAX} characters")));
        }
        self.make_room(id.len());
        self.bytes += id.len();
        self.users.push(id.to_owned());
        Ok(())
    }

    /// Cuts the piece if another row does not go into it. Rows that failed count: who looks at the job sees it move.
    fn make_room(&mut self, bytes: usize) {
        let rows = self.endpoints.len() + self.users.len() + self.failed as usize;
        if rows >= PIECE_ROWS_MAX || (rows > 0 && self.bytes + bytes > PIECE_BYTES_MAX) {
            self.cut(None);
        }
    }

    fn cut(&mut self, last: Option<bool>) {
        if self.number >= self.folded {
            let record = self.record(last);
            self.full.push(record);
        }
        self.number += 1;
        self.clear();
    }

    fn clear(&mut self) {
        self.endpoints.clear();
        self.users.clear();
        self.failures.clear();
        self.bytes = 0;
        self.failed = 0;
    }

    fn record(&self, last: Option<bool>) -> Bytes {
        let Header { app, job, segment, register } = &self.header;
        let piece = ImportPiece {
            job,
            number: self.number,
            segment: segment.as_ref().map(|(segment, version)| (segment.as_str(), *version)),
            endpoints: self.endpoints.iter().map(|(id, json)| EndpointItem { id, json }).collect(),
            users: self.users.iter().map(String::as_str).collect(),
            register: *register,
            failed: self.failed,
            failures: self.failures.iter().map(String::as_str).collect(),
            last,
        };
        let record = Record {
            account: app.account.as_str(),
            app: app.app.as_str(),
            request_id: job,
            body: if self.may_create { Body::Import { piece } } else { Body::ImportOfKnown { piece } },
        };
        record.encode().into()
    }
}

/// A text that a job may show: a fault can quote as much of a row as it likes.
pub(crate) fn shortened(text: String) -> String {
    match text.char_indices().nth(FAILURE_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
