//! Whether the planted block is confirmed, controls and second judge included, on disjoint sets of questions.

use std::error::Error;

use neuro_stats::{Evidence, Verdict, verdict};
use rand::seq::SliceRandom;

use super::answers::{Answers, PathAnswers, generator};
use super::{Demand, Effort, FINALISTS, QUESTIONS, SEARCH_QUESTIONS, Section, share};

pub(crate) fn section(phantom: &Answers, effort: &Effort) -> Result<Section, Box<dyn Error>> {
    let seeds = effort.planted;
    let planted = phantom.planted.ok_or("the first run is no phantom's")?;
    let own = phantom.paths.iter().find(|path| path.block == planted).ok_or("the planted block was not measured")?;
    let (mut confirmed, mut chosen, mut shrunk) = (0, 0, Vec::new());
    for seed in 0..seeds {
        let mut questions: Vec<usize> = (0..phantom.questions()).collect();
        questions.shuffle(&mut generator(3_000_000 + seed));
        let (search, rest) = questions.split_at(SEARCH_QUESTIONS.min(questions.len()));
        let fresh = &rest[..QUESTIONS.min(rest.len())];
        let mut finalists = phantom.best(phantom.paths.iter(), |path| path.delta_on(search), FINALISTS);
        chosen += usize::from(finalists.iter().any(|path| path.block == planted));
        if let Some(best) = finalists.first() {
            shrunk.push((best.delta_on(search), best.delta_on(fresh)));
        }
        if !finalists.iter().any(|path| path.block == planted) {
            finalists.push(own);
        }
        let controls = |path: &PathAnswers| -> Vec<f64> {
            let is_finalist = |other: &PathAnswers| finalists.iter().any(|finalist| finalist.block == other.block);
            let others =
                phantom.paths.iter().filter(|other| other.block.size() == path.block.size() && !is_finalist(other));
            others.map(|other| other.delta_on(fresh)).collect()
        };
        let evidence = finalists.iter().map(|path| phantom.evidence(path, fresh, controls(path)));
        let evidence = Evidence { finalists: evidence.collect(), ..Evidence::default() };
        let verdicts = verdict(&evidence, &effort.options(seed));
        confirmed +=
            usize::from(verdicts.iter().any(|found| found.path == own.printed && found.verdict == Verdict::Gain));
    }
    let mean = |of: fn(&(f64, f64)) -> f64| shrunk.iter().map(of).sum::<f64>() / shrunk.len() as f64;
    let page = format!(
        "## The planted block\n\n\
         {seeds} times the questions of {} are shuffled and cut into disjoint sets: {SEARCH_QUESTIONS} for the search, {QUESTIONS} for the confirmation. The search's best {FINALISTS}\n\
         blocks are finalists, and {planted} with them; controls are all other blocks of as many layers, likelihood is the second judge.\n\n\
         | | |\n|---|---|\n\
         | {planted} is confirmed as a gain | {} |\n\
         | {planted} is among the search's best {FINALISTS} | {chosen} of {seeds} |\n\
         | mean delta of the search's best block, on the questions that chose it | {:+.3} |\n\
         | the same blocks on fresh questions | {:+.3} |\n",
        phantom.name,
        share(confirmed, seeds as usize),
        mean(|pair| pair.0),
        mean(|pair| pair.1),
    );
    let what = format!("the planted block {planted} is confirmed, on disjoint sets of answers");
    Ok(Section { page, demands: vec![Demand::always(what, confirmed, seeds as usize)] })
}
