//! What questions and paths will take in memory, before anything is run.

use neuro_checkpoint::{DecoderConfig, LayerConfig};
use neuro_engine::{HEAD_ROWS, tile_rows};
use neuro_model::{
    Device, STATE_ROWS, WeightBytes, WeightType, device_memory, product_scratch_bytes, recurrent_state_bytes,
    slot_bytes_per_token, slot_room,
};
use neuro_path::LayerPath;
use neuro_probe::Scoring;

use crate::work::{Volume, own_visits, trunk_layers};
use crate::{Residence, Subject};

mod cut;
mod held;
mod passing;
#[cfg(test)]
mod tests;

pub(crate) use cut::cut;

/// What questions and paths cost in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Costs {
    /// Bytes of a row of the residual stream.
    resid: u64,
    /// Bytes of one token in the slot of one visit of the widest layer: keys and values, or what a recurrence takes in.
    visit: u64,
    /// Bytes of a recurrent state of the widest layer; none where no layer has one.
    state: u64,
    /// Bytes that a row takes in the widest layer, where it is asked for behind it and where not.
    work: [u64; 2],
    /// Rows at once, asked for and in all.
    tile: [u64; 2],
    /// Bytes that products of the widest layer take beside.
    products: u64,
    /// Bytes of scores for one query and one key, where they are written out; none where attention keeps them.
    scores: u64,
    /// Bytes of keys and values that one head sees of a token.
    head_dim: u64,
    /// Bytes of the head's logits.
    logits: u64,
    /// Layers of the trunk.
    trunk: u64,
    /// All paths that are planned.
    paths: u64,
    weights: Weights,
    /// Whether they are held in f32.
    is_f32: bool,
    /// What is held whatever runs.
    held: u64,
}

/// What weights cost in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weights {
    /// All of them, and what reading them takes beside.
    Held { held: u64, reading: u64 },
    /// While a layer runs, and while the head does.
    Streamed { layer: u64, head: u64 },
}

impl Costs {
    pub(crate) fn new(subject: &Subject, paths: &[LayerPath], residence: Residence) -> Self {
        Self::with_weights(subject, paths, residence, subject.weight_type())
    }

    /// Those of a path whose weights are in f32, whatever the subject's own are.
    pub(crate) fn of_reference(subject: &Subject, path: &LayerPath, residence: Residence) -> Self {
        Self::with_weights(subject, std::slice::from_ref(path), residence, WeightType::F32)
    }

    fn with_weights(subject: &Subject, paths: &[LayerPath], residence: Residence, weight_type: WeightType) -> Self {
        let config = subject.config();
        let bytes = WeightBytes::of(config, weight_type);
        let float = size_of::<f32>() as u64;
        let Widths { q, slot, state, heads, head_dim } = Widths::of(config);
        // Keys, or values, which are half of what a slot holds.
        let kv = slot.div_ceil(2);
        let hidden = config.hidden_size as u64;
        let on_cpu = subject.device().is_cpu();
        let (asked, all) = tile_rows(subject.device());
        Self {
            resid: float.saturating_mul(hidden),
            visit: float.saturating_mul(slot),
            state,
            // Residual stream before, between and behind, norms and both branches; queries, rotated, attended; keys and
            // values, and what they are rotated from. Where it is not asked for, a row stops before its queries: as it came, normed,
            // and in the order in which products read it.
            work: [float.saturating_mul(7 * hidden + 3 * q + 6 * kv), float.saturating_mul(3 * hidden + 6 * kv)],
            tile: [asked as u64, all as u64],
            products: product_scratch_bytes(config, weight_type, on_cpu, asked),
            scores: if on_cpu { 0 } else { 3 * float * heads },
            head_dim: (2 * float).saturating_mul(head_dim),
            logits: (HEAD_ROWS as u64 * float).saturating_mul(config.vocab_size as u64),
            trunk: trunk_layers(paths) as u64,
            paths: paths.len() as u64,
            weights: match residence {
                Residence::Held => {
                    Weights::Held { held: bytes.held, reading: bytes.layer_reading.max(bytes.head_reading) }
                }
                // With the one that runs the next one is read; with the head it has been. What one thread takes and another
                // gives back leaves about a layer unused between: measured, glibc.
                Residence::Streamed => Weights::Streamed {
                    layer: 3 * bytes.layer + bytes.layer_reading,
                    head: bytes.layer + bytes.head + bytes.head_reading,
                },
            },
            is_f32: weight_type == WeightType::F32,
            held: 0,
        }
    }

    /// What is held whatever runs.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// The costs where so much is held whatever runs: what an earlier process counted leads to the cuts that it made.
    pub(crate) fn with_held(self, held: u64) -> Self {
        Self { held, ..self }
    }

    /// Of what is needed, the part of the weights.
    fn of_weights(&self) -> u64 {
        match self.weights {
            Weights::Held { held, .. } => held,
            Weights::Streamed { layer, head } => layer.max(head),
        }
    }

    /// Whether weights are read layer by layer, which larger groups of paths then pay for together.
    fn is_streamed(&self) -> bool {
        matches!(self.weights, Weights::Streamed { .. })
    }

    /// Bytes of the trunk of the prompts.
    pub(crate) fn trunk(&self, volume: Volume, scoring: Scoring) -> u64 {
        let streams = (self.trunk + 1).saturating_mul(self.resid).saturating_mul(volume.read);
        let kept = match scoring {
            Scoring::Likelihood => 0,
            Scoring::Generation => {
                let each = self.slot(volume.read).saturating_add(self.states(volume, volume.read));
                self.trunk.saturating_mul(each)
            }
        };
        streams.saturating_add(kept)
    }

    /// Bytes of the recurrent states that are kept of some texts at one visit: where each begins to differ from the others,
    /// behind its prompt and at its end, and on the way to there.
    fn states(&self, volume: Volume, rows: u64) -> u64 {
        let of_texts = volume.texts.saturating_mul(2).saturating_add(volume.branches);
        self.state.saturating_mul(of_texts.saturating_add(rows / STATE_ROWS as u64))
    }

    /// Bytes of a slot of so many rows.
    fn slot(&self, rows: u64) -> u64 {
        self.visit.saturating_mul(usize::try_from(rows).map_or(u64::MAX, |rows| slot_room(rows) as u64))
    }

    /// Bytes that a path holds while its group is run.
    fn of(&self, path: &LayerPath, volume: Volume, scoring: Scoring) -> u64 {
        let own = own_visits(path) as u64;
        // What the trunk has done to its end is a view of it.
        let streams = if own == 0 { 0 } else { self.resid.saturating_mul(volume.read) };
        let states = match scoring {
            // A visit's keys and values are forgotten behind it.
            Scoring::Likelihood => 0,
            Scoring::Generation => {
                let rows = volume.read.saturating_add(volume.new);
                let each = self.slot(rows).saturating_add(self.states(volume, rows));
                let own_slots = own.saturating_mul(each);
                // New tokens run through the trunk's layers as well.
                let each = self.visit.saturating_mul(volume.new).saturating_add(self.states(volume, volume.new));
                let shared = (path.len() as u64 - own).saturating_mul(each);
                own_slots.saturating_add(shared)
            }
        };
        streams.saturating_add(states)
    }

    /// Bytes that a group of paths needs on top of the weights that are held and the trunk of its questions.
    pub(crate) fn group(&self, paths: &[LayerPath], volume: Volume, scoring: Scoring) -> u64 {
        let states = paths.iter().fold(0_u64, |sum, path| sum.saturating_add(self.of(path, volume, scoring)));
        let visits = paths.iter().map(LayerPath::len).max().unwrap_or(0);
        states.saturating_add(self.passing([paths.len(), visits].map(|count| count as u64), volume, scoring))
    }

    /// Bytes that a group of paths over some questions needs.
    pub(crate) fn needed(&self, paths: &[LayerPath], volume: Volume, scoring: Scoring) -> u64 {
        let running = self.trunk(volume, scoring).saturating_add(self.group(paths, volume, scoring));
        match self.weights {
            // They are read before anything runs.
            Weights::Held { held, reading } => held.saturating_add(running.max(reading)),
            Weights::Streamed { .. } => running,
        }
    }

    /// The parts of a group of paths that are run one after another, as half-open ranges of its paths: all at once where there is
    /// room, else halves of it, and so on; and whether there is room for each. A path that has no room alone is a part all
    /// the same. Results are those of the whole but for floating-point order.
    pub(crate) fn parts(
        &self,
        paths: &[LayerPath],
        volume: Volume,
        scoring: Scoring,
        has_room: &dyn Fn(u64) -> bool,
    ) -> (Vec<[usize; 2]>, bool) {
        if has_room(self.group(paths, volume, scoring)) {
            return (vec![[0, paths.len()]], true);
        }
        if paths.len() < 2 {
            return (vec![[0, paths.len()]], false);
        }
        let (first, second) = paths.split_at(paths.len() / 2);
        let (mut parts, fits) = self.parts(first, volume, scoring, has_room);
        let (others, others_fit) = self.parts(second, volume, scoring, has_room);
        parts.extend(others.into_iter().map(|part| part.map(|path| path + first.len())));
        (parts, fits && others_fit)
    }
}

/// The widest of each among a model's layers.
struct Widths {
    q: u64,
    /// Numbers that a slot holds of a token.
    slot: u64,
    /// Bytes of a recurrent state.
    state: u64,
    heads: u64,
    head_dim: u64,
}

impl Widths {
    fn of(config: &DecoderConfig) -> Self {
        let largest = |size: fn(&LayerConfig) -> usize| config.layers.iter().map(size).max().unwrap_or(0) as u64;
        Self {
            q: largest(|layer| {
                let values = layer.delta_net.as_ref().map_or(0, |delta_net| delta_net.values_width());
                layer.attention.q_rows().max(values)
            }),
            slot: largest(|layer| slot_bytes_per_token(layer) / size_of::<f32>()),
            state: largest(recurrent_state_bytes),
            heads: largest(|layer| layer.attention.heads),
            head_dim: largest(|layer| layer.attention.head_dim),
        }
    }
}

/// Whether so many bytes more find room on a device now: it says how much is free, where it does, and a processor's system
/// would give as much at once, which it refuses where memory is promised only when it is there, or the process is limited.
pub(crate) fn has_room(device: &Device, bytes: u64) -> bool {
    let free = device_memory(device).available;
    let given = |bytes: usize| !device.is_cpu() || Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    free.is_none_or(|free| bytes <= free) && usize::try_from(bytes).is_ok_and(given)
}
