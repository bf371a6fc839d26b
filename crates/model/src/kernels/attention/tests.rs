use super::*;

fn noise(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The formula in f64, one query at a time.
fn reference(q: &[f32], span: &Span, dims: &Dims) -> Vec<f64> {
    let Dims { heads, kv_heads, head_dim, window, scale, softcap, sinks } = *dims;
    let rows: Vec<usize> = span.past.iter().cloned().flatten().chain(span.own.clone()).collect();
    let first = rows.len() - span.queries.len();
    let mut out = Vec::new();
    for (index, row) in span.queries.clone().enumerate() {
        let position = first + index;
        for head in 0..heads {
            let query = &q[(row * heads + head) * head_dim..][..head_dim];
            let at = |slot_row: usize| (slot_row * kv_heads + head / (heads / kv_heads)) * head_dim;
            let seen = |key: usize| key <= position && window.is_none_or(|window| position - key < window);
            let seen: Vec<usize> = (0..rows.len()).filter(|&key| seen(key)).collect();
            let dot = |key: usize| -> f64 {
                let key = &span.keys[at(rows[key])..][..head_dim];
                query.iter().zip(key).map(|(q, k)| f64::from(*q) * f64::from(*k)).sum()
            };
            let score = |key: usize| {
                let score = dot(key) * f64::from(scale);
                softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
            };
            let weights: Vec<f64> = seen.iter().map(|&key| score(key).exp()).collect();
            let sink = sinks.map_or(0.0, |sinks| f64::from(sinks[head]).exp());
            let total = weights.iter().sum::<f64>() + sink;
            for feature in 0..head_dim {
                let value = |key: usize| f64::from(span.values[at(rows[key]) + feature]);
                out.push(seen.iter().zip(&weights).map(|(&key, weight)| weight * value(key)).sum::<f64>() / total);
            }
        }
    }
    out
}

/// Ranges of a sequence's past, its own rows and the rows of its queries.
type Placed = (Vec<Range<usize>>, Range<usize>, Range<usize>);

/// One slot and a few sequences in it whose rows lie scattered: each has `past` keys, then asks with the last
/// `asks` of `own` rows.
struct Case {
    dims: Dims<'static>,
    q: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    sequences: Vec<Placed>,
    rows: usize,
}

impl Case {
    fn new(dims: Dims<'static>, sequences: &[(&[usize], usize, usize)]) -> Self {
        let (mut slot, mut rows, mut placed) = (3, 2, Vec::new());
        for &(past, own, asks) in sequences {
            let mut take = |len: usize| {
                slot += len + 1;
                slot - len - 1..slot - 1
            };
            // The parts of a past lie in the slot in another order than that of their positions.
            let mut ranges: Vec<_> = past.iter().rev().map(|&len| take(len)).collect();
            ranges.reverse();
            placed.push((ranges, take(own), rows..rows + asks));
            rows += asks;
        }
        let Dims { heads, kv_heads, head_dim, .. } = dims;
        let kv = slot * kv_heads * head_dim;
        Self {
            dims,
            q: noise(rows * heads * head_dim, 1),
            keys: noise(kv, 2),
            values: noise(kv, 3),
            sequences: placed,
            rows,
        }
    }

    fn spans(&self) -> Vec<Span<'_>> {
        let spans = self.sequences.iter().map(|(past, own, queries)| Span {
            queries: queries.clone(),
            keys: &self.keys,
            values: &self.values,
            past,
            own: own.clone(),
        });
        spans.collect()
    }

    fn width(&self) -> usize {
        self.dims.heads * self.dims.head_dim
    }

    fn run(&self, spans: &[Span]) -> Vec<f32> {
        let mut out = vec![7.0; self.rows * self.width()];
        attend(&self.q, spans, &self.dims, &mut out);
        out
    }
}

fn dims(heads: usize, kv_heads: usize, head_dim: usize, window: Option<usize>) -> Dims<'static> {
    let scale = 1.7 / (head_dim as f32).sqrt();
    Dims { heads, kv_heads, head_dim, window, scale, softcap: None, sinks: None }
}

/// Long, short, cut and fully new sequences; some ask with their last rows only.
const SEQUENCES: [(&[usize], usize, usize); 7] = [
    (&[], 37, 37),
    (&[5], 1, 1),
    (&[16, 1, 30, 2], 9, 4),
    (&[31], 17, 17),
    (&[], 1, 1),
    (&[3, 3, 3], 140, 130),
    (&[90], 3, 0),
];

/// Some that nearly vanish, some that take most of the weight.
const SINKS: [f32; 8] = [-3.0, 0.5, 2.0, 6.0, -0.25, 1.0, 3.5, -8.0];

fn all_dims() -> Vec<Dims<'static>> {
    let heads = [(14, 2, 64), (4, 4, 16), (4, 1, 8), (3, 3, 20), (8, 4, 96), (18, 2, 12)];
    let windows = [None, Some(1), Some(7), Some(16), Some(50)];
    let all = heads.into_iter().flat_map(|heads| windows.map(|window| (heads, window)));
    let plain = all.map(|((heads, kv_heads, head_dim), window)| dims(heads, kv_heads, head_dim, window));
    let capped = Dims { softcap: Some(1.5), ..dims(8, 4, 20, None) };
    let sinking = Dims { sinks: Some(&SINKS), ..dims(8, 2, 16, Some(9)) };
    plain.chain([capped, sinking, Dims { sinks: Some(&SINKS), ..capped }]).collect()
}

#[test]
fn agrees_with_the_formula() {
    for dims in all_dims() {
        let case = Case::new(dims, &SEQUENCES);
        let out = case.run(&case.spans());
        for span in case.spans() {
            let found = &out[span.queries.start * case.width()..span.queries.end * case.width()];
            for (index, (found, exact)) in found.iter().zip(reference(&case.q, &span, &dims)).enumerate() {
                assert!((f64::from(*found) - exact).abs() < 2e-6, "{dims:?} {span:?} {index}: {found} {exact}");
            }
        }
        assert_eq!(out[..2 * case.width()], vec![7.0; 2 * case.width()], "rows of no span are left as they are");
    }
}

#[test]
fn rows_are_the_same_alone_and_together() {
    for dims in all_dims() {
        let case = Case::new(dims, &SEQUENCES);
        let together = case.run(&case.spans());
        for span in case.spans() {
            for (index, row) in span.queries.clone().enumerate() {
                let own = span.own.start..span.own.end - (span.queries.len() - index - 1);
                let alone = case.run(&[Span { queries: row..row + 1, own, ..span.clone() }]);
                let row = row * case.width()..(row + 1) * case.width();
                assert_eq!(alone[row.clone()], together[row], "{dims:?}, row {index} of {span:?}");
            }
        }
    }
}

#[test]
fn cuts_of_the_past_change_nothing() {
    for dims in all_dims() {
        let case = Case::new(dims, &[(&[60], 20, 20)]);
        let whole = case.run(&case.spans());
        let span = &case.spans()[0];
        let start = span.past[0].start;
        for cuts in [vec![0, 1, 60], vec![0, 16, 16, 33, 60], (0..=60).collect()] {
            let past: Vec<_> = cuts.windows(2).map(|cut| start + cut[0]..start + cut[1]).collect();
            assert_eq!(case.run(&[Span { past: &past, ..span.clone() }]), whole, "{dims:?} {cuts:?}");
        }
    }
}

#[test]
fn what_is_not_finite_stays_with_the_rows_that_see_it() {
    for (dims, bad) in all_dims().into_iter().flat_map(|dims| [0, 13, 40, 63].map(|bad| (dims, bad))) {
        let mut case = Case::new(dims, &[(&[24], 40, 40)]);
        let good = case.run(&case.spans());
        let kv_width = dims.kv_heads * dims.head_dim;
        let slot_row = case.spans()[0].slot_rows(bad..bad + 1).next().unwrap();
        case.values[slot_row * kv_width..(slot_row + 1) * kv_width].fill(f32::NAN);
        let out = case.run(&case.spans());
        for row in 0..40 {
            let range = (2 + row) * case.width()..(3 + row) * case.width();
            match dims.sees(24 + row).contains(&bad) {
                true => assert!(out[range].iter().all(|value| value.is_nan()), "{dims:?}, key {bad}, row {row}"),
                false => assert_eq!(out[range.clone()], good[range], "{dims:?}, key {bad}, row {row}"),
            }
        }
    }
}

#[test]
fn scores_that_are_not_numbers_are_not_hidden() {
    let mut case = Case::new(dims(2, 1, 16, None), &[(&[], 20, 20)]);
    case.q[(2 + 4) * 32 + 3] = f32::NAN;
    let out = case.run(&case.spans());
    let nan = |row: usize, head: usize| out[(2 + row) * 32 + head * 16..][..16].iter().filter(|v| v.is_nan()).count();
    assert_eq!([nan(4, 0), nan(4, 1), nan(3, 0), nan(5, 0)], [16, 0, 0, 0]);
}
