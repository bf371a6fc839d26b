//! A screening: who drops out, what the rows say, and that it resumes and measures as a full scan does.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use neuro_probe::Count;
use neuro_probe::phantom::PhantomCard;
use neuro_record::{RunData, Screened};
use neuro_scan::{
    Observer, OpenOptions, Paths, Plan, Progress, SCREENING, ScanError, ScanRequest, Subject, WeightType, estimate,
    measure, plan, run,
};
use neuro_stats::BlockMap;
use serde_json::json;

use crate::common::{Model, request, rows, samples, tight, with_phantom};

static GO: AtomicBool = AtomicBool::new(false);

fn screened(request: ScanRequest) -> ScanRequest {
    ScanRequest { screen: Some(SCREENING), ..request }
}

/// Shallow models have few blocks, and the baseline and the best of them are a large part of all.
fn roomy(request: ScanRequest) -> ScanRequest {
    ScanRequest { screen: Some(0.4), ..request }
}

/// Seven layers, so that there are blocks enough to drop.
fn model() -> Model {
    Model::plain().with(&json!({"num_hidden_layers": 7}))
}

/// Hears how far a scan came, and stops it after each portion where it has a flag.
#[derive(Default)]
struct Heard<'a> {
    last: Progress,
    falls: bool,
    stop: Option<&'a AtomicBool>,
    /// Portions that the baseline was measured in.
    portions: usize,
}

impl Observer for Heard<'_> {
    fn progress(&mut self, progress: &Progress) {
        let known = self.last.work_total > 0;
        self.falls |=
            known && (progress.work_done < self.last.work_done || progress.fraction() < self.last.fraction() - 1e-12);
        self.last = progress.clone();
        self.portions += usize::from(progress.path == "0..4");
        if let Some(flag) = self.stop.filter(|_| !progress.path.is_empty()) {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

/// The data, and the work that it took: layer-tokens, and heads as a layer more, which is why a screening may take a
/// little more of it than its budget.
fn scan(subject: &Subject, plan: &Plan) -> (RunData, u64) {
    let mut heard = Heard::default();
    let outcome = measure(subject, plan, &mut heard, &GO).unwrap();
    assert!(!outcome.interrupted && !heard.falls);
    assert_eq!((heard.last.work_done, heard.last.rows_done), (heard.last.work_total, heard.last.rows_total));
    (outcome.data, heard.last.work_total)
}

/// Checks every row of a screening against the scan in which every path answered every question; gives the number of
/// paths that saw everything.
#[track_caller]
fn assert_part_of(screening: &RunData, full: &RunData, tolerance: f64) -> usize {
    assert_eq!(screening.rows.len(), full.rows.len());
    let mut finalists = 0;
    for row in &screening.rows {
        let whole = full.row(&row.path, &row.probe).unwrap();
        match row.screened {
            None => {
                finalists += 1;
                assert_eq!(row.n, whole.n);
                assert!((row.score - whole.score).abs() < tolerance, "{}: {} and {}", row.path, row.score, whole.score);
            }
            Some(screened) => {
                assert_eq!(screened, Screened { seen: row.n, of: whole.n });
                assert!(row.n < whole.n);
            }
        }
    }
    for sample in &screening.samples {
        let same = full.samples.iter().find(|other| {
            (&other.path, &other.probe, &other.question) == (&sample.path, &sample.probe, &sample.question)
        });
        assert!((sample.score - same.unwrap().score).abs() < tolerance, "{} {}", sample.path, sample.question);
    }
    finalists
}

#[test]
fn the_finalists_answer_everything_and_the_others_say_what_they_saw() {
    let model = model();
    let subject = model.open();
    let base = with_phantom(request(&["phantom:likelihood"], 40));
    let (full, whole) = scan(&subject, &plan(&subject, &base).unwrap());
    let plan = plan(&subject, &roomy(base)).unwrap();
    let (data, part) = scan(&subject, &plan);
    // Log-probabilities depend on what shares a batch, in their last digits.
    let finalists = assert_part_of(&data, &full, 1e-6);
    // The baseline and at least the best tenth of 28 blocks, never many of them.
    assert!((4..=14).contains(&finalists), "{finalists}");
    assert!(part as f64 <= 1.06 * 0.4 * whole as f64, "{part} of {whole}");
    assert!(data.row("0..6", "phantom:likelihood").unwrap().screened.is_none());

    let map = BlockMap::from_run(&data, "phantom:likelihood", None).unwrap();
    assert_eq!((map.n, map.ranked(usize::MAX).len()), (40, finalists - 1));
    let samples = |path: &str| {
        let of_path = data.samples.iter().filter(move |sample| sample.path == path);
        of_path.map(|sample| (sample.question.clone(), sample.score)).collect::<std::collections::BTreeMap<_, _>>()
    };
    let baseline = samples("0..6");
    for cell in &map.cells[1..] {
        let row = data.row(&cell.block.path(7).unwrap().to_string(), "phantom:likelihood").unwrap();
        assert_eq!(cell.screened, row.screened.map(|screened| screened.seen));
        assert_eq!(cell.interval.is_some(), cell.screened.is_none());
        let own = samples(&row.path);
        let delta = own.iter().map(|(question, score)| score - baseline[question]).sum::<f64>() / row.n as f64;
        assert!((cell.delta.unwrap() - delta).abs() < 1e-12, "{}", cell.block);
    }
}

#[test]
fn interrupted_after_every_portion_it_decides_and_ends_the_same() {
    let model = Model::plain().with(&json!({"num_hidden_layers": 5}));
    let subject = model.open();
    let base = ScanRequest { screen: Some(0.5), ..with_phantom(request(&["phantom", "phantom:likelihood"], 16)) };
    let plan = plan(&subject, &tight(&subject, &base)).unwrap();
    let (straight, halting) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = run(&subject, &plan, straight.path(), &mut (), &GO).unwrap().data;
    let mut sessions = 0;
    loop {
        let flag = AtomicBool::new(false);
        let mut heard = Heard { stop: Some(&flag), ..Heard::default() };
        let outcome = run(&subject, &plan, halting.path(), &mut heard, &flag).unwrap();
        sessions += 1;
        assert!(!heard.falls);
        if !outcome.interrupted {
            assert_eq!(heard.last.work_done, heard.last.work_total);
            break;
        }
    }
    assert!(sessions > 20, "{sessions}");
    let data = RunData::read(halting.path()).unwrap();
    assert_eq!(rows(&data), rows(&expected));
    assert_eq!(samples(&data), samples(&expected));
    assert!(data.rows.iter().any(|row| row.screened.is_some()));

    // Another machine has other memory to give: the stored budget counts.
    let roomy = neuro_scan::plan(&subject, &base).unwrap();
    let mut heard = Heard::default();
    let again = run(&subject, &roomy, halting.path(), &mut heard, &GO).unwrap().data;
    assert_eq!((rows(&again), heard.last.fraction()), (rows(&expected), 1.0));
    for other in [ScanRequest { screen: None, ..base.clone() }, ScanRequest { seed: 1, ..base }] {
        let other = neuro_scan::plan(&subject, &other).unwrap();
        let error = run(&subject, &other, halting.path(), &mut (), &GO).unwrap_err().to_string();
        assert!(error.contains("screen: found "), "{error}");
    }
}

/// Less memory than the run began with is honoured where it is asked for: what is left is cut as that plan would be.
#[test]
fn resumed_with_less_memory_it_keeps_to_that() {
    let model = Model::plain().with(&json!({"num_hidden_layers": 5}));
    let subject = model.open();
    let base = ScanRequest { screen: Some(0.5), ..with_phantom(request(&["phantom:likelihood"], 40)) };
    let (roomy, tight) = (plan(&subject, &base).unwrap(), plan(&subject, &tight(&subject, &base)).unwrap());
    let (expected, _) = scan(&subject, &roomy);
    let first_portion_then = |next: &Plan| {
        let (out, flag) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
        let mut first = Heard { stop: Some(&flag), ..Heard::default() };
        assert!(run(&subject, &roomy, out.path(), &mut first, &flag).unwrap().interrupted);
        let mut heard = Heard::default();
        let data = run(&subject, next, out.path(), &mut heard, &GO).unwrap().data;
        assert_eq!((first.portions, heard.last.work_done), (1, heard.last.work_total));
        (data, heard.portions)
    };
    let ((same, few), (less, many)) = (first_portion_then(&roomy), first_portion_then(&tight));
    assert_eq!(samples(&same), samples(&expected));
    // The one is cut into its stages only.
    assert!(few > 0 && many > 2 * few, "{many} and {few}");
    assert_eq!(less.samples.len(), expected.samples.len());
    for (a, b) in samples(&less).iter().zip(&samples(&expected)) {
        assert_eq!((&a.path, &a.question), (&b.path, &b.question));
        assert!((a.score - b.score).abs() < 1e-6, "{} {}", a.path, a.question);
    }
}

#[test]
fn rows_that_do_not_follow_from_the_samples_are_refused() {
    let model = model();
    let subject = model.open();
    let plan = plan(&subject, &roomy(with_phantom(request(&["phantom:likelihood"], 40)))).unwrap();
    let out = tempfile::tempdir().unwrap();
    let data = run(&subject, &plan, out.path(), &mut (), &GO).unwrap().data;
    // A finalist's row goes, and so do its samples behind the first two: as if it had dropped out at the first look.
    let finalist = data.rows.iter().find(|row| row.screened.is_none() && row.block != Some([0, 0])).unwrap();
    let mut kept = 0;
    let of_finalist: Vec<_> = data.samples.iter().filter(|sample| sample.path == finalist.path).take(2).collect();
    let lines = |file: &str, keep: &mut dyn FnMut(&serde_json::Value) -> bool| {
        let text = std::fs::read_to_string(out.path().join(file)).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| keep(&serde_json::from_str(line).unwrap())).collect();
        std::fs::write(out.path().join(file), kept.join("\n") + "\n").unwrap();
    };
    lines("samples-phantom-likelihood.jsonl", &mut |line| {
        kept += usize::from(line["path"] == json!(finalist.path));
        line["path"] != json!(finalist.path) || kept <= 2
    });
    let mut row = neuro_record::Row::from_samples(
        &neuro_path::LayerPath::parse(&finalist.path, 7).unwrap(),
        "phantom:likelihood",
        &of_finalist,
    )
    .unwrap();
    row.screened = Some(Screened { seen: 2, of: 40 });
    lines("rows.jsonl", &mut |line| line["path"] != json!(finalist.path));
    let mut text = std::fs::read_to_string(out.path().join("rows.jsonl")).unwrap();
    text.push_str(&(serde_json::to_string(&row).unwrap() + "\n"));
    std::fs::write(out.path().join("rows.jsonl"), text).unwrap();
    let error = run(&subject, &plan, out.path(), &mut (), &GO).unwrap_err();
    assert!(matches!(&error, ScanError::Screened { path, .. } if *path == finalist.path), "{error}");
}

#[test]
fn what_cannot_be_screened_is_refused_with_advice() {
    let model = model();
    let subject = model.open();
    let refused = |request: ScanRequest| plan(&subject, &screened(request)).unwrap_err().to_string();
    let error = refused(request(&["math:likelihood"], 6));
    assert!(error.contains("probe `math:likelihood`: 6 questions are too few to screen 29 paths"), "{error}");
    let paths = Paths::List(vec![subject.parse_path("(1,3)").unwrap()]);
    let error = refused(ScanRequest { paths, include_baseline: false, ..request(&["math:likelihood"], 40) });
    assert!(error.contains("needs the baseline"), "{error}");
}

#[test]
fn a_dry_run_says_the_stages_and_the_most_it_takes() {
    let model = model();
    let subject = model.open();
    let base = ScanRequest { questions: None, ..request(&["math:likelihood"], 1) };
    let (full, plan) = (plan(&subject, &base).unwrap().summary(), plan(&subject, &roomy(base)).unwrap());
    let summary = plan.summary();
    assert_eq!((full.probes[0].questions, full.probes[0].stages.len()), (32, 0));
    assert_eq!((summary.probes[0].questions, &summary.probes[0].stages[..]), (64, &[2, 8, 64][..]));
    let most = summary.screened_layer_tokens_at_most.unwrap();
    assert!(most.abs_diff(summary.layer_tokens * 2 / 5) <= 1 && full.screened_layer_tokens_at_most.is_none());
    assert!(summary.to_string().contains("stages end at 2, 8, 64 questions"), "{summary}");
    assert!(estimate(&subject, &plan).unwrap().as_secs_f64() > 0.0);
}

#[test]
fn a_quantised_screening_measures_the_effect_of_the_type_on_everything() {
    let model = model();
    let options = OpenOptions { random_weights: Some(7), weight_type: WeightType::Q8_0, ..OpenOptions::default() };
    let subject = Subject::open(model.dir.path(), &options).unwrap();
    let base = roomy(with_phantom(request(&["phantom:likelihood"], 40)));
    let (data, _) = scan(&subject, &plan(&subject, &base).unwrap());
    assert_eq!(neuro_stats::type_effect(&data, "phantom:likelihood").unwrap().delta.n, 40);
}

fn phantom(name: &str) -> (Subject, ScanRequest) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../phantoms").join(name);
    let card: PhantomCard = serde_json::from_slice(&std::fs::read(folder.join("phantom.json")).unwrap()).unwrap();
    let subject = Subject::open(&folder, &OpenOptions::default()).unwrap();
    (subject, ScanRequest { phantom: Some(card.world), ..ScanRequest::default() })
}

#[test]
fn on_the_phantoms_the_finalists_score_as_in_a_full_scan() {
    for name in ["phantom", "phantom-plain"] {
        let (subject, base) = phantom(name);
        let base = ScanRequest { questions: Some(Count::Some(48)), ..base };
        let (full, whole) = scan(&subject, &plan(&subject, &base).unwrap());
        let (data, part) = scan(&subject, &plan(&subject, &screened(base)).unwrap());
        let finalists = assert_part_of(&data, &full, 1e-9);
        assert!(finalists < data.rows.len() / 3, "{name}: {finalists}");
        assert!(part as f64 <= 1.06 * 0.2 * whole as f64, "{name}: {part} of {whole}");
    }
}

#[test]
fn on_small_real_checkpoints_the_finalists_score_as_in_a_full_scan() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/models");
    // Five layers and two: 15 blocks and 3, of which the race keeps a tenth.
    for (name, budget) in [("stories260K", 0.4), ("TinyStories-656K", 0.8)] {
        let folder = models.join(name);
        if !folder.join("config.json").exists() {
            println!("skipped: {name} is not at hand");
            continue;
        }
        let subject = Subject::open(&folder, &OpenOptions::default()).unwrap();
        let base = request(&["math:likelihood"], 64);
        let (full, whole) = scan(&subject, &plan(&subject, &base).unwrap());
        let plan = plan(&subject, &ScanRequest { screen: Some(budget), ..base }).unwrap();
        let (data, part) = scan(&subject, &plan);
        let finalists = assert_part_of(&data, &full, 1e-9);
        assert!(
            finalists < data.rows.len() && part as f64 <= 1.06 * budget * whole as f64,
            "{name}: {part} of {whole}"
        );
    }
}
