use super::*;

fn noise(count: usize, seed: usize) -> Vec<f32> {
    // The finaliser of splitmix64.
    let mix = |i: usize| {
        let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed as u64);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
    };
    (0..count).map(|i| mix(i) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// A layer's weights and a slot with some rows.
struct Case {
    config: DeltaNetConfig,
    conv: Vec<f32>,
    a_log: Vec<f32>,
    dt_bias: Vec<f32>,
    channels: Vec<f32>,
    gates: Vec<f32>,
    rows: usize,
}

impl Case {
    fn new(config: DeltaNetConfig, rows: usize) -> Self {
        let heads = config.value_heads;
        Self {
            config,
            conv: noise(config.taps * config.channels(), 3),
            a_log: noise(heads, 5).iter().map(|x| x - 1.0).collect(),
            dt_bias: noise(heads, 7),
            channels: noise(rows * config.channels(), 11),
            gates: noise(rows * 2 * heads, 13).iter().map(|x| 3.0 * x).collect(),
            rows,
        }
    }

    fn stretch<'a>(&'a self, rows: &'a [usize], before: usize, base: Base, kept: Vec<(usize, usize)>) -> Stretch<'a> {
        let asked = rows.len() - before;
        Stretch { channels: &self.channels, gates: &self.gates, rows, before, base, asked, kept }
    }

    fn run(&self, stretches: &[Stretch<'_>]) -> (Vec<f32>, Vec<Vec<Line>>) {
        let asked: usize = stretches.iter().map(|stretch| stretch.asked).sum();
        let mut out = vec![f32::NAN; asked * self.config.values_width()];
        let weights = Weights { conv: &self.conv, a_log: &self.a_log, dt_bias: &self.dt_bias };
        let kept = run(stretches, &weights, &self.config, &mut out);
        (out, kept)
    }

    /// The formula, in double precision, over rows that follow one another.
    fn exact(&self, rows: &[usize]) -> Vec<f64> {
        let DeltaNetConfig { key_heads, value_heads, key_dim, value_dim, taps } = self.config;
        let width = self.config.channels();
        let silu = |x: f64| x / (1.0 + (-x).exp());
        let mut states = vec![vec![vec![0.0; value_dim]; key_dim]; value_heads];
        let mut out = Vec::new();
        for at in 0..rows.len() {
            let seen = |c: usize| {
                let of_tap = |tap: usize| {
                    let row = (at + tap + 1).checked_sub(taps)?;
                    Some(f64::from(self.conv[tap * width + c]) * f64::from(self.channels[rows[row] * width + c]))
                };
                silu((0..taps).filter_map(of_tap).sum::<f64>())
            };
            for (head, state) in states.iter_mut().enumerate() {
                let key_head = head / (value_heads / key_heads);
                let vector = |first: usize, width: usize| (first..first + width).map(seen).collect::<Vec<f64>>();
                let normed = |x: Vec<f64>, length: f64| {
                    let sum = x.iter().map(|x| x * x).sum::<f64>() + 1e-6;
                    x.into_iter().map(|x| x * length / sum.sqrt()).collect::<Vec<f64>>()
                };
                let q = normed(vector(key_head * key_dim, key_dim), (key_dim as f64).powf(-0.5));
                let k = normed(vector((key_heads + key_head) * key_dim, key_dim), 1.0);
                let v = vector(2 * key_heads * key_dim + head * value_dim, value_dim);
                let gate = |number: usize| f64::from(self.gates[rows[at] * 2 * value_heads + number]);
                let beta = 1.0 / (1.0 + (-gate(head)).exp());
                let softplus = (gate(value_heads + head) + f64::from(self.dt_bias[head])).exp().ln_1p();
                let decay = (-f64::from(self.a_log[head]).exp() * softplus).exp();
                state.iter_mut().flatten().for_each(|x| *x *= decay);
                for column in 0..value_dim {
                    let found: f64 = state.iter().zip(&k).map(|(row, k)| row[column] * k).sum();
                    let delta = (v[column] - found) * beta;
                    state.iter_mut().zip(&k).for_each(|(row, k)| row[column] += k * delta);
                    out.push(state.iter().zip(&q).map(|(row, q)| row[column] * q).sum());
                }
            }
        }
        out
    }
}

fn configs() -> Vec<DeltaNetConfig> {
    let config = |(key_heads, value_heads), (key_dim, value_dim), taps| DeltaNetConfig {
        key_heads,
        value_heads,
        key_dim,
        value_dim,
        taps,
    };
    vec![
        config((1, 1), (1, 1), 1),
        config((2, 4), (8, 10), 4),
        config((3, 3), (5, 40), 2),
        config((1, 3), (20, 64), 3),
        // As wide as real ones, so that threads share the work.
        config((2, 6), (128, 128), 4),
    ]
}

#[test]
fn agrees_with_the_formula() {
    for config in configs() {
        let case = Case::new(config, 40);
        // A text whose rows do not lie in its order.
        let rows: Vec<usize> = (0..case.rows).map(|row| (row * 7 + 3) % case.rows).collect();
        let (found, _) = case.run(&[case.stretch(&rows, 0, Base::Empty, Vec::new())]);
        let exact = case.exact(&rows);
        let size = (exact.iter().map(|x| x * x).sum::<f64>() / exact.len() as f64).sqrt();
        for (found, exact) in found.iter().zip(&exact) {
            assert!((f64::from(*found) - exact).abs() < 1e-5 * size.max(1e-3), "{config:?}: {found} {exact}");
        }
    }
}

/// Wherever a text is cut, whatever is run beside it and whether a state is known or kept on the way: bit for bit the same.
#[test]
fn pieces_are_the_whole() {
    for config in configs() {
        let case = Case::new(config, 30);
        let rows: Vec<usize> = (0..case.rows).collect();
        let (whole, _) = case.run(&[case.stretch(&rows, 0, Base::Empty, Vec::new())]);
        let width = config.values_width();
        for cut in [1, 2, 11, 29] {
            let before = cut.min(config.taps - 1);
            let (first, kept) = case.run(&[case.stretch(&rows[..cut], 0, Base::Empty, vec![(cut - 1, 0)])]);
            let base = Base::Known(kept.into_iter().next().unwrap().into());
            let (second, _) = case.run(&[case.stretch(&rows[cut - before..], before, base, Vec::new())]);
            assert_eq!([first, second].concat(), whole, "{config:?} cut at {cut}");

            // Both at once, behind another text, and the second once more with rows of which nothing is asked.
            let other: Vec<usize> = (0..7).rev().collect();
            let mut again = case.stretch(&rows[cut - before..], before, Base::Kept(0), Vec::new());
            again.asked = 1;
            let (all, _) = case.run(&[
                case.stretch(&other, 0, Base::Empty, Vec::new()),
                case.stretch(&rows[..cut], 0, Base::Empty, vec![(cut - 1, 0)]),
                case.stretch(&rows[cut - before..], before, Base::Kept(0), Vec::new()),
                again,
            ]);
            assert_eq!(all[other.len() * width..][..whole.len()], whole, "{config:?} cut at {cut}");
            assert_eq!(all[all.len() - width..], whole[whole.len() - width..], "{config:?} cut at {cut}");
        }
    }
}
