//! Chance that repeats itself: the same seed throws the same numbers on every machine.

/// The step of splitmix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A small generator of numbers (splitmix64). Not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    /// A generator for the thing that `parts` name; the order of the parts matters.
    pub(super) fn new(parts: &[u64]) -> Rng {
        Rng(blend(parts))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        scatter(self.0)
    }

    /// Evenly from `[0, 1)`.
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.share() < probability
    }

    /// Evenly from `0..bound`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Log-normal by Box and Muller, in the unit of `median`.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.share()).cos();
        median * (sigma * normal).exp()
    }

    /// One of `choices`, each as often as its weight says.
    pub(super) fn weighted<'a, T>(&mut self, choices: &'a [(u32, T)]) -> &'a T {
        let total: u64 = choices.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            match left.checked_sub(u64::from(*weight)) {
                Some(rest) => left = rest,
                None => return choice,
            }
        }
        let (_, last) = choices.last().expect("the tables of this room are never empty");
        last
    }
}

/// One number out of many.
pub(super) fn blend(parts: &[u64]) -> u64 {
    parts.iter().fold(STEP, |sum, part| scatter(sum.rotate_left(5) ^ scatter(part.wrapping_add(STEP))))
}

/// A number for a text (FNV-1a, scattered).
pub(super) fn number_of(text: &str) -> u64 {
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    scatter(sum)
}

fn scatter(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_the_published_numbers() {
        let mut rng = Rng(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn log_normal_has_its_median_and_spread() {
        let mut rng = Rng::new(&[7]);
        let mut draws: Vec<f64> = (0..20_001).map(|_| rng.log_normal(4.0, 1.2)).collect();
        draws.sort_by(f64::total_cmp);
        assert!((draws[10_000] / 4.0 - 1.0).abs() < 0.05, "median {}", draws[10_000]);
        // One sigma above the median lies at the 84.13th of a hundred.
        let above = draws[16_827] / (4.0 * 1.2f64.exp());
        assert!((above - 1.0).abs() < 0.06, "84th percentile off by {above}");
    }

    #[test]
    fn weights_are_kept() {
        let mut rng = Rng::new(&[1, 2]);
        let mut seen = [0u32; 3];
        for _ in 0..10_000 {
            seen[*rng.weighted(&[(1, 0usize), (0, 1), (3, 2)])] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((2_300..2_700).contains(&seen[0]), "{seen:?}");
    }
}
