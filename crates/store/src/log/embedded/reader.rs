//! Reading what is on disk.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::Shared;
use super::frame::{Damage, POSITIONS_HAVE_A_GAP};
use super::groups::{Group, Page};
use super::segment::{Frames, NoFrame, Segment, failed};
use crate::log::{LogError, Position};

impl Shared {
    /// Fills a page from the file that holds its first position. Blocks.
    pub(super) fn read_page(&self, mut page: Page) -> Result<Page, LogError> {
        let segment = self.segment_of(page.next)?;
        let file = match File::open(&segment.path) {
            Ok(file) => file,
            // trimmed between the two lines above, or else missing
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.segment_of(page.next)?;
                return Err(segment.corrupt(0, Damage("file is missing")));
            }
            Err(error) => return Err(failed(error)),
        };
        read_frames(self, &segment, &file, &mut page)?;
        if page.records.is_empty() {
            return Err(segment.corrupt(segment.durable_bytes(), POSITIONS_HAVE_A_GAP));
        }
        Ok(page)
    }

    /// The segment that holds a position which is before the end.
    fn segment_of(&self, position: Position) -> Result<Arc<Segment>, LogError> {
        let segments = self.lock_segments();
        let behind = segments.partition_point(|segment| segment.first <= position);
        match behind.checked_sub(1) {
            Some(index) => Ok(Arc::clone(&segments[index])),
            None => Err(LogError::Trimmed(segments[0].first)),
        }
    }
}

fn read_frames(shared: &Shared, segment: &Segment, file: &File, page: &mut Page) -> Result<(), LogError> {
    let bookmark = segment.bookmark(page.next);
    let mut expected = bookmark.position;
    let mut frames = Frames::new(file, segment.tag, bookmark.offset, segment.durable_bytes());
    let unreadable = |offset, no_frame| match no_frame {
        NoFrame::Damaged(damage) => segment.corrupt(offset, damage),
        NoFrame::Unreadable(error) => failed(error),
    };
    loop {
        let offset = frames.offset;
        let Some(header) = frames.header().map_err(|no_frame| unreadable(offset, no_frame))? else {
            return Ok(());
        };
        if header.first != expected {
            return Err(segment.corrupt(offset, POSITIONS_HAVE_A_GAP));
        }
        segment.remember(header.first, offset);
        expected = header.end();
        if header.end() > page.next {
            let stored = frames.body(&header).map_err(|no_frame| unreadable(offset, no_frame))?;
            let records = header.decode_body(stored).map_err(|damage| segment.corrupt(offset, damage))?;
            let group = Arc::new(Group { first: header.first, arrival: header.arrival, records });
            if !page.take(&group) {
                // the reader comes back for the rest of it
                shared.groups.push_decoded(group);
                return Ok(());
            }
        }
        frames.skip(&header);
    }
}
