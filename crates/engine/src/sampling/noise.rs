//! Noise from a counter: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
//! (2011). What a number is depends on its key alone, not on what was drawn before.

use super::ChoiceKey;
use super::row::Token;

/// Multipliers and key increments of the paper's Philox4x32.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const INCREMENTS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Counters that are encrypted at once: so many that the compiler keeps the loop over them and turns it into vectors.
pub(super) const LANES: usize = 64;

/// Version of the noise: the fourth word of the counter from which a choice's own key comes.
const VERSION: u32 = 1;

/// Spacing of the uniform numbers, 2⁻⁵².
const STEP: f64 = 1.0 / (1_u64 << 52) as f64;

/// No Gumbel noise is larger: −ln(−ln(1 − 2⁻⁵³)) < 36.8.
pub(super) const LARGEST_GUMBEL: f64 = 36.8;

/// The noise of one choice, a number for each token.
pub(super) struct Noise {
    key: [u32; 2],
    /// Words 1 to 3 of the counter; word 0 is the token.
    counter: [u32; 3],
}

impl Noise {
    /// Question and draw, encrypted by the seed, become the key and half of the counter. Encryption is one to one, so
    /// under one seed no two tokens of different choices share key and counter.
    pub(super) fn new(seed: u64, key: ChoiceKey) -> Self {
        let [low, high] = halves(key.question);
        let [first, second, third, fourth] = philox([low, high, key.draw, VERSION], halves(seed));
        Self { key: [first, second], counter: [key.position, third, fourth] }
    }

    /// The high and the low half of 64 random bits of each of the tokens.
    fn bits(&self, tokens: &[u32; LANES]) -> [[u32; LANES]; 2] {
        let [second, third, fourth] = self.counter;
        let (mut high, mut low) = ([0; LANES], [0; LANES]);
        for lane in 0..LANES {
            [high[lane], low[lane], ..] = philox([tokens[lane], second, third, fourth], self.key);
        }
        [high, low]
    }

    /// Whether one of the [`LANES`] tokens from `first` on may have random bits of at least `least`.
    pub(super) fn any_from(&self, first: u32, least: u64) -> bool {
        let [high, _] = self.bits(&std::array::from_fn(|lane| first + lane as u32));
        high.iter().fold(0, |largest, &word| u32::max(largest, word)) >= (least >> 32) as u32
    }

    /// Calls `take` with every token whose random bits are at least `least`, and its Gumbel noise.
    pub(super) fn each_from(&self, tokens: &[Token], least: u64, mut take: impl FnMut(Token, f64)) {
        for tokens in tokens.chunks(LANES) {
            let mut numbers = [0; LANES];
            numbers.iter_mut().zip(tokens).for_each(|(number, token)| *number = token.token);
            let [high, low] = self.bits(&numbers);
            for (&token, (high, low)) in tokens.iter().zip(high.into_iter().zip(low)) {
                let bits = u64::from(high) << 32 | u64::from(low);
                if bits >= least {
                    take(token, gumbel(bits));
                }
            }
        }
    }
}

/// −ln(−ln u) with u = (the upper 52 bits + ½) / 2⁵², which is inside (0, 1) and exact.
pub(super) fn gumbel(bits: u64) -> f64 {
    let share = ((bits >> 12) as f64 + 0.5) * STEP;
    -(-share.ln()).ln()
}

/// Random bits below this give a Gumbel noise below `least`; a little is taken off for rounding.
pub(super) fn least_bits(least: f64) -> u64 {
    /// 2⁶⁴.
    const ALL: f64 = 18_446_744_073_709_551_616.0;
    // Above 30 the share is too near 1 for the difference to be kept.
    let share = (-(-least.min(30.0)).exp()).exp() * (1.0 - 1e-12) - 1e-13;
    // Saturates at 0.
    (share * ALL) as u64
}

fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// Philox4x32-10 of a counter.
#[inline(always)]
fn philox([mut first, mut second, mut third, mut fourth]: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let low = u64::from(first) * u64::from(MULTIPLIERS[0]);
        let high = u64::from(third) * u64::from(MULTIPLIERS[1]);
        first = (high >> 32) as u32 ^ second ^ key[0];
        second = high as u32;
        third = (low >> 32) as u32 ^ fourth ^ key[1];
        fourth = low as u32;
        key = [key[0].wrapping_add(INCREMENTS[0]), key[1].wrapping_add(INCREMENTS[1])];
    }
    [first, second, third, fourth]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `tests/kat_vectors` of Random123, the authors' library.
    #[test]
    fn philox_gives_the_published_vectors() {
        for (counter, key, expected) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn the_rarest_noise_is_finite_and_the_mark_lets_no_larger_one_pass() {
        assert!(gumbel(0).is_finite() && gumbel(u64::MAX) < LARGEST_GUMBEL && gumbel(u64::MAX) > 36.7);
        for step in 0..4000_u32 {
            let least = f64::from(step) * 0.01 - 3.5;
            let mark = least_bits(least);
            assert!(mark == 0 || gumbel(mark - 1) < least, "{least}");
            // The mark is no lower than it must be: the noise it lets pass is near the wanted one.
            let loose = !(-3.0..20.0).contains(&least) || gumbel(mark) > least - 0.01;
            assert!(loose, "{least}: {}", gumbel(mark));
        }
        assert_eq!(least_bits(f64::NEG_INFINITY), 0);
    }

    #[test]
    fn every_part_of_the_key_changes_the_noise() {
        let key = ChoiceKey { question: 7, draw: 0, position: 3 };
        let of = |noise: &Noise, tokens: &[u32; LANES], lane: usize| noise.bits(tokens).map(|half| half[lane]);
        let bits = |seed, key| of(&Noise::new(seed, key), &[5; LANES], 0);
        let mut seen: Vec<[u32; 2]> = [
            (1, key),
            (1 << 40, key),
            (1, ChoiceKey { question: 8, ..key }),
            (1, ChoiceKey { question: 7 << 40, ..key }),
            (1, ChoiceKey { draw: 1, ..key }),
            (1, ChoiceKey { position: 4, ..key }),
        ]
        .map(|(seed, key)| bits(seed, key))
        .to_vec();
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
        let noise = Noise::new(1, key);
        let tokens = std::array::from_fn(|lane| lane as u32);
        assert_eq!(of(&noise, &tokens, 5), bits(1, key));
        assert_ne!(of(&noise, &tokens, 5), of(&noise, &tokens, 6));
    }
}
