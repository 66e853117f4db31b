//! One field of all rows: a code for each row, a dictionary of lists of values.
//!
//! A code that no row has any more is given to the next new list, so a column of values that never come again (a date of the
//! last visit, say) has no more codes than there were rows at a time. Rejected: numbering the codes anew when most are dead.
//! That is a pass over all rows now and then, for the same bound.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::endpoints::Text;
use domain::segments::ValueTest;

use super::bitset::Bitset;

/// Code 0: the row has no value.
const ABSENT: u32 = 0;

/// Codes as narrow as the dictionary allows: a column of a million rows and few values is a megabyte.
#[derive(Debug)]
enum Codes {
    Narrow(Vec<u8>),
    Middle(Vec<u16>),
    Wide(Vec<u32>),
}

impl Default for Codes {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

/// A dictionary-coded column.
#[derive(Debug, Default)]
pub(super) struct Column {
    codes: Codes,
    /// What each code from 1 on stands for.
    entries: Vec<Entry>,
    by_list: HashMap<Arc<[Text]>, u32>,
    /// Codes of lists with more than one value: a test for equality has to look at them one by one.
    several: HashSet<u32>,
    /// Codes that no row has.
    free: Vec<u32>,
    /// Bytes of the texts in all lists.
    text_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// Empty while no row has the code.
    list: Arc<[Text]>,
    rows: u32,
}

impl Column {
    /// Sets the values of a row; an empty list clears it.
    pub(super) fn set(&mut self, row: u32, values: &[Text]) {
        // The new list first: a row that keeps its values keeps their code.
        let code = if values.is_empty() { ABSENT } else { self.take(values) };
        let before = self.codes.replace(row as usize, code);
        self.release(before);
    }

    /// The code of a list, for one row more.
    fn take(&mut self, values: &[Text]) -> u32 {
        if let Some(code) = self.by_list.get(values) {
            self.entries[*code as usize - 1].rows += 1;
            return *code;
        }
        let list: Arc<[Text]> = values.into();
        self.text_bytes += text_bytes(&list);
        let entry = Entry { list: Arc::clone(&list), rows: 1 };
        let code = if let Some(code) = self.free.pop() {
            self.entries[code as usize - 1] = entry;
            code
        } else {
            self.entries.push(entry);
            self.entries.len() as u32
        };
        self.by_list.insert(list, code);
        if values.len() > 1 {
            self.several.insert(code);
        }
        self.codes.widen_for(code);
        code
    }

    /// A row has the code no more.
    fn release(&mut self, code: u32) {
        if code == ABSENT {
            return;
        }
        let entry = &mut self.entries[code as usize - 1];
        entry.rows -= 1;
        if entry.rows > 0 {
            return;
        }
        let list = std::mem::take(&mut entry.list);
        self.by_list.remove(&list);
        self.several.remove(&code);
        self.text_bytes -= text_bytes(&list);
        self.free.push(code);
    }

    /// Leaves the rows whose values pass.
    pub(super) fn narrow(&self, members: &mut Bitset, test: &ValueTest) {
        let verdicts = self.judge(test);
        let absent = verdicts[0];
        match &self.codes {
            Codes::Narrow(codes) => {
                // A table of 256 needs no bounds check.
                let mut table = [false; 256];
                table.iter_mut().zip(&verdicts).for_each(|(place, verdict)| *place = *verdict);
                members.retain(codes, |code| table[usize::from(*code)], absent);
            }
            Codes::Middle(codes) => members.retain(codes, |code| verdicts[usize::from(*code)], absent),
            Codes::Wide(codes) => members.retain(codes, |code| verdicts[*code as usize], absent),
        }
    }

    /// The verdict for each row.
    pub(super) fn judge_rows(&self, test: &ValueTest) -> Vec<bool> {
        let verdicts = self.judge(test);
        match &self.codes {
            Codes::Narrow(codes) => codes.iter().map(|code| verdicts[usize::from(*code)]).collect(),
            Codes::Middle(codes) => codes.iter().map(|code| verdicts[usize::from(*code)]).collect(),
            Codes::Wide(codes) => codes.iter().map(|code| verdicts[*code as usize]).collect(),
        }
    }

    /// The verdict for each code, the absent value first.
    fn judge(&self, test: &ValueTest) -> Vec<bool> {
        let (ValueTest::Inclusive(listed) | ValueTest::Exclusive(listed)) = test else {
            let lists = self.entries.iter().map(|entry| test.matches(&entry.list));
            return std::iter::once(test.matches(&[])).chain(lists).collect();
        };
        // Equality finds lists of one value by their hash.
        let otherwise = matches!(test, ValueTest::Exclusive(_));
        let mut verdicts = vec![otherwise; self.entries.len() + 1];
        for value in listed {
            if let Some(code) = self.by_list.get(std::slice::from_ref(value)) {
                verdicts[*code as usize] = !otherwise;
            }
        }
        for code in &self.several {
            verdicts[*code as usize] = test.matches(&self.entries[*code as usize - 1].list);
        }
        verdicts
    }

    pub(super) fn bytes(&self) -> usize {
        let several = self.several.capacity() * 5;
        let entries = self.entries.capacity() * size_of::<Entry>() + self.free.capacity() * 4;
        self.text_bytes + entries + self.by_list.capacity() * 25 + several + self.codes.bytes()
    }
}

/// Bytes that a list takes in memory.
fn text_bytes(list: &[Text]) -> usize {
    let own = |text: &Text| if text.is_heap_allocated() { text.capacity() } else { 0 };
    16 + list.iter().map(|text| own(text) + size_of::<Text>()).sum::<usize>()
}

impl Codes {
    /// Sets the code of a row and answers the one that it had.
    fn replace(&mut self, row: usize, code: u32) -> u32 {
        fn put<T: Copy + Default + Into<u32>>(
            codes: &mut Vec<T>,
            row: usize,
            code: T,
            is_absent: bool,
        ) -> u32 {
            if codes.len() <= row {
                if is_absent {
                    return ABSENT;
                }
                codes.resize(row + 1, T::default());
            }
            std::mem::replace(&mut codes[row], code).into()
        }
        match self {
            Self::Narrow(codes) => put(codes, row, code as u8, code == ABSENT),
            Self::Middle(codes) => put(codes, row, code as u16, code == ABSENT),
            Self::Wide(codes) => put(codes, row, code, code == ABSENT),
        }
    }

    fn widen_for(&mut self, code: u32) {
        match self {
            Self::Narrow(codes) if code > u32::from(u8::MAX) => {
                *self = Self::Middle(codes.iter().map(|code| u16::from(*code)).collect());
            }
            Self::Middle(codes) if code > u32::from(u16::MAX) => {
                *self = Self::Wide(codes.iter().map(|code| u32::from(*code)).collect());
            }
            Self::Narrow(_) | Self::Middle(_) | Self::Wide(_) => {}
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Narrow(codes) => codes.capacity(),
            Self::Middle(codes) => codes.capacity() * 2,
            Self::Wide(codes) => codes.capacity() * 4,
        }
    }
}
