//! One layer over everything that waits for it, in packed tiles.

use std::collections::BTreeMap;

use candle_core::Tensor;
use neuro_model::{Batch, Part, Segment, Slot};

use super::jobs::Job;
use super::resid::{Resid, joined};
use super::tiles::even_runs;
use super::{Flow, Forest, UNASKED, Watch};
use crate::{EngineError, Result};

/// Adjacent segments of one flow in a tile.
struct Piece {
    flow: usize,
    segments: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    asked: usize,
}

impl Forest {
    /// Runs one layer over everything that waits for it, tile by tile, and gives the flows behind it.
    pub(super) fn layer(
        &mut self,
        layer: usize,
        mut flows: Vec<Flow>,
        jobs: &BTreeMap<usize, Job>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Flow>> {
        let decoder = self.decoder.clone();
        let weights = decoder.layer(layer)?;
        // What is scaled differently runs apart.
        let scales = |flow: &Flow, forest: &Self| forest.strands[flow.strand].visits[flow.at].scales;
        flows.sort_by_key(|flow| {
            let scales = scales(flow, self);
            (scales.attn.billionths(), scales.mlp.billionths())
        });
        let mut outputs: Vec<Resid> = vec![Resid::default(); flows.len()];
        let mut start = 0;
        while start < flows.len() {
            let visit = self.strands[flows[start].strand].visits[flows[start].at];
            let alike = flows[start..].iter().take_while(|flow| scales(flow, self) == visit.scales).count();
            for tile in self.tiles(&flows, start..start + alike, jobs) {
                let (batch, resid) = self.assemble(&flows, &tile, jobs)?;
                let mut slots = self.slots(&flows, &tile);
                let rows = batch.rows();
                let mut taken: Vec<&mut Slot> = slots.iter_mut().collect();
                let out = weights.forward(resid, &batch, &visit, &mut taken, &mut ());
                for (piece, slot) in tile.iter().zip(slots) {
                    let flow = &flows[piece.flow];
                    self.strands[flow.strand].slots[flow.at] = slot;
                }
                let out = out?;
                let mut first = 0;
                for piece in &tile {
                    outputs[piece.flow].push(out.narrow(0, first, piece.asked)?)?;
                    first += piece.asked;
                    let flow = &mut flows[piece.flow];
                    // What goes into the layer is let go flow by flow: never are all flows in memory twice.
                    if piece.segments.end == jobs[&flow.strand].segments.len() {
                        self.step(flow, std::mem::take(&mut outputs[piece.flow]));
                    }
                }
                self.stats.layer_tokens += rows as u64;
                if !watch(rows as u64) {
                    return Err(EngineError::Interrupted);
                }
            }
            start += alike;
        }
        // Where there was nothing to run.
        for flow in flows.iter_mut().filter(|flow| jobs[&flow.strand].segments.is_empty()) {
            self.step(flow, Resid::default());
        }
        Ok(flows)
    }

    /// Takes a flow behind its visit, from whose tiles these rows came.
    fn step(&mut self, flow: &mut Flow, resid: Resid) {
        if !self.keeps {
            self.strands[flow.strand].slots[flow.at] = Slot::default();
        }
        flow.resid = resid;
        flow.at += 1;
    }

    /// Cuts the segments of the flows, in order, into tiles. A flow of many rows has tiles of its own: what comes out of one
    /// goes as it is into the next layer's. Of others a tile takes as many as it holds.
    fn tiles(&self, flows: &[Flow], range: std::ops::Range<usize>, jobs: &BTreeMap<usize, Job>) -> Vec<Vec<Piece>> {
        let (target, most) = self.tile();
        let (target, most) = (target as f64, most as f64);
        let mut tiles: Vec<Vec<Piece>> = Vec::new();
        let mut filled = f64::INFINITY;
        for index in range {
            let flow = &flows[index];
            let is_last = flow.at + 1 == self.strands[flow.strand].visits.len();
            let segments = &jobs[&flow.strand].segments;
            let asked = |segment: &Segment| if is_last { segment.asked } else { segment.len };
            let cost = |segment: &Segment| asked(segment) as f64 + UNASKED * (segment.len - asked(segment)) as f64;
            let costs: Vec<f64> = segments.iter().map(cost).collect();
            let whole: f64 = costs.iter().sum();
            let is_alone = whole > most / 2.0;
            let runs =
                if is_alone { even_runs(&costs, target, most) } else { std::iter::once(0..segments.len()).collect() };

            let mut row = 0;
            for run in runs.into_iter().filter(|run| !run.is_empty()) {
                if is_alone || filled + whole > most {
                    tiles.push(Vec::new());
                    filled = 0.0;
                }
                filled += whole;
                let rows = row..row + segments[run.clone()].iter().map(|segment| segment.len).sum::<usize>();
                row = rows.end;
                let asked = segments[run.clone()].iter().map(asked).sum();
                if let Some(tile) = tiles.last_mut() {
                    tile.push(Piece { flow: index, segments: run, rows, asked });
                }
            }
            if is_alone {
                filled = f64::INFINITY;
            }
        }
        tiles
    }

    /// The batch of a tile and its rows.
    fn assemble(&self, flows: &[Flow], tile: &[Piece], jobs: &BTreeMap<usize, Job>) -> Result<(Batch, Tensor)> {
        let (mut parts, mut rows) = (Vec::with_capacity(tile.len()), Vec::with_capacity(tile.len()));
        for (slot, piece) in tile.iter().enumerate() {
            let flow = &flows[piece.flow];
            let is_last = flow.at + 1 == self.strands[flow.strand].visits.len();
            let segments = jobs[&flow.strand].segments[piece.segments.clone()].iter().cloned();
            let segments = segments.map(|segment| match is_last {
                true => segment,
                false => Segment { asked: segment.len, ..segment },
            });
            parts.push(Part { slot, segments: segments.collect() });
            rows.push(flow.resid.range(piece.rows.clone())?);
        }
        Ok((Batch::new(parts), joined(rows)?))
    }

    /// Takes the slots of a tile out of their strands. Where no tokens will follow, they are let go behind their layer.
    fn slots(&mut self, flows: &[Flow], tile: &[Piece]) -> Vec<Slot> {
        let taken = tile.iter().map(|piece| {
            let flow = &flows[piece.flow];
            let mut slot = std::mem::take(&mut self.strands[flow.strand].slots[flow.at]);
            if !self.keeps {
                slot.pass_through();
            }
            slot
        });
        taken.collect()
    }
}
