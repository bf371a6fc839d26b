//! What is held whatever runs: the process, what its threads keep, what has been measured, and what is made of it.

use std::sync::OnceLock;

use neuro_checkpoint::Memory;
use neuro_model::scratch_threads;
use neuro_path::LayerPath;
use neuro_probe::{Probe, Question, Scoring};
use neuro_record::Sample;
use neuro_stats::RESAMPLES;

use super::Costs;
use crate::Subject;
use crate::prompt::Asked;

/// What the process holds before is counted in steps of this size, so that equal scans are planned alike.
const BASE_STEP: u64 = 8 << 20;
/// What attention packs in a thread: at most so much, or else one head's part of the longest text.
const PACKED: u64 = 1 << 20;
/// And its scores of one token: of eight queries at once, with the token's place.
const SCORES: u64 = 8 * 4 + 8;
/// What the allocator keeps for a thread. Measured: 0.8 MiB where each has an arena of its own, 1.2 where 128 share 16; glibc.
const THREAD: u64 = 1 << 20;
/// What finds a sample again: its places in the recorder and in the writer's index, which takes half as much again while it grows.
const FOUND: u64 = 100;
/// Bytes of text that a generated token becomes.
const TOKEN_TEXT: u64 = 4;
/// What a report takes: its pictures and the fonts in them (measured), and for each question the counts of its resamples.
const REPORT: u64 = 20 << 20;
const RESAMPLED: u64 = RESAMPLES as u64 * 2;

impl Costs {
    /// Bytes that are held whatever runs of a scan: how the number of threads and what the process held before enter a plan.
    pub(crate) fn held_of(
        &self,
        subject: &Subject,
        probes: &[Probe],
        asked: &[Vec<Asked>],
        paths: &[LayerPath],
    ) -> u64 {
        // A GPU's own memory has none of it.
        if subject.device().is_cuda() {
            return 0;
        }
        let longest = asked.iter().flatten().map(Asked::span).max().unwrap_or(0) as u64;
        let threads = (scratch_threads() as u64).saturating_mul(THREAD.saturating_add(self.scratch(longest)));
        let of_paths: u64 = paths.iter().map(|path| text_bytes(path.to_string().len() as u64)).sum();
        let mut results = 0_u64;
        for (probe, asked) in probes.iter().zip(asked) {
            let each =
                probe.questions().iter().zip(asked).map(|(question, asked)| sample_bytes(probe, question, asked));
            let each = each.fold(0, u64::saturating_add);
            let questions = asked.len() as u64;
            // The baseline answers once more where weights are quantised.
            let samples =
                each.saturating_mul(paths.len() as u64 + 1).saturating_add(questions.saturating_mul(of_paths));
            results = results.saturating_add(samples).saturating_add(questions.saturating_mul(RESAMPLED));
        }
        held_before(subject).saturating_add(threads).saturating_add(results).saturating_add(REPORT)
    }

    /// Bytes that attention keeps in each thread when the longest text has been read.
    fn scratch(&self, longest: u64) -> u64 {
        let packed = self.visit.saturating_mul(longest).min(PACKED).max(self.head_dim.saturating_mul(longest));
        // Twice, for what a buffer that grows leaves behind in the thread's arena: measured, 1.45 times in all of 64 threads; glibc.
        packed.saturating_add(SCORES.saturating_mul(longest)).saturating_mul(2)
    }
}

/// Bytes of a sample without its path.
fn sample_bytes(probe: &Probe, question: &Question, asked: &Asked) -> u64 {
    let names = [probe.name(), &question.id, &question.group].map(|name| text_bytes(name.len() as u64));
    let found = match probe.scoring() {
        Scoring::Likelihood => text_bytes(8 * asked.scored() as u64),
        // Answer, what is found in it, and why it ended.
        Scoring::Generation => text_bytes(TOKEN_TEXT * asked.limit as u64) + 2 * text_bytes(1),
    };
    names.iter().sum::<u64>() + found + size_of::<Sample>() as u64 + FOUND
}

/// What an allocator takes for so many bytes.
fn text_bytes(bytes: u64) -> u64 {
    if bytes == 0 { 0 } else { bytes.saturating_add(8).next_multiple_of(16).max(32) }
}

/// Anonymous memory of the process before its first scan, the subject's weights not counted; the same for all scans of
/// a process, or two plans of one scan could differ.
fn held_before(subject: &Subject) -> u64 {
    static HELD: OnceLock<u64> = OnceLock::new();
    *HELD.get_or_init(|| {
        let held = Memory::anonymous_of_this_process().unwrap_or(0);
        held.saturating_sub(subject.weight_bytes_held()).next_multiple_of(BASE_STEP)
    })
}
