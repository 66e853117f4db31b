//! Numbers that look random and are the same in every run: `SplitMix64`.

pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number less than `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        // The high half is below `end`, and so fits.
        ((u64::from(end) * (self.next() >> 32)) >> 32) as u32
    }

    /// One of some things, each as likely as the other. There must be one.
    pub(super) fn pick<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len() as u32) as usize]
    }

    /// One of some things, each as likely as its number says.
    pub(super) fn pick_weighted<'t, T>(&mut self, things: &'t [T], weight: impl Fn(&T) -> u32) -> &'t T {
        let mut rest = self.below(things.iter().map(&weight).sum());
        for thing in things {
            if rest < weight(thing) {
                return thing;
            }
            rest -= weight(thing);
        }
        // Not reached where a weight is more than none.
        &things[0]
    }

    /// True in so many of 1,000 cases.
    pub(super) fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < per_mille
    }
}
