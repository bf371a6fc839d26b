//! Python's random numbers, so that examples are drawn as lm-evaluation-harness draws them. Nothing else uses them.
//!
//! Source: the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), seeded with an array as CPython's
//! `random.Random(seed)` does, and `Random.sample` of CPython's Lib/random.py.

use std::collections::HashSet;

const SIZE: usize = 624;
const MIDDLE: usize = 397;

/// `random.Random(seed)` of a seed below 2³².
#[derive(Debug, Clone)]
pub(crate) struct Mersenne {
    state: [u32; SIZE],
    next: usize,
}

impl Mersenne {
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [0_u32; SIZE];
        state[0] = 19_650_218;
        for place in 1..SIZE {
            let before = state[place - 1];
            state[place] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(place as u32);
        }
        // The key has one word, so what it adds is the same in every step.
        let mut place = 1;
        let mut mix = |state: &mut [u32; SIZE], factor: u32, added: &dyn Fn(usize) -> u32| {
            let before = state[place - 1];
            state[place] = (state[place] ^ (before ^ (before >> 30)).wrapping_mul(factor)).wrapping_add(added(place));
            place += 1;
            if place == SIZE {
                state[0] = state[SIZE - 1];
                place = 1;
            }
        };
        for _ in 0..SIZE {
            mix(&mut state, 1_664_525, &|_| seed);
        }
        for _ in 1..SIZE {
            mix(&mut state, 1_566_083_941, &|place| (place as u32).wrapping_neg());
        }
        state[0] = 1 << 31;
        Self { state, next: SIZE }
    }

    /// 32 random bits.
    fn bits(&mut self) -> u32 {
        if self.next == SIZE {
            for place in 0..SIZE {
                let joined = (self.state[place] & (1 << 31)) | (self.state[(place + 1) % SIZE] & !(1 << 31));
                let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[place] = self.state[(place + MIDDLE) % SIZE] ^ (joined >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut bits = self.state[self.next];
        self.next += 1;
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c_5680;
        bits ^= (bits << 15) & 0xefc6_0000;
        bits ^ (bits >> 18)
    }

    /// A number below `limit`, which is at least 1.
    fn below(&mut self, limit: usize) -> usize {
        let width = usize::BITS - limit.leading_zeros();
        loop {
            let number = (self.bits() >> (32 - width)) as usize;
            if number < limit {
                return number;
            }
        }
    }

    /// So many different places of `total`, fewer than 2³², in the order in which they are drawn; all of them where there are
    /// no more.
    pub(crate) fn sample(&mut self, total: usize, count: usize) -> Vec<usize> {
        let count = count.min(total);
        let mut limit = 21;
        if count > 5 {
            let mut more = 1;
            while more < 3 * count {
                more *= 4;
            }
            limit += more;
        }
        if total <= limit {
            let mut pool: Vec<usize> = (0..total).collect();
            let draw = |step: usize| {
                let place = self.below(total - step);
                let drawn = pool[place];
                pool[place] = pool[total - step - 1];
                drawn
            };
            return (0..count).map(draw).collect();
        }
        let mut drawn = HashSet::new();
        let mut draw = || loop {
            let place = self.below(total);
            if drawn.insert(place) {
                return place;
            }
        };
        (0..count).map(|_| draw()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From CPython 3: `r = random.Random(1234); [r.sample(range(7473), 5) for _ in range(1319)]`, and the like.
    #[test]
    fn places_are_drawn_as_python_draws_them() {
        let mut random = Mersenne::new(1234);
        let drawn: Vec<Vec<usize>> = (0..1319).map(|_| random.sample(7473, 5)).collect();
        assert_eq!(
            drawn[..3],
            [[6374, 3610, 957, 61, 742], [7462, 6610, 4769, 286, 5501], [5677, 687, 806, 6279, 2905]]
        );
        // Behind 6,595 draws, the state was made anew ten times.
        assert_eq!(drawn[1318], [220, 4179, 6064, 5599, 5541]);
        let mut random = Mersenne::new(7);
        assert_eq!(random.sample(12, 5), [5, 2, 6, 0, 1]);
        assert_eq!(random.sample(5, 9), [4, 0, 1, 3, 2]);
        assert_eq!(random.sample(100, 9), [4, 11, 55, 53, 8, 30, 70, 54, 7]);
    }
}
