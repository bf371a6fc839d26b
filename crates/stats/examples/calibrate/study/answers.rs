//! The complete answers of a phantom, and draws from them.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::Path;

use neuro_path::Block;
use neuro_record::{RunData, Sample};
use neuro_stats::{FinalistEvidence, Judge, OtherEvidence, Paired};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The probe of right and wrong answers, and that of probabilities.
const GREEDY: &str = "phantom";
const LIKELIHOOD: &str = "phantom:likelihood";

/// Everything a phantom answers.
pub(crate) struct Answers {
    pub(crate) name: String,
    pub(crate) hash: String,
    /// The planted block, where one works.
    pub(crate) planted: Option<Block>,
    /// Group of each question.
    pub(crate) groups: Vec<String>,
    /// The baseline's right and wrong answers, one per question.
    pub(crate) baseline: Vec<f64>,
    /// The baseline's probability of each key.
    pub(crate) likelihood: Vec<f64>,
    /// Every block.
    pub(crate) paths: Vec<PathAnswers>,
}

/// What one block answers.
pub(crate) struct PathAnswers {
    pub(crate) block: Block,
    pub(crate) printed: String,
    pub(crate) greedy: Vec<f64>,
    pub(crate) likelihood: Vec<f64>,
    /// Path − baseline, question by question.
    pub(crate) differences: Vec<f64>,
}

impl PathAnswers {
    /// The true delta.
    pub(crate) fn delta(&self) -> f64 {
        self.differences.iter().sum::<f64>() / self.differences.len() as f64
    }

    /// Delta on some questions.
    pub(crate) fn delta_on(&self, drawn: &[usize]) -> f64 {
        drawn.iter().map(|&question| self.differences[question]).sum::<f64>() / drawn.len() as f64
    }
}

impl Answers {
    #[allow(dead_code, reason = "the test makes phantoms of its own")]
    pub(crate) fn read(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let data = RunData::read(folder)?;
        let mut greedy = scores(&data, GREEDY);
        let mut likelihood = scores(&data, LIKELIHOOD);
        let mut groups: BTreeMap<&str, &str> = BTreeMap::new();
        groups.extend(data.samples_of(GREEDY).map(|sample| (sample.question.as_str(), sample.group.as_str())));
        let mut take = |path: &str| Some((greedy.remove(path)?, likelihood.remove(path)?));
        let depth = data.info.model.layers;
        let baseline = Block::BASELINE.path(depth)?.to_string();
        let (base, base_likelihood) = take(&baseline).ok_or("the run has no baseline on both probes")?;
        let mut paths = Vec::new();
        for row in data.rows_of(GREEDY).filter(|row| row.path != baseline) {
            let Some([start, end]) = row.block else { continue };
            let (greedy, likelihood) = take(&row.path).ok_or("a path was not measured on both probes")?;
            if greedy.len() != base.len() || likelihood.len() != base.len() {
                return Err(format!("path {} has not answered every question; let the scan finish", row.path).into());
            }
            let differences = greedy.iter().zip(&base).map(|(path, base)| path - base).collect();
            let block = Block::new(start, end, depth)?;
            paths.push(PathAnswers { block, printed: row.path.clone(), greedy, likelihood, differences });
        }
        paths.sort_by_key(|path| (path.block.start, path.block.end));
        let planted = data.info.phantom.as_ref().map(|planted| planted.block);
        Ok(Self {
            name: data.info.model.id.clone(),
            hash: data.info.model.hash.clone(),
            planted: planted.map(|[start, end]| Block::new(start, end, depth)).transpose()?,
            groups: groups.into_values().map(str::to_owned).collect(),
            baseline: base,
            likelihood: base_likelihood,
            paths,
        })
    }

    pub(crate) fn questions(&self) -> usize {
        self.baseline.len()
    }

    /// A block's evidence on some questions, with two judges; `controls` are deltas.
    pub(crate) fn evidence(&self, path: &PathAnswers, drawn: &[usize], controls: Vec<f64>) -> FinalistEvidence {
        let pick = |scores: &[f64]| -> Vec<f64> { drawn.iter().map(|&question| scores[question]).collect() };
        let likelihood = Paired::new(pick(&self.likelihood), pick(&path.likelihood));
        let scores = Paired::new(pick(&self.baseline), pick(&path.greedy));
        let other = OtherEvidence { judge: Judge::Likelihood, probe: LIKELIHOOD.to_owned(), scores: likelihood };
        FinalistEvidence { others: vec![other], ..finalist(path, scores, controls) }
    }

    /// The paths among `candidates` with the highest delta on some questions; of equal ones the smaller block, as in a
    /// ranking.
    pub(crate) fn best<'a>(
        &self,
        candidates: impl Iterator<Item = &'a PathAnswers>,
        delta: impl Fn(&PathAnswers) -> f64,
        count: usize,
    ) -> Vec<&'a PathAnswers> {
        let mut ranked: Vec<(f64, &PathAnswers)> = candidates.map(|path| (delta(path), path)).collect();
        ranked.sort_by(|a, b| {
            let smaller = (a.1.block.size(), a.1.block.start).cmp(&(b.1.block.size(), b.1.block.start));
            b.0.total_cmp(&a.0).then(smaller)
        });
        ranked.into_iter().take(count).map(|(_, path)| path).collect()
    }
}

/// A finalist of which the test alone decides: a second judge that sees no difference forbids nothing, and without
/// controls stands one that every delta exceeds.
pub(crate) fn finalist(path: &PathAnswers, scores: Paired, mut controls: Vec<f64>) -> FinalistEvidence {
    if controls.is_empty() {
        controls.push(-2.0);
    }
    let alike = Paired::new(scores.baseline.clone(), scores.baseline.clone());
    FinalistEvidence {
        path: path.printed.clone(),
        judge: Judge::Greedy,
        scores,
        controls,
        others: vec![OtherEvidence { judge: Judge::Likelihood, probe: LIKELIHOOD.to_owned(), scores: alike }],
        shams: Vec::new(),
        is_seen: false,
    }
}

/// `n` of `of` questions, with replacement.
pub(crate) fn draw(rng: &mut ChaCha8Rng, n: usize, of: usize) -> Vec<usize> {
    let of = u32::try_from(of).unwrap_or(u32::MAX);
    (0..n).map(|_| rng.random_range(0..of) as usize).collect()
}

pub(crate) fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Scores of each path, in the order of question ids.
#[allow(dead_code, reason = "the test makes phantoms of its own")]
fn scores(data: &RunData, probe: &str) -> HashMap<String, Vec<f64>> {
    let mut samples: HashMap<&str, Vec<&Sample>> = HashMap::new();
    for sample in data.samples_of(probe) {
        samples.entry(&sample.path).or_default().push(sample);
    }
    let ordered = samples.into_iter().map(|(path, mut samples)| {
        samples.sort_by(|a, b| a.question.cmp(&b.question));
        (path.to_owned(), samples.into_iter().map(|sample| sample.score).collect())
    });
    ordered.collect()
}
