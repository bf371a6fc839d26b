//! Confirming: what is fixed before anything is asked, that it resumes, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use neuro_path::LayerPath;
use neuro_probe::{PhantomWorld, ProbeFile};
use neuro_record::{ASKED_FILE, ConfirmData, Earlier, FINALISTS_FILE, QUESTIONS_FILE, Row, rows_hash};
use neuro_scan::{ConfirmOutcome, ConfirmRequest, Observer, ScanError, ScanRequest, Subject, confirm, plan, run};
use neuro_stats::{Judge, Verdict, VerdictOptions, evidence, verdict};

use crate::common::{Model, copy_run};

/// A complete scan of every block by eight questions.
fn search(subject: &Subject, dir: &Path) {
    let request = ScanRequest {
        probes: vec!["math".to_owned()],
        questions: Some(neuro_probe::Count::Some(8)),
        ..ScanRequest::default()
    };
    let plan = plan(subject, &request).unwrap();
    assert!(!run(subject, &plan, dir, &mut (), &AtomicBool::new(false)).unwrap().interrupted);
}

fn request() -> ConfirmRequest {
    let guards = Some(vec!["phantom".to_owned()]);
    let seed = Some(0);
    ConfirmRequest {
        questions: Some(6),
        finalists: 2,
        draws: 2,
        controls: 5,
        guards,
        seed,
        ..ConfirmRequest::default()
    }
}

fn confirmed(subject: &Subject, dir: &Path, request: &ConfirmRequest) -> Result<ConfirmOutcome, ScanError> {
    confirm(subject, dir, request, &dir.join("confirm"), &mut (), &AtomicBool::new(false))
}

#[test]
fn finalists_controls_and_shams_are_measured_with_the_baseline_on_fresh_questions() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let outcome = confirmed(&subject, place.path(), &request()).unwrap();
    assert!(!outcome.interrupted);
    let ConfirmData { finalists, questions, main, side, costs } = outcome.data;
    assert_eq!(finalists.search.rows_hash, rows_hash(place.path()).unwrap());
    assert_eq!((finalists.search.rows, finalists.search.questions, finalists.finalists.len()), (11, 8, 2));
    assert_eq!(finalists.finalists[0].why, "rank 1 of 10 paths by score on 8 search questions");

    // Everything that was fixed is measured, and nothing else.
    let mut expected: HashSet<String> = HashSet::from(["0..3".to_owned()]);
    for finalist in &finalists.finalists {
        expected.insert(finalist.path.clone());
        expected.extend(finalist.shams.iter().map(|sham| sham.path.clone()));
        assert_eq!(finalists.controls_of(&finalist.path).len(), 5);
    }
    expected.extend(finalists.controls.values().flatten().cloned());
    let main = main.unwrap();
    assert_eq!(main.rows.iter().map(|row| row.path.clone()).collect::<HashSet<_>>(), expected);
    assert!(main.rows.iter().all(|row| row.probe == "math" && row.n == 6));
    assert_eq!(main.info.settings["role"], "confirm");

    // Second judges see the finalists; a probe that cannot be asked is named.
    let side = side.unwrap();
    let probes: Vec<_> = side.info.probes.iter().map(|probe| (probe.name.as_str(), probe.questions)).collect();
    assert_eq!(probes, [("math:likelihood", 6), ("math:sampled", 12)]);
    assert_eq!((side.rows.len(), costs.len()), (6, 3));
    assert_eq!(side.info.settings["sampling"]["temperature"], 1.0);
    let questions = questions.unwrap();
    assert_eq!((questions.skipped[0].probe.as_str(), questions.skipped.len()), ("phantom", 1));

    // Three sets share no question.
    let mut roles: BTreeMap<&str, &str> = BTreeMap::new();
    for set in questions.sets.iter() {
        for question in &set.questions {
            assert_eq!(*roles.entry(question).or_insert(&set.role), set.role);
        }
    }
    assert_eq!(roles.len(), 8 + 6 + 6);
}

/// Stops a confirmation after so many rows.
struct Stop<'a>(usize, &'a AtomicBool);

impl Observer for Stop<'_> {
    fn row(&mut self, _: &Row) {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 {
            self.1.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn an_interrupted_confirmation_goes_on_and_writes_its_finalists_once() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    // In a copy of the run: a second confirmation of one run asks other questions.
    let copy = tempfile::tempdir().unwrap();
    copy_run(place.path(), copy.path());
    let whole = confirmed(&subject, copy.path(), &request()).unwrap().data;
    let out = place.path().join("again");
    let mut stops = 0;
    let mut first = None;
    loop {
        let stop = AtomicBool::new(false);
        let outcome = confirm(&subject, place.path(), &request(), &out, &mut Stop(3, &stop), &stop).unwrap();
        let files = [FINALISTS_FILE, QUESTIONS_FILE].map(|name| std::fs::read(out.join(name)).unwrap());
        assert_eq!(*first.get_or_insert_with(|| files.clone()), files);
        if !outcome.interrupted {
            let judge = |data: &ConfirmData| {
                let evidence = evidence(data).unwrap().unwrap();
                verdict(&evidence, &VerdictOptions::default())
            };
            assert_eq!(judge(&outcome.data), judge(&whole));
            break;
        }
        let rows = |data: &ConfirmData| [&data.main, &data.side].into_iter().flatten().map(|run| run.rows.len()).sum();
        let (found, all): (usize, usize) = (rows(&outcome.data), rows(&whole));
        assert_eq!(evidence(&outcome.data).unwrap().is_some(), found == all, "a verdict on {found} of {all} rows");
        stops += 1;
    }
    assert!(stops > 2, "{stops} stops");
    // However often it was begun, it is entered once.
    assert_eq!(std::fs::read_to_string(place.path().join(ASKED_FILE)).unwrap().lines().count(), 1);
}

/// Hashes of what a confirmation asks of a probe.
fn asked(data: &ConfirmData, probe: &str) -> HashSet<String> {
    let sets = data.questions.as_ref().unwrap().sets.iter();
    let own = sets.filter(|set| (set.role.as_str(), set.probe.as_str()) == ("confirm", probe));
    own.flat_map(|set| set.questions.iter().cloned()).collect()
}

/// The first finalist's questions, wherever the confirmation lies: no question is fresh twice.
#[test]
fn a_second_confirmation_asks_none_of_the_first_ones_questions() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let outs = ["one", "two", "three"].map(|name| elsewhere.path().join(name));
    let confirm = |out: &Path, request: &ConfirmRequest| {
        confirm(&subject, place.path(), request, out, &mut (), &AtomicBool::new(false)).unwrap().data
    };
    let other_seed = ConfirmRequest { seed: Some(1), ..request() };
    let found = [
        confirm(&outs[0], &request()),
        // The same command into another folder.
        confirm(&outs[1], &request()),
        confirm(&outs[2], &other_seed),
    ];
    let all: HashSet<String> = found.iter().flat_map(|data| asked(data, "math")).collect();
    assert_eq!(all.len(), 3 * 6);
    let earlier = found.each_ref().map(|data| data.questions.as_ref().unwrap().earlier.clone());
    let told =
        |confirmations, questions, is_seed_repeated| Some(Earlier { confirmations, questions, is_seed_repeated });
    assert_eq!(earlier, [None, told(1, 6, true), told(2, 12, false)]);
    // The ledger tells them apart, however fast they follow each other.
    let hashes: HashSet<_> = outs.iter().map(|out| neuro_record::finalists_hash(out).unwrap()).collect();
    assert_eq!(hashes.len(), 3);
    // Second judges answer the same questions, the groups take turns as before, and what was left out is checked.
    for data in &found[1..] {
        let (main, side) = (data.main.as_ref().unwrap(), data.side.as_ref().unwrap());
        let ids = |run: &neuro_record::RunData, probe: &str| -> HashSet<String> {
            run.samples_of(probe).map(|sample| sample.question.clone()).collect()
        };
        assert_eq!(ids(main, "math"), ids(side, "math:likelihood"));
        assert_eq!(main.rows[0].groups.values().map(|group| group.n).max(), Some(2));
        assert!(data.questions.as_ref().unwrap().sets.iter().any(|set| set.role == "earlier"));
    }
    // Each goes on with its own questions, whatever came later.
    for ((out, data), request) in outs.iter().zip(&found).zip([request(), request(), other_seed]) {
        assert_eq!(confirm(out, &request).questions, data.questions);
    }
    // A confirmation of before there were ledgers is known where it lies in the run.
    let copy = tempfile::tempdir().unwrap();
    copy_run(place.path(), copy.path());
    std::fs::remove_file(copy.path().join(ASKED_FILE)).unwrap();
    let old = copy.path().join("confirm");
    std::fs::create_dir(&old).unwrap();
    for name in [FINALISTS_FILE, QUESTIONS_FILE] {
        std::fs::copy(outs[0].join(name), old.join(name)).unwrap();
    }
    let out = elsewhere.path().join("four");
    let stopped = AtomicBool::new(true);
    let data = neuro_scan::confirm(&subject, copy.path(), &request(), &out, &mut (), &stopped).unwrap().data;
    assert!(asked(&data, "math").is_disjoint(&asked(&found[0], "math")));
}

/// Drawn is asked: what was entered before a kill is not drawn again by another confirmation.
#[test]
fn what_is_used_up_is_refused_with_counts_and_advice() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let ask = |out: &str, questions| {
        let request = ConfirmRequest {
            probe: Some("phantom".to_owned()),
            phantom: Some(PhantomWorld::new(3)),
            questions,
            guards: Some(Vec::new()),
            ..request()
        };
        confirm(&subject, place.path(), &request, &place.path().join(out), &mut (), &AtomicBool::new(true))
    };
    assert!(ask("one", Some(300)).unwrap().interrupted);
    let refused = |questions| ask("two", questions).unwrap_err().to_string();
    let used_up = |left: usize, expected: usize, advice: &str| {
        format!(
            "too few questions of probe `phantom` are fresh: an earlier confirmation of this run asked 300 of them, {left} are \
             left, expected {expected}; {advice}"
        )
    };
    let fewer = "ask at most so many (--questions 84), or confirm on another probe";
    assert_eq!(refused(Some(300)), used_up(84, 300, fewer));
    // Without a number, all that the role holds.
    assert_eq!(refused(None), used_up(84, 384, fewer));
    assert!(!place.path().join("two").exists());
    let data = ask("two", Some(84)).unwrap().data;
    assert_eq!(asked(&data, "phantom").len(), 84);
    let error = ask("three", Some(1)).unwrap_err().to_string();
    assert!(error.contains("2 earlier confirmations of this run asked 384 of them, 0 are left"), "{error}");
    // Going on is not asking again.
    assert_eq!(asked(&ask("two", Some(84)).unwrap().data, "phantom"), asked(&data, "phantom"));
}

/// Hours later would be late.
#[test]
fn a_text_that_cannot_be_asked_is_refused_before_anything_is() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let confirm = |content: &[u8]| {
        let text = ProbeFile::new("my.txt", content);
        confirmed(&subject, place.path(), &ConfirmRequest { text: Some(text), ..request() })
    };
    for (content, why) in [
        (&b"caf\xe9"[..], "my.txt, line 1: found bytes that are not UTF-8"),
        (b"", "my.txt, line 1: found no text, expected at least two words"),
        (b"word", "my.txt, line 1: found no text, expected at least two words"),
        ("Zwölf Wörter".as_bytes(), "cannot be asked the probe `text:likelihood`"),
    ] {
        let error = confirm(content).unwrap_err().to_string();
        assert!(error.contains(why) || error.contains("my.txt is too short"), "{error}");
        assert!(!place.path().join("confirm").exists());
    }
    // One piece belongs to one role.
    let short =
        (0..12).filter_map(|k| confirm(format!("two words {k}").as_bytes()).err()).map(|error| error.to_string());
    assert!(short.into_iter().any(|error| error.contains("my.txt is too short")));
}

#[test]
fn finalists_are_written_before_questions() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let out = place.path().join("confirm");
    // Where nobody can write, nothing follows.
    std::fs::create_dir_all(out.join(QUESTIONS_FILE)).unwrap();
    let error = confirmed(&subject, place.path(), &request()).unwrap_err();
    assert!(matches!(error, ScanError::Record(_)), "{error}");
    assert!(out.join(FINALISTS_FILE).is_file() && !out.join("main").exists());
}

#[test]
fn a_refused_request_leaves_nothing_that_refuses_the_next() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let named = |probe: &str| ConfirmRequest { probe: Some(probe.to_owned()), ..request() };
    for refused in [
        ConfirmRequest { questions: Some(usize::MAX - 1), ..request() },
        ConfirmRequest { questions: Some(0), ..request() },
        named("maths"),
        // The model's words cannot say it.
        named("phantom"),
    ] {
        let error = confirmed(&subject, place.path(), &refused).unwrap_err();
        assert!(!place.path().join("confirm").exists(), "{error}");
    }
    assert!(!confirmed(&subject, place.path(), &request()).unwrap().interrupted);
}

/// Probabilities of a text have a name of their own.
#[test]
fn a_text_is_confirmed_to_the_end() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let request = ConfirmRequest { probe: Some("text".to_owned()), guards: Some(Vec::new()), ..request() };
    let data = confirmed(&subject, place.path(), &request).unwrap().data;
    assert_eq!(data.finalists.probe, "text:likelihood");
    let evidence = evidence(&data).unwrap().expect("a verdict");
    assert_eq!(evidence.finalists[0].judge, Judge::Likelihood);
    assert!(!confirmed(&subject, place.path(), &request).unwrap().interrupted);
}

#[test]
fn other_settings_are_refused_and_listed() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    confirmed(&subject, place.path(), &request()).unwrap();
    let other = ConfirmRequest { questions: Some(7), draws: 3, ..request() };
    let error = confirmed(&subject, place.path(), &other).unwrap_err().to_string();
    for difference in ["settings.questions: found 6, expected 7", "settings.draws: found 2, expected 3"] {
        assert!(error.contains(difference), "{error}");
    }
    // Rows that came later choose nobody.
    let rows = place.path().join("rows.jsonl");
    let mut text = std::fs::read_to_string(&rows).unwrap();
    text.push_str(text.clone().lines().last().unwrap());
    text.push('\n');
    std::fs::write(rows, text).unwrap();
    let error = confirmed(&subject, place.path(), &request()).unwrap_err().to_string();
    assert!(error.contains("search.rows_hash"), "{error}");
}

#[test]
fn a_run_of_another_model_is_refused() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    search(&model.open(), place.path());
    let other = Model::plain().with(&serde_json::json!({"rope_theta": 5000.0}));
    let error = confirmed(&other.open(), place.path(), &request()).unwrap_err();
    assert!(matches!(error, ScanError::OtherModel { what: "hash", .. }), "{error}");
}

#[test]
fn an_incomplete_search_chooses_nobody_but_may_be_asked_about_a_path() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let rows = place.path().join("rows.jsonl");
    let text = std::fs::read_to_string(&rows).unwrap();
    let part: String = text.lines().take(5).map(|line| format!("{line}\n")).collect();
    std::fs::write(&rows, part).unwrap();
    let error = confirmed(&subject, place.path(), &request()).unwrap_err();
    assert!(matches!(error, ScanError::SearchIncomplete { found: 5, expected: 11, .. }), "{error}");
    let named = ConfirmRequest { paths: vec![LayerPath::parse("0..2,1..3", 4).unwrap()], ..request() };
    let data = confirmed(&subject, place.path(), &named).unwrap().data;
    assert_eq!(data.finalists.finalists[0].why, "named by the user");
}

/// Draws at temperature 0, or of one candidate, are greedy answers again.
#[test]
fn draws_that_repeat_the_greedy_answers_judge_nothing() {
    for settings in [serde_json::json!({"temperature": 0.0}), serde_json::json!({"temperature": 0.7, "top_k": 1})] {
        let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
        model.write("generation_config.json", &settings);
        let subject = model.open();
        search(&subject, place.path());
        let data = confirmed(&subject, place.path(), &request()).unwrap().data;
        let skipped = &data.questions.as_ref().unwrap().skipped[0];
        assert!(skipped.probe == "math:sampled" && skipped.reason.contains("repeat the greedy"), "{skipped:?}");
        let verdicts = verdict(&evidence(&data).unwrap().unwrap(), &VerdictOptions::default());
        assert!(verdicts[0].others.iter().all(|other| other.judge != Judge::Sampled));
        assert!(verdicts[0].reasons.contains(&"sampling was not judged".to_owned()), "{:?}", verdicts[0].reasons);
    }
}

/// Weights that are drawn hold no circuit: whatever the search liked is not confirmed.
#[test]
fn a_model_without_a_circuit_confirms_nothing() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let request = ConfirmRequest { questions: Some(24), finalists: 4, ..request() };
    let data = confirmed(&subject, place.path(), &request).unwrap().data;
    let evidence = evidence(&data).unwrap().unwrap();
    assert_eq!(
        evidence.finalists[0].others.iter().map(|other| other.judge).collect::<Vec<_>>(),
        [Judge::Likelihood, Judge::Sampled]
    );
    assert!(evidence.finalists[0].others.iter().all(|other| other.scores.path.len() == 24), "draws are averaged");
    // Weights that are drawn write no numbers; probabilities always are some.
    let failed = |scores: &neuro_stats::Paired| scores.baseline_failed.iter().sum::<f64>() / 24.0;
    let [likelihood, sampled] = [0, 1].map(|judge| failed(&evidence.finalists[0].others[judge].scores));
    assert!(failed(&evidence.finalists[0].scores) > 0.5 && sampled > 0.5 && likelihood == 0.0);
    let verdicts = verdict(&evidence, &VerdictOptions::default());
    assert!(verdicts.iter().all(|found| found.verdict != Verdict::Gain), "{verdicts:?}");
}

/// A disk that takes no more: the error names the file, and what was measured stays.
#[test]
fn files_that_cannot_be_written_are_named_and_the_rest_stays() {
    let (model, place) = (Model::plain(), tempfile::tempdir().unwrap());
    let subject = model.open();
    search(&subject, place.path());
    let out = place.path().join("confirm");
    let refused = |file: &Path| {
        std::fs::create_dir_all(file).unwrap();
        let error = confirmed(&subject, place.path(), &request()).unwrap_err().to_string();
        std::fs::remove_dir(file).unwrap();
        assert!(error.contains(&file.display().to_string()), "{error}");
    };
    // Nothing is fixed that nobody may ask.
    refused(&place.path().join(ASKED_FILE));
    assert!(!out.exists());
    refused(&out.join(QUESTIONS_FILE));
    assert!(!out.join("main").exists());
    refused(&out.join("costs.json"));
    let rows = || ["main", "side"].map(|run| std::fs::read(out.join(run).join("rows.jsonl")).unwrap());
    let measured = rows();
    let data = confirmed(&subject, place.path(), &request()).unwrap().data;
    assert!(rows() == measured && evidence(&data).unwrap().is_some() && data.costs.len() == 3);
}

/// Two scans of one model, and two confirmations of one scan: without a seed each has its own, and keeps it.
#[test]
fn without_a_seed_every_run_asks_questions_of_its_own() {
    let model = Model::plain();
    let subject = model.open();
    let places = [0, 1, 2].map(|_| tempfile::tempdir().unwrap());
    places.iter().for_each(|place| search(&subject, place.path()));
    let ask = |place: usize, out: &str, seed: Option<u64>| {
        let (run, request) = (places[place].path(), ConfirmRequest { seed, ..request() });
        confirm(&subject, run, &request, &run.join(out), &mut (), &AtomicBool::new(true)).unwrap().data
    };
    let seed = |data: &ConfirmData| data.finalists.settings["seed"].as_u64().unwrap();
    let found = [ask(0, "one", None), ask(0, "two", None), ask(1, "one", None)];
    assert_eq!(found.iter().map(seed).collect::<HashSet<_>>().len(), 3);
    let sets = found.each_ref().map(|data| asked(data, "math"));
    assert!(sets[0].is_disjoint(&sets[1]) && sets[0] != sets[2]);
    assert!(!found[1].questions.as_ref().unwrap().earlier.as_ref().unwrap().is_seed_repeated);
    // Begun with it, gone on with it; and given elsewhere it asks the same.
    assert_eq!(ask(0, "one", None).finalists, found[0].finalists);
    assert_eq!(asked(&ask(2, "one", Some(seed(&found[0]))), "math"), sets[0]);
    let other = ConfirmRequest { seed: Some(seed(&found[0]) + 1), ..request() };
    let (run, stopped) = (places[0].path(), AtomicBool::new(true));
    let refused = confirm(&subject, run, &other, &run.join("one"), &mut (), &stopped).unwrap_err().to_string();
    assert!(refused.contains("settings.seed"), "{refused}");
}
