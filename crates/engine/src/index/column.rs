//! One field of all rows: a code for each row, a dictionary of lists of values.

use std::collections::HashMap;
use std::sync::Arc;

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
    /// The list of each code from 1 on.
    lists: Vec<Arc<[String]>>,
    by_list: HashMap<Arc<[String]>, u32>,
    /// Codes of lists with more than one value: a test for equality has to look at them one by one.
    several: Vec<u32>,
}

impl Column {
    /// Sets the values of a row; an empty list clears it.
    pub(super) fn set(&mut self, row: u32, values: &[String]) {
        let code = if values.is_empty() { ABSENT } else { self.code(values) };
        self.codes.set(row as usize, code);
    }

    fn code(&mut self, values: &[String]) -> u32 {
        if let Some(code) = self.by_list.get(values) {
            return *code;
        }
        let list: Arc<[String]> = values.into();
        self.lists.push(Arc::clone(&list));
        let code = self.lists.len() as u32;
        self.by_list.insert(list, code);
        if values.len() > 1 {
            self.several.push(code);
        }
        self.codes.widen_for(code);
        code
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
        let listed = match test {
            ValueTest::Inclusive(listed) | ValueTest::Exclusive(listed) => listed,
            _ => {
                let lists = self.lists.iter().map(|list| test.matches(list));
                return std::iter::once(test.matches(&[])).chain(lists).collect();
            }
        };
        // Equality finds lists of one value by their hash.
        let otherwise = matches!(test, ValueTest::Exclusive(_));
        let mut verdicts = vec![otherwise; self.lists.len() + 1];
        for value in listed {
            if let Some(code) = self.by_list.get(std::slice::from_ref(value)) {
                verdicts[*code as usize] = !otherwise;
            }
        }
        for code in &self.several {
            verdicts[*code as usize] = test.matches(&self.lists[*code as usize - 1]);
        }
        verdicts
    }

    pub(super) fn bytes(&self) -> usize {
        let texts: usize = self.lists.iter().flat_map(|list| list.iter()).map(|text| text.capacity() + 24).sum();
        // An entry stands once in the list and once in the map.
        texts + self.lists.len() * (16 + 16 + 24) + self.codes.bytes()
    }
}

impl Codes {
    fn set(&mut self, row: usize, code: u32) {
        fn put<T: Copy + Default>(codes: &mut Vec<T>, row: usize, code: T, is_absent: bool) {
            if codes.len() <= row {
                if is_absent {
                    return;
                }
                codes.resize(row + 1, T::default());
            }
            codes[row] = code;
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
            _ => {}
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
