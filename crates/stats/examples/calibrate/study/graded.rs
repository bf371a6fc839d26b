//! Scores that are more than right or wrong: probabilities of keys, and shares of several drawn answers that are right.
//!
//! A phantom's answer is one token. Drawn at temperature 1 it is right with the probability that likelihood states, so that
//! draws need no further scan: one is right where a number between 0 and 1 lies below that probability. Baseline and paths
//! share these numbers, as they share the noise of question and draw in a confirmation.

use neuro_stats::{Evidence, FinalistEvidence, Judge, Paired, Resampler, ScoreKind, Verdict, verdict};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::answers::{Answers, PathAnswers, draw, generator};
use super::{Demand, Effort, FINALISTS, QUESTIONS, SEARCH_QUESTIONS, Section, share};

/// Answers that are drawn to each question, as `neuro confirm` draws by default.
const DRAWS: usize = 4;
/// Questions that must be expected to carry a delta for its bootstrap to be judged.
const ENOUGH: f64 = 10.0;

/// What is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Likelihood,
    Sampled,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Likelihood, Self::Sampled];

    fn words(self) -> &'static str {
        match self {
            Self::Likelihood => "probability of the key",
            Self::Sampled => "share of four drawn answers that is right",
        }
    }

    fn judge(self) -> Judge {
        match self {
            Self::Likelihood => Judge::Likelihood,
            Self::Sampled => Judge::Sampled,
        }
    }

    fn score(self, probability: f64, noise: &[f64; DRAWS]) -> f64 {
        match self {
            Self::Likelihood => probability,
            Self::Sampled => noise.iter().filter(|&&noise| noise < probability).count() as f64 / DRAWS as f64,
        }
    }
}

/// A question that was drawn.
struct Asked {
    question: usize,
    /// Whether the labels of baseline and path are swapped.
    is_swapped: bool,
    noise: [f64; DRAWS],
}

/// Questions with the noise of their draws; labels swapped at random, or left.
fn ask(rng: &mut ChaCha8Rng, n: usize, of: usize, swaps: bool) -> Vec<Asked> {
    let drawn = draw(rng, n, of);
    let mut one = |question| Asked { question, is_swapped: swaps && rng.random_bool(0.5), noise: rng.random() };
    drawn.into_iter().map(&mut one).collect()
}

/// Scores of baseline and path.
fn scores(phantom: &Answers, path: &PathAnswers, kind: Kind, asked: &[Asked]) -> Paired {
    let pairs = asked.iter().map(|Asked { question, is_swapped, noise }| {
        let score = |probabilities: &[f64]| kind.score(probabilities[*question], noise);
        let (base, own) = (score(&phantom.likelihood), score(&path.likelihood));
        if *is_swapped { (own, base) } else { (base, own) }
    });
    let (baseline, path) = pairs.unzip();
    Paired::new(baseline, path)
}

fn differences(scores: &Paired) -> Vec<f64> {
    scores.path.iter().zip(&scores.baseline).map(|(path, base)| path - base).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(crate) fn section(phantoms: &[Answers], effort: &Effort) -> Section {
    let mut page = format!(
        "## Graded scores: probabilities, and drawn answers\n\n\
         What likelihood and sampling are judged by. A phantom's answer is one token, and drawn at temperature 1 it is right with the\n\
         probability that likelihood states; four draws to a question share their noise with the baseline's. The true delta is the mean\n\
         difference of probabilities over all questions.\n\n\
         Null scans as above, {} of each phantom and kind of score: labels are swapped at random within questions, a search on\n\
         {SEARCH_QUESTIONS} questions chooses {FINALISTS} finalists, {QUESTIONS} fresh draws confirm them by a permutation test.\n\n\
         | score | phantom | null scans in which `confirm` calls a gain |\n|---|---|---|\n",
        effort.graded
    );
    let mut demands = Vec::new();
    for (number, kind) in (0..).zip(Kind::ALL) {
        let mut all = 0;
        for (place, phantom) in (0..).zip(phantoms) {
            let first = 20_000_000 + 1_000_000 * (2 * number + place);
            let wrong =
                (first..first + effort.graded).filter(|&seed| calls_a_gain(phantom, kind, seed, effort)).count();
            let of = effort.graded as usize;
            page.push_str(&format!("| {} | {} | {} |\n", kind.words(), phantom.name, share(wrong, of)));
            all += wrong;
        }
        let of = phantoms.len() * effort.graded as usize;
        page.push_str(&format!("| {} | both | {} |\n", kind.words(), share(all, of)));
        demands.push(Demand::rare(
            format!("null scans in which `confirm` calls a gain by the {}", kind.words()),
            all,
            of,
        ));
    }
    let covered = coverage(phantoms, effort);
    page.push_str(&covered.page);
    demands.extend(covered.demands);
    Section { page, demands }
}

fn calls_a_gain(phantom: &Answers, kind: Kind, seed: u64, effort: &Effort) -> bool {
    let mut rng = generator(seed);
    let search = ask(&mut rng, SEARCH_QUESTIONS, phantom.questions(), true);
    let fresh = ask(&mut rng, QUESTIONS, phantom.questions(), true);
    let finalists =
        phantom.best(phantom.paths.iter(), |path| mean(&differences(&scores(phantom, path, kind, &search))), FINALISTS);
    let evidence = finalists.into_iter().map(|path| FinalistEvidence {
        path: path.printed.clone(),
        judge: kind.judge(),
        scores: scores(phantom, path, kind, &fresh),
        // One that every delta exceeds: only the test decides.
        controls: vec![-2.0],
        others: Vec::new(),
        shams: Vec::new(),
        is_seen: false,
    });
    let evidence = Evidence { finalists: evidence.collect(), ..Evidence::default() };
    verdict(&evidence, &effort.options(seed)).iter().any(|found| found.verdict == Verdict::Gain)
}

#[derive(Default, Clone, Copy)]
struct Pool {
    paths: usize,
    covered: usize,
    intervals: usize,
    none: usize,
}

impl std::ops::AddAssign for Pool {
    fn add_assign(&mut self, other: Self) {
        self.paths += other.paths;
        self.covered += other.covered;
        self.intervals += other.intervals;
        self.none += other.none;
    }
}

fn coverage(phantoms: &[Answers], effort: &Effort) -> Section {
    let draws = effort.coverage;
    let mut page = format!(
        "\n{draws} draws of {QUESTIONS} questions per path, intervals as a map has them. (Σd²)² ⁄ Σd⁴ counts the questions that carry a delta; below\n\
         ten a score interval takes the bootstrap's place, and below two there is none. Paths are told apart by what they are expected to\n\
         have in {QUESTIONS} questions.\n\n\
         | score | questions that carry the delta | phantom | paths | intervals that hold the true delta | no interval |\n\
         |---|---|---|---|---|---|\n"
    );
    let mut demands = Vec::new();
    let classes = ["10 or more", "2 to 10", "fewer"];
    for (number, kind) in (0..).zip(Kind::ALL) {
        let pools: Vec<[Pool; 3]> = (0..)
            .zip(phantoms)
            .map(|(place, phantom)| of_phantom(phantom, kind, 30_000_000 + 1_000_000 * (2 * number + place), effort))
            .collect();
        for (class, name) in classes.iter().enumerate() {
            let mut all = Pool::default();
            for (phantom, pools) in phantoms.iter().zip(&pools) {
                page.push_str(&line(kind, name, &phantom.name, pools[class]));
                all += pools[class];
            }
            page.push_str(&line(kind, name, "both", all));
            // Where hardly a question tells anything apart, an interval is not asked for.
            if class < 2 && all.intervals > 0 {
                let what =
                    format!("intervals of the {} that hold the truth, {name} questions carrying it", kind.words());
                demands.push(Demand::covered(what, all.covered, all.intervals, class == 0));
            }
        }
    }
    Section { page, demands }
}

fn line(kind: Kind, class: &str, phantom: &str, pool: Pool) -> String {
    let Pool { paths, covered, intervals, none } = pool;
    let covered = if intervals == 0 { "none".to_owned() } else { share(covered, intervals) };
    format!("| {} | {class} | {phantom} | {paths} | {covered} | {none} |\n", kind.words())
}

fn of_phantom(phantom: &Answers, kind: Kind, first_seed: u64, effort: &Effort) -> [Pool; 3] {
    let mut pools = [Pool::default(); 3];
    let resampler = Resampler::new(QUESTIONS, effort.resamples, 0);
    for (number, path) in (0..).zip(&phantom.paths) {
        let first = first_seed + 1_000 * number;
        let truth =
            mean(&path.likelihood.iter().zip(&phantom.likelihood).map(|(path, base)| path - base).collect::<Vec<_>>());
        let class = match expected_carriers(phantom, path, kind, first) {
            carriers if carriers >= ENOUGH => 0,
            carriers if carriers >= 2.0 => 1,
            _ => 2,
        };
        let pool = &mut pools[class];
        pool.paths += 1;
        for seed in 0..effort.coverage {
            let mut rng = generator(first + seed);
            let scores = scores(phantom, path, kind, &ask(&mut rng, QUESTIONS, phantom.questions(), false));
            let of = ScoreKind::of(scores.baseline.iter().chain(&scores.path));
            match resampler.delta(&differences(&scores), of).and_then(|delta| delta.interval) {
                None => pool.none += 1,
                Some(bounds) => {
                    pool.intervals += 1;
                    pool.covered += usize::from(bounds.low - 1e-12 <= truth && truth <= bounds.high + 1e-12);
                }
            }
        }
    }
    pools
}

/// (Σd²)² ⁄ Σd⁴ of a path over the whole population, as a part of it that is as large as a confirmation.
fn expected_carriers(phantom: &Answers, path: &PathAnswers, kind: Kind, seed: u64) -> f64 {
    let mut rng = generator(seed + 999);
    let everything: Vec<Asked> =
        (0..phantom.questions()).map(|question| Asked { question, is_swapped: false, noise: rng.random() }).collect();
    let differences = differences(&scores(phantom, path, kind, &everything));
    let power = |exponent: i32| differences.iter().map(|difference| difference.powi(exponent)).sum::<f64>();
    let carriers = power(2).powi(2) / power(4);
    if carriers.is_finite() { carriers * QUESTIONS as f64 / phantom.questions() as f64 } else { 0.0 }
}
