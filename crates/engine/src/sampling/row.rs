//! One row of logits: its maxima, and its tokens in falling order as far as they are needed.

/// Tokens under one maximum: as many as get their noise at once.
pub(super) const CHUNK: usize = super::noise::LANES;

/// Numbers that are compared at once.
const LANES: usize = 32;

/// Bits of a single-precision number without its sign; those of a number that is not finite are not below [`INFINITE`].
const MAGNITUDE: u32 = 0x7fff_ffff;
const INFINITE: u32 = 0x7f80_0000;

/// A token and its logit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Token {
    pub(super) token: u32,
    pub(super) logit: f32,
}

/// A finite row of logits with at least one token that may be chosen.
pub(super) struct Row<'a> {
    logits: &'a [f32],
    /// Ascending.
    suppress: &'a [u32],
    /// Largest logit of each chunk's tokens that may be chosen, negative infinity where there is none.
    maxima: Vec<f32>,
}

impl<'a> Row<'a> {
    /// `None` when a logit is not finite or no token is left.
    pub(super) fn new(logits: &'a [f32], suppress: &'a [u32]) -> Option<Self> {
        let mut largest_magnitude = 0;
        let maximum = |chunk: &[f32]| {
            let (maximum, magnitude) = maximum_and_magnitude(chunk);
            largest_magnitude = largest_magnitude.max(magnitude);
            maximum
        };
        let mut row = Self { logits, suppress, maxima: logits.chunks(CHUNK).map(maximum).collect() };
        if largest_magnitude >= INFINITE {
            return None;
        }
        for &token in suppress {
            let chunk = token as usize / CHUNK;
            if chunk < row.maxima.len() {
                row.maxima[chunk] = row.tokens(chunk).map(|token| token.logit).fold(f32::NEG_INFINITY, f32::max);
            }
        }
        row.maxima.iter().any(|maximum| maximum.is_finite()).then_some(row)
    }

    pub(super) fn chunks(&self) -> usize {
        self.maxima.len()
    }

    /// Largest logit of a chunk.
    pub(super) fn maximum(&self, chunk: usize) -> f32 {
        self.maxima[chunk]
    }

    /// The first chunk with the largest logit.
    pub(super) fn likeliest_chunk(&self) -> usize {
        let likelier = |best, chunk| if self.maxima[chunk] > self.maxima[best] { chunk } else { best };
        (0..self.maxima.len()).fold(0, likelier)
    }

    /// The tokens of a chunk that may be chosen.
    pub(super) fn tokens(&self, chunk: usize) -> impl Iterator<Item = Token> {
        let first = chunk * CHUNK;
        let logits = &self.logits[first..self.logits.len().min(first + CHUNK)];
        let tokens = (first as u32..).zip(logits).map(|(token, &logit)| Token { token, logit });
        tokens.filter(|token| self.suppress.binary_search(&token.token).is_err())
    }

    /// Tokens in falling order of logits, of equals the lower first: about `count` of the largest with all that equal
    /// the last of them, and whether these are all tokens.
    pub(super) fn largest(&self, count: usize) -> (Vec<Token>, bool) {
        // As many chunks as tokens are wanted have a maximum of at least this, and so as many tokens a logit.
        let least = if count < self.maxima.len() / 2 {
            let mut maxima = self.maxima.clone();
            *maxima.select_nth_unstable_by(count.max(1) - 1, |a, b| b.total_cmp(a)).1
        } else {
            f32::NEG_INFINITY
        };
        let mut keys = Vec::new();
        for (chunk, &maximum) in self.maxima.iter().enumerate() {
            if maximum >= least {
                keys.extend(self.tokens(chunk).filter(|token| token.logit >= least).map(falling_key));
            }
        }
        keys.sort_unstable();
        (keys.into_iter().map(of_falling_key).collect(), least == f32::NEG_INFINITY)
    }

    /// Σ exp((logit − `largest`) / temperature) over the tokens that may be chosen.
    pub(super) fn mass(&self, largest: f64, per_temperature: f64) -> f64 {
        let share = |logit: f32| exp((f64::from(logit) - largest) * per_temperature);
        let mut sums = [0.0; CHUNK];
        for (_, stretch) in stretches(self.logits, self.suppress) {
            let (blocks, rest) = stretch.as_chunks::<CHUNK>();
            for block in blocks {
                // So long that the compiler keeps it a loop, which it turns into vectors; eight would be unrolled.
                for lane in 0..CHUNK {
                    sums[lane] += share(block[lane]);
                }
            }
            sums[0] += rest.iter().map(|&logit| share(logit)).sum::<f64>();
        }
        sums.iter().sum()
    }
}

/// A number that falls as the logit rises, and of equal logits rises with the token.
fn falling_key(Token { token, logit }: Token) -> u64 {
    // Adding 0 makes −0 and 0 equal.
    let bits = (logit + 0.0).to_bits();
    let rising = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(!rising) << 32 | u64::from(token)
}

fn of_falling_key(key: u64) -> Token {
    let rising = !((key >> 32) as u32);
    let bits = if rising >> 31 == 1 { rising & MAGNITUDE } else { !rising };
    Token { token: key as u32, logit: f32::from_bits(bits) }
}

/// The largest and the second largest of some numbers, and where the largest is first.
pub(super) struct Leaders {
    pub(super) best: f32,
    pub(super) second: f32,
    /// `None` for no numbers.
    pub(super) position: Option<usize>,
}

/// One pass over the numbers; `None` when one of them is not finite.
pub(super) fn leaders(numbers: &[f32]) -> Option<Leaders> {
    /// Numbers between two looks at which block holds the largest.
    const BLOCK: usize = 4096;
    let mut all = Lanes::<1>::EMPTY;
    let mut best_block = (0, &numbers[..0]);
    for (number, block) in numbers.chunks(BLOCK).enumerate() {
        let mut lanes = Lanes::<LANES>::EMPTY;
        let (groups, rest) = block.as_chunks();
        groups.iter().for_each(|group| lanes.take(group));
        let mut found = lanes.merged();
        rest.iter().for_each(|&number| found.take(&[number]));
        if found.best[0] > all.best[0] {
            best_block = (number * BLOCK, block);
        }
        all.merge(&found);
    }
    let [best] = all.best;
    let position = best_block.1.iter().position(|&number| number == best).map(|position| best_block.0 + position);
    (all.magnitude[0] < INFINITE).then_some(Leaders { best, second: all.second[0], position })
}

/// The largest, the second largest and the largest magnitude of the numbers that each lane has seen.
struct Lanes<const N: usize> {
    best: [f32; N],
    second: [f32; N],
    magnitude: [u32; N],
}

impl<const N: usize> Lanes<N> {
    const EMPTY: Self = Self { best: [f32::NEG_INFINITY; N], second: [f32::NEG_INFINITY; N], magnitude: [0; N] };

    #[inline(always)]
    fn take(&mut self, numbers: &[f32; N]) {
        for (lane, &number) in numbers.iter().enumerate() {
            self.second[lane] = larger(self.second[lane], smaller(self.best[lane], number));
            self.best[lane] = larger(self.best[lane], number);
            self.magnitude[lane] = self.magnitude[lane].max(number.to_bits() & MAGNITUDE);
        }
    }

    fn merged(&self) -> Lanes<1> {
        let mut merged = Lanes::EMPTY;
        for lane in 0..N {
            let [best, second] = [self.best, self.second].map(|numbers| [numbers[lane]]);
            merged.merge(&Lanes { best, second, magnitude: [self.magnitude[lane]] });
        }
        merged
    }
}

impl Lanes<1> {
    fn merge(&mut self, other: &Self) {
        let loser = smaller(self.best[0], other.best[0]);
        self.second[0] = larger(loser, larger(self.second[0], other.second[0]));
        self.best[0] = larger(self.best[0], other.best[0]);
        self.magnitude[0] = self.magnitude[0].max(other.magnitude[0]);
    }
}

fn maximum_and_magnitude(numbers: &[f32]) -> (f32, u32) {
    let (mut best, mut magnitude) = ([f32::NEG_INFINITY; LANES], [0; LANES]);
    let (groups, rest) = numbers.as_chunks::<LANES>();
    for group in groups {
        for lane in 0..LANES {
            best[lane] = larger(best[lane], group[lane]);
            magnitude[lane] = u32::max(magnitude[lane], group[lane].to_bits() & MAGNITUDE);
        }
    }
    for &number in rest {
        best[0] = larger(best[0], number);
        magnitude[0] = magnitude[0].max(number.to_bits() & MAGNITUDE);
    }
    // By halves, because one after another is slower than the pass itself.
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            best[lane] = larger(best[lane], best[lane + width]);
            magnitude[lane] = magnitude[lane].max(magnitude[lane + width]);
        }
    }
    (best[0], magnitude[0])
}

/// Unlike `f32::max`, one instruction: what comes of numbers that are none does not matter, the magnitudes show them.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The stretches of logits between suppressed tokens, each with its first token. `suppress` is ascending.
pub(super) fn stretches<'a>(logits: &'a [f32], suppress: &'a [u32]) -> impl Iterator<Item = (usize, &'a [f32])> {
    let ends = suppress.iter().map(|&token| token as usize).filter(|&token| token < logits.len());
    let mut start = 0;
    ends.chain([logits.len()]).map(move |end| {
        let first = start.min(end);
        start = end + 1;
        (first, &logits[first..end])
    })
}

/// eˣ for x of at most 0, within 2 units in the last place, 0 below −708; without branches, so that it runs on several
/// numbers at once. x = n · ln 2 + r with ln 2 in two parts (Cody and Waite 1980), then the Taylor series of eʳ.
pub(super) fn exp(x: f64) -> f64 {
    /// Adding 1.5 · 2⁵² rounds to a whole number and leaves it in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// The upper bits of ln 2, so that its product with n is exact, and the rest.
    const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    /// 1 / k! for k from 13 down to 0.
    const TERMS: [f64; 14] = {
        let mut terms = [1.0; 14];
        let mut k = 1;
        while k < 14 {
            terms[13 - k] = terms[14 - k] / k as f64;
            k += 1;
        }
        terms
    };
    let bounded = if x > -708.0 { x } else { -708.0 };
    let shifted = bounded * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (bounded - n * LN_2[0]) - n * LN_2[1];
    let series = TERMS.iter().fold(0.0, |sum, term| sum * r + term);
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    if x > -708.0 { series * power } else { 0.0 }
}
