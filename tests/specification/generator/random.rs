//! Random numbers from a seed: xorshift64*.

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
        let mut random = Self(mixed.max(1)); // Zero would stay zero.
        for _ in 0..4 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("a small number");
        usize::try_from(self.next() % limit).expect("a smaller number")
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// One of several, by weight.
    pub(crate) fn weighted<T: Clone>(&mut self, of: &[(usize, T)]) -> T {
        let mut at = self.below(of.iter().map(|(weight, _)| weight).sum());
        let chosen = of.iter().find(|(weight, _)| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        chosen.expect("below the total").1.clone()
    }

    /// The text with the case of some letters changed.
    pub(crate) fn recased(&mut self, text: &str) -> String {
        match self.below(3) {
            0 => text.to_lowercase(),
            1 => text.to_uppercase(),
            _ => {
                let mut flip = |c: char| {
                    if self.chance(50) { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
                };
                text.chars().map(&mut flip).collect()
            }
        }
    }
}
