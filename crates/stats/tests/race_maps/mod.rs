//! Maps with known true scores, and answers simulated from them.

use std::ops::Range;
use std::path::Path;

use neuro_path::{Block, triangle};
use neuro_stats::{Race, RaceError, RaceOptions};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Spread of the questions' difficulty in logits. Two small trained checkpoints (stories260K, TinyStories-656K) on 64
/// questions of `math:likelihood`: 0.65 and 0.65.
const DIFFICULTY: f64 = 0.65;

/// Every block of a model with its true score; the baseline first.
pub(crate) struct Map {
    pub(crate) name: String,
    pub(crate) depth: usize,
    pub(crate) blocks: Vec<Block>,
    pub(crate) truth: Vec<f64>,
}

/// How answers scatter around the truth.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Noise {
    /// logit(score) = path + question + residual, and the residual's spread is this multiple of the paths' spread in
    /// logits. The checkpoints above: 0.44 and 0.65.
    Likelihood(f64),
    /// Right when path + question + residual > 0 for unit noise, of which this is the questions' share of variance. At
    /// 0.9 two equal paths of score 0.5 differ in 14 % of their answers, at 0.97 in 8 %; Devstral-24B before and after
    /// repeating three layers differed in 2 to 24 % of the answers to six tasks.
    RightOrWrong(f64),
}

impl Map {
    /// The scores of all paths, `(paths, questions)`. A path's mean is monotone in its true score, so the true order
    /// is the map's.
    pub(crate) fn answers(&self, noise: Noise, questions: usize, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let logits: Vec<f64> = self.truth.iter().map(|truth| (truth / (1.0 - truth)).ln()).collect();
        let (question_sd, residual_sd) = match noise {
            Noise::Likelihood(ratio) => (DIFFICULTY, ratio * spread(&logits)),
            Noise::RightOrWrong(share) => (share.sqrt(), (1.0 - share).sqrt()),
        };
        let difficulty: Vec<f64> = (0..questions).map(|_| question_sd * normal(&mut rng)).collect();
        let mut answer = |logit: f64, difficulty: f64| {
            let latent = difficulty + residual_sd * normal(&mut rng);
            match noise {
                Noise::Likelihood(_) => 1.0 / (1.0 + (-(logit + latent)).exp()),
                // 1.702: the logistic curve nearest to the normal one.
                Noise::RightOrWrong(_) => f64::from(logit / 1.702 + latent > 0.0),
            }
        };
        logits.iter().map(|&logit| difficulty.iter().map(|&question| answer(logit, question)).collect()).collect()
    }

    /// (N − i) layers behind the trunk, which is the baseline, for each question and for what a stage's questions begin
    /// with alike, in questions.
    pub(crate) fn costs(&self, prefix: f64) -> impl Fn(Range<usize>) -> Vec<f64> {
        let layers: Vec<f64> = self.blocks.iter().map(|block| (self.depth - block.start) as f64).collect();
        move |questions| layers.iter().map(|layers| layers * (prefix + questions.len() as f64)).collect()
    }

    pub(crate) fn race(&self, questions: usize, options: RaceOptions) -> Result<Race, RaceError> {
        self.race_behind(0.0, questions, options)
    }

    /// The same where a stage's questions begin alike, with the tokens of so many questions.
    pub(crate) fn race_behind(&self, prefix: f64, questions: usize, options: RaceOptions) -> Result<Race, RaceError> {
        let blocks: Vec<Option<Block>> = self.blocks.iter().copied().map(Some).collect();
        let options = options.suited(self.costs(prefix), questions);
        Race::new(self.costs(prefix), &blocks, questions, options)
    }

    /// Every cell the mean of its 3 × 3 cells: published scores of few questions are rougher than the truth.
    pub(crate) fn smoothed(&self) -> Self {
        let near = |a: Block, b: Block| !b.is_baseline() && a.start.abs_diff(b.start).max(a.end.abs_diff(b.end)) <= 1;
        let around = |(position, &block): (usize, &Block)| {
            let cells = self.blocks.iter().zip(&self.truth).filter(|&(&other, _)| near(block, other));
            let (count, sum) = cells.fold((0.0, 0.0), |(count, sum), (_, truth)| (count + 1.0, sum + truth));
            if block.is_baseline() { self.truth[position] } else { sum / count }
        };
        let truth = self.blocks.iter().enumerate().map(around).collect();
        Self { name: format!("{}, 3x3", self.name), depth: self.depth, blocks: self.blocks.clone(), truth }
    }
}

/// A map as published ones look: early blocks break the model, long ones harm it, one region helps, and every cell has
/// a little of its own.
pub(crate) fn synthetic(depth: usize, seed: u64) -> Map {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n = depth as f64;
    let hill = (rng.random_range(0.25..0.6) * n, rng.random_range(0.05..0.3) * n);
    let score = |block: Block, own: f64| {
        let (start, size) = (block.start as f64, block.size() as f64);
        let gain = 0.12 * (-((start - hill.0) / (0.15 * n)).powi(2) - ((size - hill.1) / (0.12 * n)).powi(2)).exp();
        0.55 + gain - 0.3 * (-start / 2.0).exp() - 0.2 * (size / n).powi(2) + 0.01 * own
    };
    let blocks: Vec<Block> = triangle(depth).collect();
    let truth = blocks.iter().map(|&block| if block.is_baseline() { 0.55 } else { score(block, normal(&mut rng)) });
    let truth = truth.collect();
    Map { name: format!("synthetic {depth}"), depth, blocks, truth }
}

/// The published scans beside the project, `score` taken for the truth; empty where they are not.
pub(crate) fn published(score: &str) -> Vec<Map> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/scans");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    if files.is_empty() {
        #[expect(clippy::print_stdout, reason = "says why a test was skipped")]
        {
            println!("skipped: there is no ../shared/data/scans beside the project");
        }
    }
    files.iter().map(|file| parse(file, score)).collect()
}

/// Reads only what is wanted: each `"config": [i, j]` and the score that follows it.
fn parse(file: &Path, score: &str) -> Map {
    let text = std::fs::read_to_string(file).unwrap();
    let number = |text: &str| -> f64 {
        let text = text.trim_start_matches([':', ' ', '[', '\n']);
        text[..text.find([',', ']', '\n', '}']).unwrap()].trim().parse().unwrap()
    };
    let after = |text: &str, key: &str| text.split_once(&format!("\"{key}\"")).map(|(_, rest)| number(rest));
    let depth = after(&text, "num_layers").unwrap() as usize;
    let mut blocks = Vec::new();
    let mut truth = Vec::new();
    for entry in text.split("\"config\"").skip(1) {
        let start = number(entry) as usize;
        let end = number(entry.split_once(',').unwrap().1) as usize;
        let block = Block::new(start, end, depth).unwrap();
        // The files list the best again in rankings.
        if let Some(score) = after(entry, score).filter(|_| !blocks.contains(&block)) {
            blocks.push(block);
            truth.push(score.clamp(0.01, 0.99));
        }
    }
    assert_eq!(blocks.len(), depth * (depth + 1) / 2 + 1, "{}", file.display());
    assert!(blocks[0].is_baseline());
    Map { name: file.file_stem().unwrap().to_string_lossy().into_owned(), depth, blocks, truth }
}

/// Runs a race to its end. Returns which paths saw every question, and the share of the full cost.
pub(crate) fn run(mut race: Race, scores: &[Vec<f64>]) -> (Vec<bool>, f64) {
    while let Some(stage) = race.stage() {
        let part = |&path: &usize| scores[path][stage.questions.clone()].to_vec();
        let part: Vec<Vec<f64>> = stage.paths.iter().map(part).collect();
        race.record(&part).unwrap();
    }
    let finalists = (0..scores.len()).map(|path| race.seen(path) == scores[path].len()).collect();
    (finalists, race.spent() / race.full_cost())
}

/// Part of the true top decile that was kept, without the baseline; paths that tie with its last count as kept.
pub(crate) fn recall(truth: &[f64], kept: &[bool]) -> f64 {
    let mut sorted = truth[1..].to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let wanted = (0.1 * sorted.len() as f64).ceil() as usize;
    let edge = sorted[wanted - 1] + 1e-12;
    let lost = truth[1..].iter().zip(&kept[1..]).filter(|&(&truth, &kept)| truth > edge && !kept).count();
    1.0 - lost as f64 / wanted as f64
}

/// The `count` best paths by their mean over all answers: what no screening can beat with as many finalists.
pub(crate) fn best_by_all_answers(scores: &[Vec<f64>], count: usize) -> Vec<bool> {
    let means: Vec<f64> = scores.iter().map(|row| row.iter().sum::<f64>() / row.len() as f64).collect();
    let mut order: Vec<usize> = (1..scores.len()).collect();
    order.sort_by(|&a, &b| means[b].total_cmp(&means[a]).then(a.cmp(&b)));
    let mut kept = vec![false; scores.len()];
    order.iter().take(count).for_each(|&path| kept[path] = true);
    kept
}

fn spread(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// A standard normal number (Box and Muller, 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, turn): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
}
