//! The plan for people and for `--dry-run --json`.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::error::size;
use crate::prompt::Asked;
use crate::work::{Volume, decoding_work, group_visits, group_walks, trunk_layers};
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
    /// from disk ahead of its use.
    pub weights_bytes_read: u64,
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
    /// What the largest chunk is expected to use of it.
    pub memory_needed_bytes: u64,
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
    /// Number of chunks that they are asked in.
    pub chunks: usize,
    /// Number of groups in which paths are run over each chunk.
    pub groups: usize,
    /// Tokens of all prompts and scored keys.
    pub tokens: usize,
    /// Of these, what a visit runs: what prompts begin with alike counts once in a chunk.
    pub distinct_tokens: u64,
    /// Layer-tokens, trunks included, without decoding.
    pub layer_tokens: u64,
    /// Walks over the layer stack for prompts and scored keys.
    pub sweeps: u64,
}

impl Plan {
    /// What the plan comes to; without a time, see [`estimate`](crate::estimate()).
    pub fn summary(&self) -> PlanSummary {
        let layers = self.info.model.layers;
        let trunk = trunk_layers(&self.paths) as u64;
        let mut needed = 0;
        let mut read = 0_u64;
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
            for &[start, end] in chunks {
                let volume = Volume::of(&self.asked[index][start..end]);
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
                chunks: chunks.len(),
                groups: groups.len(),
                tokens: self.asked[index].iter().map(Asked::tokens).sum(),
                distinct_tokens,
                layer_tokens,
                sweeps: (chunks.len() * (usize::from(trunk > 0) + walks.len())) as u64,
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
            weights_bytes_read: read,
            paths: self.paths.len(),
            layer_tokens: whole,
            screened_layer_tokens_at_most: part.map(|part| (part * whole.saturating_add(decoded) as f64).ceil() as u64),
            probes,
            decoded_layer_tokens_at_most: decoded,
            memory_bytes: self.info.plan.memory_bytes,
            memory_needed_bytes: needed,
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
            let (chunks, groups) = (counted(*chunks, "chunk"), counted(*groups, "group"));
            writeln!(
                f,
                "probe         {name}: {questions} questions, {tokens} tokens, of them {distinct_tokens} distinct"
            )?;
            if stages.is_empty() {
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
        match self.screened_layer_tokens_at_most {
            // How many walks its stages take is known when they are cut.
            Some(screened) => writeln!(f, "screened      at most {screened} layer-tokens of these")?,
            None => {
                let sweeps: u64 = self.probes.iter().map(|probe| probe.sweeps).sum();
                let (read, walks) = (size(self.weights_bytes_read), if sweeps == 1 { "walk" } else { "walks" });
                let more = if *decoded > 0 { ", more for decoding" } else { "" };
                writeln!(f, "reads         {read} of weights in {sweeps} {walks} over the layers{more}")?;
            }
        }
        if let Some(reference) = &self.reference {
            write!(f, "{reference}")?;
        }
        writeln!(f, "memory        {} of {}", size(self.memory_needed_bytes), size(self.memory_bytes))?;
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
