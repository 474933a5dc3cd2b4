//! Numbers that look drawn, the same from the same seed in every run.

/// Draws numbers by SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). Good enough
/// to choose what a test does next, and for nothing else.
#[derive(Debug, Clone)]
pub struct Lots(u64);

impl Lots {
    /// Those of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number from 0 to `end` - 1.
    ///
    /// # Panics
    /// When `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// A place in a list of so many.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("less than a length")
    }

    /// Others, which these choose.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.draw())
    }
}
