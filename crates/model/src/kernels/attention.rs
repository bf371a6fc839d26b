//! Causal attention of packed segments over rows that lie where they arrived.
//!
//! Every score is one chain of multiply-adds over the head's features, every output one chain over the keys in order
//! of position, and the sum of the softmax has one partial sum for each position modulo [`LANES`]. None of that knows
//! which rows are computed together, how the past is cut, or how many threads run: a row's result is the same bit for
//! bit in a batch and alone.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::cap::capped;
use super::lanes::{LANES, Lanes, Line, prefetch};

/// Rows of queries that are computed together: with [`LANES`] keys the most whose sums stay in registers.
const ROWS: usize = if cfg!(target_feature = "avx512f") { 8 } else { 4 };

/// Queries of one task. Each task packs the keys it sees, which must be little work beside using them.
const TASK_QUERIES: usize = 64;

/// Keys and values, in f32, that one task packs where it has the choice: half of a usual level-2 cache.
const PACKED: usize = 1 << 18;

/// Tiles of keys and values that are asked for before they are packed: rows of single queries come from far away.
const AHEAD: usize = 2;

/// Multiply-adds from which threads pay for being woken.
const PARALLEL_FROM: usize = 1 << 19;

/// What attention needs to know of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dims<'a> {
    pub(crate) heads: usize,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
    /// Keys that a query sees at most, itself included.
    pub(crate) window: Option<usize>,
    pub(crate) scale: f32,
    /// Cap of the scaled scores.
    pub(crate) softcap: Option<f32>,
    /// A score of each head that takes part in the softmax and attends to nothing.
    pub(crate) sinks: Option<&'a [f32]>,
}

/// New rows of one segment with the keys they see.
#[derive(Debug, Clone)]
pub(crate) struct Span<'a> {
    /// Rows of the queries.
    pub(crate) queries: Range<usize>,
    /// The slot's keys, `(slot rows, kv_heads·head_dim)`.
    pub(crate) keys: &'a [f32],
    /// The slot's values, as the keys.
    pub(crate) values: &'a [f32],
    /// Slot rows of what comes before the segment, in order of position.
    pub(crate) past: &'a [Range<usize>],
    /// Slot rows of the segment itself. Its last `queries.len()` rows are those that ask.
    pub(crate) own: Range<usize>,
}

impl Span<'_> {
    fn past_len(&self) -> usize {
        self.past.iter().map(ExactSizeIterator::len).sum()
    }

    /// Slot rows of the keys at the given positions.
    fn slot_rows(&self, positions: Range<usize>) -> impl Iterator<Item = usize> {
        let mut begin = 0;
        self.past.iter().chain([&self.own]).flat_map(move |rows| {
            let from = positions.start.saturating_sub(begin).min(rows.len());
            let to = positions.end.saturating_sub(begin).min(rows.len());
            begin += rows.len();
            rows.start + from..rows.start + to
        })
    }
}

/// Attention: `softmax(scale · q kᵀ) v` for each query over the keys at its position and before, of those the last
/// `window`. Query heads share the key and value heads in groups (arXiv 2305.13245).
///
/// `q` and `out` are `(rows, heads·head_dim)`. Spans are in order of their rows; rows of no span are left as they are.
///
/// # Panics
/// When spans overlap or are out of order, or a range lies outside its buffer.
pub(crate) fn attend(q: &[f32], spans: &[Span], dims: &Dims, out: &mut [f32]) {
    let Dims { heads, kv_heads, head_dim, .. } = *dims;
    let (group, width) = (heads / kv_heads, heads * head_dim);
    let mut tasks = Vec::new();
    let (mut rest, mut row, mut work) = (out, 0, 0);
    for span in spans {
        let Range { start, end } = span.queries;
        assert!(row <= start && end - start <= span.own.len(), "spans are out of order, or ask more than they hold");
        let (_, here) = rest.split_at_mut((start - row) * width);
        let (mine, after) = here.split_at_mut((end - start) * width);
        (rest, row) = (after, end);
        let first = span.past_len() + span.own.len() - (end - start);
        work += (end - start) * (first + end - start) * 2 * width;
        for (index, rows) in mine.chunks_mut(TASK_QUERIES * width).enumerate() {
            let (queries, position) = (rows.len() / width, first + index * TASK_QUERIES);
            let row = start + index * TASK_QUERIES;
            // A row's features are the heads of the first kv head, then those of the second, and so on.
            let together = (PACKED / ((position + queries) * head_dim * 2)).clamp(1, kv_heads);
            let parts = kv_heads.div_ceil(together);
            let mut outs: Vec<_> = (0..parts).map(|_| Vec::with_capacity(queries)).collect();
            for row in rows.chunks_mut(width) {
                for (outs, piece) in outs.iter_mut().zip(row.chunks_mut(together * group * head_dim)) {
                    outs.push(piece);
                }
            }
            let kv_heads_of = |part| part * together..kv_heads.min((part + 1) * together);
            let task = |(part, outs)| Task { span, kv_heads: kv_heads_of(part), row, position, outs };
            tasks.extend(outs.into_iter().enumerate().map(task));
        }
    }
    let run = |task: Task| SCRATCH.with_borrow_mut(|scratch| task.run(q, dims, scratch));
    match work < PARALLEL_FROM || tasks.len() == 1 {
        true => tasks.into_iter().for_each(run),
        false => tasks.into_par_iter().with_max_len(1).for_each(run),
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Buffers of one thread.
#[derive(Debug, Default)]
struct Scratch {
    /// Keys of each kv head, feature by feature: `(kv heads, tiles, head_dim)` lines of [`LANES`] keys.
    keys: Vec<Line>,
    /// Values of each kv head: `(kv heads, blocks of LANES features, tiles·LANES keys)` lines.
    values: Vec<Line>,
    /// `(tiles, rows)` lines: scores, then weights.
    weights: Vec<Line>,
}

/// Adjacent queries of one span at some of the kv heads.
struct Task<'a> {
    span: &'a Span<'a>,
    kv_heads: Range<usize>,
    /// Row and position of the first query.
    row: usize,
    position: usize,
    /// For each query where the heads of the kv heads go: `kv heads·group·head_dim`.
    outs: Vec<&'a mut [f32]>,
}

impl Task<'_> {
    fn run(mut self, q: &[f32], dims: &Dims, scratch: &mut Scratch) {
        let group = dims.heads / dims.kv_heads;
        let first_tile = dims.sees(self.position).start / LANES;
        let tiles = first_tile..(self.position + self.outs.len()).div_ceil(LANES);
        self.pack(dims, &tiles, scratch);
        let rows = self.outs.len() * group;
        for kv_head in 0..self.kv_heads.len() {
            let mut begin = 0;
            while begin < rows {
                let at = At { kv_head, begin, count: ROWS.min(rows - begin), packed: tiles.clone() };
                begin += at.count;
                match at.count {
                    1 => self.rows::<1>(at, q, dims, scratch),
                    2 => self.rows::<2>(at, q, dims, scratch),
                    3..=4 => self.rows::<4>(at, q, dims, scratch),
                    _ => self.rows::<ROWS>(at, q, dims, scratch),
                };
            }
        }
    }

    /// Brings the keys and values of the tiles into the order in which they are used; what no query sees is zero.
    fn pack(&self, dims: &Dims, tiles: &Range<usize>, scratch: &mut Scratch) {
        let Dims { kv_heads, head_dim, .. } = *dims;
        let width = kv_heads * head_dim;
        let mine = self.kv_heads.start * head_dim..self.kv_heads.end * head_dim;
        let (blocks, keys) = (head_dim.div_ceil(LANES), tiles.len() * LANES);
        scratch.keys.resize(self.kv_heads.len() * tiles.len() * head_dim, Line::default());
        scratch.values.resize(self.kv_heads.len() * blocks * keys, Line::default());
        let positions = tiles.start * LANES..(self.position + self.outs.len()).min(tiles.end * LANES);
        let slot_rows: Vec<usize> = self.span.slot_rows(positions).map(|row| row * width).collect();
        let zeros = vec![0.0; mine.len()];
        // Row after row as they lie in memory; the heads of a row are far apart in what is written.
        for tile in 0..tiles.len() {
            let asked = if tile == 0 { 0 } else { tile + AHEAD };
            for &start in slot_rows.iter().take((tile + AHEAD + 1) * LANES).skip(asked * LANES) {
                prefetch(part_of(self.span.keys, start, &mine));
                prefetch(part_of(self.span.values, start, &mine));
            }
            let mut rows = [zeros.as_slice(); LANES];
            for (lane, row) in rows.iter_mut().enumerate() {
                let slot_row = slot_rows.get(tile * LANES + lane);
                let part = |all| slot_row.map_or(zeros.as_slice(), |&start| part_of(all, start, &mine));
                *row = part(self.span.keys);
                for (head, value) in part(self.span.values).chunks_exact(head_dim).enumerate() {
                    for (block, value) in value.chunks(LANES).enumerate() {
                        let line = &mut scratch.values[(head * blocks + block) * keys + tile * LANES + lane];
                        Lanes::load_part(value).store(&mut line.0);
                    }
                }
            }
            for head in 0..self.kv_heads.len() {
                let lines = &mut scratch.keys[(head * tiles.len() + tile) * head_dim..][..head_dim];
                for (block, lines) in lines.chunks_mut(LANES).enumerate() {
                    let from = head * head_dim + block * LANES;
                    let columns = Lanes::transpose(rows.map(|row| Lanes::load_part(&row[from..from + lines.len()])));
                    for (line, column) in lines.iter_mut().zip(columns) {
                        column.store(&mut line.0);
                    }
                }
            }
        }
    }

    /// Computes `at.count` of at most `R` rows; row `r` is head `r % group` of query `r / group`.
    fn rows<const R: usize>(&mut self, at: At, q: &[f32], dims: &Dims, scratch: &mut Scratch) {
        let Dims { heads, kv_heads, head_dim, scale, softcap, .. } = *dims;
        let (group, width) = (heads / kv_heads, heads * head_dim);
        let At { kv_head, begin, count, packed } = at;
        let (blocks, keys) = (head_dim.div_ceil(LANES), packed.len() * LANES);

        // 1. The queries and what each of them sees. Rows that do not exist repeat the last.
        let row = |r: usize| begin + r.min(count - 1);
        let sees: [Range<usize>; R] = std::array::from_fn(|r| dims.sees(self.position + row(r) / group));
        let head = |r: usize| (self.kv_heads.start + kv_head) * group + row(r) % group;
        let queries: [&[f32]; R] =
            std::array::from_fn(|r| &q[(self.row + row(r) / group) * width + head(r) * head_dim..][..head_dim]);
        let sinks: Option<[f32; R]> = dims.sinks.map(|sinks| std::array::from_fn(|r| sinks[head(r)]));
        let tiles = sees[0].start / LANES..sees[R - 1].end.div_ceil(LANES);
        let seen = |tile: usize| {
            let lane = |position: usize| position.saturating_sub(tile * LANES).min(LANES);
            sees.each_ref().map(|sees| lane(sees.start)..lane(sees.end))
        };
        // What all rows see: the first begins earliest, the last ends latest. Of most tiles that is all.
        let common = |seen: &[Range<usize>; R]| seen[R - 1].start..seen[0].end;
        let whole = sees[R - 1].start.div_ceil(LANES)..sees[0].end / LANES;

        // 2. Scores.
        let Scratch { keys: packed_keys, values, weights } = scratch;
        weights.resize(packed.len() * R, Line::default());
        let (weights, _) = weights[..tiles.len() * R].as_chunks_mut::<R>();
        let mut largest = [Lanes::splat(f32::NEG_INFINITY); R];
        for (tile, scores) in tiles.clone().zip(weights.iter_mut()) {
            let start = (kv_head * packed.len() + tile - packed.start) * head_dim;
            let mut found = products(&queries, &packed_keys[start..start + head_dim]);
            for found in &mut found {
                *found = found.mul(Lanes::splat(scale));
                if let Some(cap) = softcap {
                    *found = capped(*found, cap);
                }
            }
            if !whole.contains(&tile) {
                for (found, seen) in found.iter_mut().zip(seen(tile)) {
                    *found = found.within(seen, Lanes::splat(f32::NEG_INFINITY));
                }
            }
            for r in 0..R {
                largest[r] = largest[r].max(found[r]);
                found[r].store(&mut scores[r].0);
            }
        }

        // 3. Softmax, but for the division.
        let sums = exponentials(weights, largest, sinks);

        // 4. Values.
        for (block, values) in values.chunks_exact(keys).skip(kv_head * blocks).take(blocks).enumerate() {
            let (values, _) = values[(tiles.start - packed.start) * LANES..].as_chunks::<LANES>();
            let mut sum = [Lanes::splat(0.0); R];
            for ((tile, weights), values) in tiles.clone().zip(weights.iter()).zip(values) {
                if whole.contains(&tile) {
                    accumulate(&mut sum, weights, values);
                } else {
                    let seen = seen(tile);
                    let common = common(&seen);
                    accumulate_seen(&mut sum, weights, values, seen, common);
                }
            }
            for r in 0..count {
                let feature = block * LANES;
                let start = (kv_head * group + row(r) % group) * head_dim + feature;
                let out = &mut self.outs[row(r) / group][start..start + LANES.min(head_dim - feature)];
                sum[r].mul(Lanes::splat(1.0 / sums[r])).store_part(out);
            }
        }
    }
}

/// Rows that are computed together.
struct At {
    /// Counted from the task's first kv head.
    kv_head: usize,
    begin: usize,
    count: usize,
    /// The tiles that are packed.
    packed: Range<usize>,
}

fn part_of<'a>(values: &'a [f32], start: usize, part: &Range<usize>) -> &'a [f32] {
    &values[start + part.start..start + part.end]
}

impl Dims<'_> {
    /// Positions of the keys that the query at the given position sees.
    fn sees(&self, position: usize) -> Range<usize> {
        self.window.map_or(0, |window| (position + 1).saturating_sub(window))..position + 1
    }
}

/// Products of `R` queries with [`LANES`] keys, which are given feature by feature.
#[inline(always)]
fn products<const R: usize>(queries: &[&[f32]; R], keys: &[Line]) -> [Lanes; R] {
    let queries = queries.map(|query| &query[..keys.len()]);
    let mut sum = [Lanes::splat(0.0); R];
    for (feature, key) in keys.iter().enumerate() {
        let key = Lanes::load(&key.0);
        for r in 0..R {
            sum[r] = Lanes::splat(queries[r][feature]).fma(key, sum[r]);
        }
    }
    sum
}

/// Turns scores into `exp(score − the row's largest)` and gives the sum of each row, its sink's included.
#[inline(always)]
fn exponentials<const R: usize>(tiles: &mut [[Line; R]], mut largest: [Lanes; R], sinks: Option<[f32; R]>) -> [f32; R] {
    if let Some(sinks) = sinks {
        for r in 0..R {
            largest[r] = largest[r].max(Lanes::splat(sinks[r]));
        }
    }
    let largest = largest.map(|lanes| Lanes::splat(lanes.largest()));
    let mut sum = [Lanes::splat(0.0); R];
    for tile in tiles {
        for r in 0..R {
            let weight = Lanes::load(&tile[r].0).sub(largest[r]).exp();
            sum[r] = sum[r].add(weight);
            weight.store(&mut tile[r].0);
        }
    }
    let Some(sinks) = sinks else { return sum.map(Lanes::sum) };
    std::array::from_fn(|r| {
        let mut sink = Line::default();
        Lanes::splat(sinks[r]).sub(largest[r]).exp().store(&mut sink.0);
        sum[r].sum() + sink.0[0]
    })
}

/// `sum[row] += weights[row][key] · values[key]`, key after key.
#[inline(always)]
fn accumulate<const R: usize>(sum: &mut [Lanes; R], weights: &[Line; R], values: &[Line; LANES]) {
    for (key, value) in values.iter().enumerate() {
        let value = Lanes::load(&value.0);
        for r in 0..R {
            sum[r] = Lanes::splat(weights[r].0[key]).fma(value, sum[r]);
        }
    }
}

/// As [`accumulate`], without what a row must not see: zero times a value that is not finite would reach it.
#[inline(never)]
fn accumulate_seen<const R: usize>(
    sums: &mut [Lanes; R],
    weights: &[Line; R],
    values: &[Line; LANES],
    seen: [Range<usize>; R],
    common: Range<usize>,
) {
    let row = |sum: &mut Lanes, weights: &Line, keys: Range<usize>| {
        for key in keys {
            *sum = Lanes::splat(weights.0[key]).fma(Lanes::load(&values[key].0), *sum);
        }
    };
    let mut sum = *sums;
    for r in 0..R {
        row(&mut sum[r], &weights[r], seen[r].start..common.start.min(seen[r].end));
    }
    for key in common.clone() {
        let value = Lanes::load(&values[key].0);
        for r in 0..R {
            sum[r] = Lanes::splat(weights[r].0[key]).fma(value, sum[r]);
        }
    }
    for r in 0..R {
        row(&mut sum[r], &weights[r], common.end.max(common.start).max(seen[r].start)..seen[r].end);
    }
    *sums = sum;
}

#[cfg(test)]
mod tests;
