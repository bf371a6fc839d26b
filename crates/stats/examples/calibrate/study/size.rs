//! How often a gain is called where there is none.

use neuro_stats::{Evidence, Paired, Verdict, verdict};

use super::answers::{Answers, draw, finalist, generator};
use super::{Demand, Effort, FINALISTS, QUESTIONS, SEARCH_QUESTIONS, Section, share};

pub(crate) fn section(phantoms: &[Answers], effort: &Effort) -> Section {
    let seeds = effort.size;
    let mut page = format!(
        "## Size: gains that are none\n\n\
         For each of {seeds} seeds a search on {SEARCH_QUESTIONS} questions ranks the blocks whose true delta is 0 or less, and its best {FINALISTS} are confirmed on\n\
         {QUESTIONS} fresh draws. Controls and second judges are left out: they can only forbid a gain, so that these shares are upper\n\
         bounds. At most 5 % of the confirmations may call a gain. Many of these blocks change no answer at all; the null scans below are\n\
         the harder case, in which blocks change many answers and win as many as they lose.\n\n\
         | phantom | blocks to choose from | confirmations that call a gain |\n|---|---|---|\n"
    );
    let (mut all, mut demands) = (0, Vec::new());
    for (number, phantom) in (0..).zip(phantoms) {
        let wrong = (0..seeds).filter(|seed| calls_a_gain(phantom, 2 * seed + number, effort)).count();
        let candidates = phantom.paths.iter().filter(|path| path.delta() <= 0.0).count();
        page.push_str(&format!("| {} | {candidates} | {} |\n", phantom.name, share(wrong, seeds as usize)));
        demands.push(Demand::rare(
            format!("confirmations of {} that call a gain that is none", phantom.name),
            wrong,
            seeds as usize,
        ));
        all += wrong;
    }
    page.push_str(&format!("| both | | {} |\n", share(all, phantoms.len() * seeds as usize)));
    Section { page, demands }
}

fn calls_a_gain(phantom: &Answers, seed: u64, effort: &Effort) -> bool {
    let mut rng = generator(seed);
    let search = draw(&mut rng, SEARCH_QUESTIONS, phantom.questions());
    let candidates = phantom.paths.iter().filter(|path| path.delta() <= 0.0);
    let finalists = phantom.best(candidates, |path| path.delta_on(&search), FINALISTS);
    let fresh = draw(&mut rng, QUESTIONS, phantom.questions());
    let pick = |scores: &[f64]| -> Vec<f64> { fresh.iter().map(|&question| scores[question]).collect() };
    let evidence = finalists.into_iter().map(|path| {
        let scores = Paired::new(pick(&phantom.baseline), pick(&path.greedy));
        finalist(path, scores, Vec::new())
    });
    let evidence = Evidence { finalists: evidence.collect(), ..Evidence::default() };
    verdict(&evidence, &effort.options(seed)).iter().any(|found| found.verdict == Verdict::Gain)
}
