//! Screening: the race that the paths of a probe run over its questions, and what is measured in each of its stages.

use neuro_path::LayerPath;
use neuro_probe::{Probe, Question};
use neuro_record::{Screen, ScreenedProbe};
use neuro_stats::{Race, RaceOptions, Stage, question_order};

use crate::memory::{Costs, cut};
use crate::portion::Portion;
use crate::prompt::Asked;
use crate::work::{Volume, decoding_work, own_visits, trunk_layers};
use crate::{Plan, Result, ScanError};

/// From so many questions on fewer and earlier looks are enough: a fiftieth of them is then ten.
const MANY: usize = 512;
/// Looks at that many questions. Of the phantom's, which share tokens, so that few together cost more than their part, these
/// keep 0.98 of the best tenth in a fifth of the layer-tokens with 768 and with 1,152, a race's usual ones 0.95 and 0.99.
const LOOKS_OF_MANY: [f64; 3] = [0.02, 0.05, 0.125];

/// The screening of these probes: the options of their races, and the order in which each asks its questions. `budget` is
/// the most that it may take of the full scan's layer-tokens, above 0 and up to 1.
///
/// # Errors
/// When the budget cannot hold a race.
pub(crate) fn screen(
    probes: &[Probe],
    asked: &[Vec<Asked>],
    paths: &[LayerPath],
    budget: f64,
    seed: u64,
) -> Result<Screen> {
    let RaceOptions { keep, looks, finalists, .. } = RaceOptions::default();
    let mut screen = Screen { keep, budget, finalists, probes: Vec::with_capacity(probes.len()) };
    for (probe, asked) in probes.iter().zip(asked) {
        let group = |question: &Question| (!question.group.is_empty()).then(|| question.group.clone());
        let groups: Vec<Option<String>> = probe.questions().iter().map(group).collect();
        let groups: Vec<Option<&str>> = groups.iter().map(Option::as_deref).collect();
        let order = question_order(&groups, seed);
        let looks = if asked.len() < MANY { looks.clone() } else { LOOKS_OF_MANY.to_vec() };
        let options = RaceOptions { looks, ..RaceOptions::default() };
        let RaceOptions { looks, .. } = options.suited(|questions| costs(asked, &order[questions], paths), asked.len());
        let screened = ScreenedProbe { looks, order };
        race_of(&screen, &screened, probe, asked, paths)?;
        screen.probes.push(screened);
    }
    Ok(screen)
}

/// Layer-tokens of each path on these questions, asked together: its own work only, and for the baseline the trunk.
fn costs(asked: &[Asked], questions: &[usize], paths: &[LayerPath]) -> Vec<f64> {
    let volume = Volume::of(questions.iter().map(|&question| &asked[question]));
    let trunk = trunk_layers(paths);
    let cost = |path: &LayerPath| {
        let read = if path.is_baseline() { trunk } else { own_visits(path).max(1) };
        read as f64 * volume.read.max(1) as f64 + decoding_work(path, volume) as f64
    };
    paths.iter().map(cost).collect()
}

/// The stages of a race in which all paths do equally well: as many stay in it, and as long, as the budget allows.
fn rehearsal(race: &Race) -> Vec<Stage> {
    let mut race = race.clone();
    let mut stages = Vec::new();
    while let Some(stage) = race.stage() {
        let scores = vec![vec![0.0; stage.questions.len()]; stage.paths.len()];
        stages.push(stage);
        if race.record(&scores).is_err() {
            break;
        }
    }
    stages
}

fn race_of(
    screen: &Screen,
    screened: &ScreenedProbe,
    probe: &Probe,
    asked: &[Asked],
    paths: &[LayerPath],
) -> Result<Race> {
    let options = RaceOptions {
        keep: screen.keep,
        budget: screen.budget,
        looks: screened.looks.clone(),
        finalists: screen.finalists,
    };
    let blocks: Vec<_> = paths.iter().map(LayerPath::block).collect();
    let costs = |questions: std::ops::Range<usize>| costs(asked, &screened.order[questions], paths);
    Race::new(costs, &blocks, asked.len(), options)
        .map_err(|source| ScanError::Screen { probe: probe.name().to_owned(), source: Box::new(source) })
}

/// The race of a probe at its start; none where nothing is screened.
pub(crate) fn race(plan: &Plan, probe: usize) -> Result<Option<Race>> {
    let screened = plan.info.screen.as_ref().and_then(|screen| Some((screen, screen.probes.get(probe)?)));
    let race = |(screen, screened)| race_of(screen, screened, &plan.probes[probe], &plan.asked[probe], &plan.paths);
    screened.map(race).transpose()
}

/// Questions that a path has seen at the end of each stage, whoever drops out.
pub(crate) fn looks(race: &Race) -> Vec<usize> {
    rehearsal(race).iter().map(|stage| stage.questions.end).collect()
}

/// Cuts a stage into portions that fit the memory budget, as a plan is cut. The same stage, costs and budget give the
/// same portions.
pub(crate) fn stage_portions(
    plan: &Plan,
    probe: usize,
    stage: &Stage,
    costs: &Costs,
    budget: u64,
) -> Result<Vec<Portion>> {
    let order = &plan.order[probe][stage.questions.clone()];
    let asked: Vec<Asked> = order.iter().map(|&question| plan.asked[probe][question].clone()).collect();
    let paths: Vec<LayerPath> = stage.paths.iter().map(|&path| plan.paths[path].clone()).collect();
    let questions = plan.probes[probe].questions();
    let cut = cut(&plan.probes[probe], &asked, &paths, costs, budget).map_err(|error| match error {
        // Counted from the stage's first question.
        ScanError::Memory { probe, question, needs } => {
            let place = questions.iter().position(|other| other.id == question);
            let question = place.and_then(|place| order.get(place)).map_or(question, |&own| questions[own].id.clone());
            ScanError::Memory { probe, question, needs }
        }
        error => error,
    })?;
    let mut portions = Vec::with_capacity(cut.chunks.len() * cut.groups.len());
    for [first, end] in cut.chunks {
        let volume = Volume::of(&asked[first..end]);
        let questions = stage.questions.start + first..stage.questions.start + end;
        for &[path, path_end] in &cut.groups {
            portions.push(Portion {
                questions: questions.clone(),
                paths: stage.paths[path..path_end].to_vec(),
                volume,
            });
        }
    }
    Ok(portions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Part;

    fn asked(prompt: &[u32], limit: usize) -> Asked {
        Asked { parts: vec![Part { prompt: prompt.to_vec(), continuation: Vec::new() }], limit }
    }

    #[test]
    fn what_questions_begin_with_alike_costs_once_in_a_stage() {
        let depth = 4;
        let paths: Vec<_> = neuro_path::triangle(depth).map(|block| block.path(depth).unwrap()).collect();
        let texts = [asked(&[1, 2, 3, 4, 5], 0), asked(&[1, 2, 6], 0)];
        // The baseline is the trunk; block (i, j) runs layers i … N−1 behind it.
        let ends = |costs: Vec<f64>| (costs[0], costs[1], costs[paths.len() - 1]);
        assert_eq!(ends(costs(&texts, &[0, 1], &paths)), (24.0, 24.0, 6.0));
        assert_eq!(ends(costs(&texts, &[0], &paths)), (20.0, 20.0, 5.0));
        assert_eq!(ends(costs(&texts, &[1], &paths)), (12.0, 12.0, 3.0));
        // Generated tokens run through the whole path.
        let longer = [asked(&[1, 2, 3], 5), asked(&[1, 2, 6], 3)];
        let more = costs(&longer, &[0, 1], &paths)[1]
            - costs(&[asked(&[1, 2, 3], 1), asked(&[1, 2, 6], 1)], &[0, 1], &paths)[1];
        assert_eq!(more, 5.0 * 6.0);
    }
}
