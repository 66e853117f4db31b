//! A dense set of rows: 64 to a word.

/// Rows, as bits.
#[derive(Debug, Clone, Default)]
pub(super) struct Bitset {
    words: Vec<u64>,
}

impl PartialEq for Bitset {
    fn eq(&self, other: &Self) -> bool {
        self.ones().eq(other.ones())
    }
}

impl Eq for Bitset {}

impl Bitset {
    pub(super) fn from_ones(rows: impl Iterator<Item = u32>) -> Self {
        let mut set = Self::default();
        rows.for_each(|row| {
            set.insert(row);
        });
        set
    }

    /// Answers whether the row is new.
    pub(super) fn insert(&mut self, row: u32) -> bool {
        let (word, bit) = place(row);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    pub(super) fn remove(&mut self, row: u32) {
        let (word, bit) = place(row);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(super) fn contains(&self, row: u32) -> bool {
        let (word, bit) = place(row);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn clear(&mut self) {
        self.words.fill(0);
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    /// The rows, rising.
    pub(super) fn ones(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).zip(&self.words).flat_map(|(number, word)| Ones(*word).map(move |bit| number * 64 + bit))
    }

    pub(super) fn intersect(&mut self, other: &Self) {
        self.words.truncate(other.words.len());
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    pub(super) fn unite(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other);
    }

    /// Leaves the rows whose value passes; rows beyond the column pass if `absent_passes`.
    pub(super) fn retain<T>(&mut self, column: &[T], passes: impl Fn(&T) -> bool, absent_passes: bool) {
        for (number, word) in self.words.iter_mut().enumerate() {
            if *word == 0 {
                continue;
            }
            let first = (number * 64).min(column.len());
            let values = &column[first..(first + 64).min(column.len())];
            // All 64 at once: without a branch for each row this is what the machine does fastest.
            let mut mask = 0u64;
            for (bit, value) in values.iter().enumerate() {
                mask |= u64::from(passes(value)) << bit;
            }
            if absent_passes && values.len() < 64 {
                mask |= u64::MAX << values.len();
            }
            *word &= mask;
        }
    }

    /// Leaves the rows that pass, asking only for those that are in the set: for tests that cost more than a look-up.
    pub(super) fn retain_rows(&mut self, passes: impl Fn(u32) -> bool) {
        for (number, word) in (0u32..).zip(&mut self.words) {
            for bit in Ones(*word) {
                if !passes(number * 64 + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
    }
}

/// The bits of a word, lowest first.
struct Ones(u64);

impl Iterator for Ones {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros();
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

fn place(row: u32) -> (usize, u64) {
    (row as usize / 64, 1 << (row % 64))
}
