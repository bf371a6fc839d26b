//! The plan for people and for `--dry-run --json`.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::error::size;
use crate::prompt::Asked;
use crate::work::{Volume, decoding_walks, decoding_work, group_visits, group_walks, trunk_layers};
use crate::{Plan, ReferenceSummary, Residence, screen};

/// What a plan comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanSummary {
    /// The model's name.
    pub model: String,
    /// Its number of layers.
    pub layers: usize,
    /// Type that its weights are held and multiplied in.
    pub compute: String,
    /// Bytes of its weights in that type.
    pub weights_bytes: u64,
    /// Whether they are read from disk layer by layer, because they do not fit into the memory.
    pub streamed: bool,
    /// Bytes of weights, in that type, that the walks for prompts and scored keys read, from memory or from disk: of each walk
    /// the layers that something waits for, and behind each group of paths the head. Decoding comes on top, and what is read
    /// from disk ahead of its use. None before a screening, whose stages are cut when it is known who goes on.
    pub weights_bytes_read: Option<u64>,
    /// Those that decoding reads on top if some answer of every group runs to its limit and every draft fails; texts that are
    /// read once more, because two tokens are too close to call, and what is read ahead not counted. None before a screening.
    pub decoded_weights_bytes_read_at_most: Option<u64>,
    /// Number of paths.
    pub paths: usize,
    /// Each probe's part.
    pub probes: Vec<ProbeSummary>,
    /// Layer-tokens of all prompts and scored keys, trunks included; of every path on every question.
    pub layer_tokens: u64,
    /// Layer-tokens that a screening takes of these and of decoding, at most; none without one.
    pub screened_layer_tokens_at_most: Option<u64>,
    /// Layer-tokens of decoding if every answer runs to its limit.
    pub decoded_layer_tokens_at_most: u64,
    /// Memory that the process may use beside mapped files, in bytes.
    pub memory_bytes: u64,
    /// What is expected to be used of it: what is held whatever runs, and the largest group of paths over a chunk. None before
    /// a screening, which keeps the budget all the same.
    pub memory_needed_bytes: Option<u64>,
    /// The baseline once more in f32; none where no weights are quantised.
    pub reference: Option<ReferenceSummary>,
    /// Remarks that every row will carry.
    pub notes: Vec<String>,
    /// Expected time, where it was estimated.
    pub estimated_seconds: Option<f64>,
}

/// One probe's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProbeSummary {
    /// Its name with scoring.
    pub name: String,
    /// Number of questions.
    pub questions: usize,
    /// Questions that a path has seen at the end of each stage of a screening; empty without one.
    pub stages: Vec<usize>,
    /// Number of chunks that they are asked in; none before a screening.
    pub chunks: Option<usize>,
    /// Number of groups in which paths are run over each chunk; none before a screening.
    pub groups: Option<usize>,
    /// Tokens of all prompts and scored keys.
    pub tokens: usize,
    /// Of these, what a visit runs: what prompts begin with alike counts once in a chunk.
    pub distinct_tokens: u64,
    /// Layer-tokens, trunks included, without decoding.
    pub layer_tokens: u64,
    /// Walks over the layer stack for prompts and scored keys; none before a screening.
    pub sweeps: Option<u64>,
}

impl Plan {
    /// What the plan comes to; without a time, see [`estimate`](crate::estimate()).
    pub fn summary(&self) -> PlanSummary {
        let layers = self.info.model.layers;
        let trunk = trunk_layers(&self.paths) as u64;
        let mut needed = 0;
        let (mut read, mut read_decoding) = (0_u64, 0_u64);
        let unscreened = self.info.screen.is_none();
        let layer_bytes = |layer: &usize| self.weights.layers.get(*layer).copied().unwrap_or(0);
        let mut decoded = 0_u64;
        let mut probes = Vec::with_capacity(self.probes.len());
        for (index, probe) in self.probes.iter().enumerate() {
            let (chunks, groups) = (&self.chunks[index], &self.groups[index]);
            let (mut distinct_tokens, mut layer_tokens) = (0, 0);
            let visits: u64 = groups.iter().map(|&[start, end]| group_visits(&self.paths[start..end])).sum();
            let walks: Vec<_> = groups.iter().flat_map(|&[start, end]| group_walks(&self.paths[start..end])).collect();
            let of_walks: u64 = walks.iter().flatten().map(layer_bytes).sum();
            let of_trunk: u64 = (0..trunk as usize).map(|layer| layer_bytes(&layer)).sum();
            let of_heads = groups.len() as u64 * self.weights.head;
            read = read.saturating_add((chunks.len() as u64).saturating_mul(of_trunk + of_walks + of_heads));
            let sum = |walks: Vec<BTreeSet<usize>>| walks.iter().flatten().map(layer_bytes).sum::<u64>();
            let of_token = groups.iter().map(|&[start, end]| sum(decoding_walks(&self.paths[start..end])));
            let of_token = of_token.sum::<u64>() + of_heads;
            for &[start, end] in chunks {
                let asked = &self.asked[index][start..end];
                let volume = Volume::of(asked);
                // The first token is read from what is behind the prompt.
                let sweeps = asked.iter().map(|asked| asked.limit.saturating_sub(1)).max().unwrap_or(0) as u64;
                read_decoding = read_decoding.saturating_add(sweeps.saturating_mul(of_token));
                distinct_tokens += volume.read;
                layer_tokens += (trunk + visits).saturating_mul(volume.read);
                for &[start, end] in groups {
                    needed = needed.max(self.costs.needed(&self.paths[start..end], volume, probe.scoring()));
                }
                let paths = self.paths.iter().map(|path| decoding_work(path, volume));
                decoded = decoded.saturating_add(paths.sum());
            }
            probes.push(ProbeSummary {
                name: probe.name().to_owned(),
                questions: self.asked[index].len(),
                // A plan holds only races that can be run.
                stages: screen::race(self, index).ok().flatten().as_ref().map(screen::looks).unwrap_or_default(),
                chunks: unscreened.then_some(chunks.len()),
                groups: unscreened.then_some(groups.len()),
                tokens: self.asked[index].iter().map(Asked::tokens).sum(),
                distinct_tokens,
                layer_tokens,
                sweeps: unscreened.then_some((chunks.len() * (usize::from(trunk > 0) + walks.len())) as u64),
            });
        }
        let mut notes: Vec<String> = Vec::new();
        for note in self.notes.iter().flatten() {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        let whole = probes.iter().map(|probe| probe.layer_tokens).sum::<u64>();
        let (reference, most) = self.reference_summary().unzip();
        let needed = needed.max(most.unwrap_or(0));
        let part = self.info.screen.as_ref().map(|screen| screen.budget);
        PlanSummary {
            model: self.info.model.id.clone(),
            layers,
            compute: self.info.compute.clone(),
            weights_bytes: self.weights.held,
            streamed: self.residence == Residence::Streamed,
            weights_bytes_read: unscreened.then_some(read),
            decoded_weights_bytes_read_at_most: unscreened.then_some(read_decoding),
            paths: self.paths.len(),
            layer_tokens: whole,
            screened_layer_tokens_at_most: part.map(|part| (part * whole.saturating_add(decoded) as f64).ceil() as u64),
            probes,
            decoded_layer_tokens_at_most: decoded,
            memory_bytes: self.info.plan.memory_bytes,
            memory_needed_bytes: unscreened.then(|| self.costs.least_budget(needed)),
            reference,
            notes,
            estimated_seconds: None,
        }
    }
}

impl fmt::Display for PlanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, layers, compute, paths, layer_tokens, decoded_layer_tokens_at_most: decoded, .. } = self;
        let place = if self.streamed { "streamed from disk" } else { "in memory" };
        let weights = size(self.weights_bytes);
        writeln!(f, "model         {model}, {layers} layers, {weights} of weights as {compute}, {place}")?;
        writeln!(f, "paths         {paths}")?;
        for ProbeSummary { name, questions, stages, chunks, groups, tokens, distinct_tokens, .. } in &self.probes {
            let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            writeln!(
                f,
                "probe         {name}: {questions} questions, {tokens} tokens, of them {distinct_tokens} distinct"
            )?;
            if let (Some(chunks), Some(groups)) = (*chunks, *groups) {
                let (chunks, groups) = (counted(chunks, "chunk"), counted(groups, "group"));
                writeln!(f, "              {chunks} of questions × {groups} of paths")?;
            } else {
                let ends: Vec<String> = stages.iter().map(usize::to_string).collect();
                writeln!(f, "              stages end at {} questions, each with fewer paths", ends.join(", "))?;
            }
        }
        write!(f, "layer-tokens  {layer_tokens}")?;
        if *decoded > 0 {
            write!(f, ", and at most {decoded} for decoding")?;
        }
        writeln!(f)?;
        if let Some(screened) = self.screened_layer_tokens_at_most {
            // How many walks its stages take is known when they are cut.
            writeln!(f, "screened      at most {screened} layer-tokens of these")?;
        }
        if let Some(read) = self.weights_bytes_read {
            let sweeps: u64 = self.probes.iter().filter_map(|probe| probe.sweeps).sum();
            let (read, walks) = (size(read), if sweeps == 1 { "walk" } else { "walks" });
            write!(f, "reads         {read} of weights in {sweeps} {walks} over the layers")?;
            if let Some(more) = self.decoded_weights_bytes_read_at_most.filter(|&more| more > 0) {
                write!(f, ", and at most {} for decoding", size(more))?;
            }
            writeln!(f)?;
        }
        if let Some(reference) = &self.reference {
            write!(f, "{reference}")?;
        }
        match self.memory_needed_bytes {
            Some(needed) => writeln!(f, "memory        {} of {}", size(needed), size(self.memory_bytes))?,
            None => writeln!(f, "memory        at most {}", size(self.memory_bytes))?,
        }
        if let Some(seconds) = self.estimated_seconds {
            writeln!(f, "time          about {}", span(seconds))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note          {note}"))
    }
}

/// A time for people: `a second or less`, `42 s`, `3 min`, `5.2 h`, `3.0 days`.
fn span(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).as_secs_f64() {
        s if s < 1.0 => "a second or less".to_owned(),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 100.0 * 60.0 => format!("{:.0} min", s / 60.0),
        s if s < 100.0 * 3600.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn times_are_for_people() {
        let spans = [0.2, 41.9, 150.0, 18_720.0, 864_000.0].map(span);
        assert_eq!(spans, ["a second or less", "42 s", "2 min", "5.2 h", "10.0 days"]);
    }
}
