use std::collections::BTreeMap;

use neuro_record::{
    ConfirmData, Finalist, Finalists, ModelInfo, PathCost, QuestionSets, SCHEMA, SearchSource, SkippedProbe,
};
use neuro_stats::{
    Evidence, FinalistEvidence, Judge, OtherEvidence, Paired, PathVerdict, ShamDelta, VerdictOptions, verdict,
};

use super::*;

fn pairs(both: usize, wins: usize, losses: usize, neither: usize) -> Paired {
    let of = |right: [f64; 4]| -> Vec<f64> {
        [both, wins, losses, neither].iter().zip(right).flat_map(|(&count, score)| vec![score; count]).collect()
    };
    Paired::new(of([1.0, 0.0, 1.0, 0.0]), of([1.0, 1.0, 0.0, 0.0]))
}

fn data() -> ConfirmData {
    let finalist = |path: &str| Finalist {
        path: path.to_owned(),
        why: "rank 1 of 20 paths by score on 64 search questions".to_owned(),
        search_score: Some(0.75),
        search_delta: Some(0.25),
        search_interval: Some([0.125, 0.375]),
        is_seen: false,
        shams: Vec::new(),
    };
    let cost = |path: &str, ms_per_token, kv_bytes_per_token| PathCost {
        path: path.to_owned(),
        ms_per_token,
        ms_quartiles: Some([ms_per_token - 0.25, ms_per_token + 0.5]),
        times_baseline: Some(ms_per_token / 2.0),
        tokens: 24,
        kv_bytes_per_token,
    };
    ConfirmData {
        finalists: Finalists {
            schema: SCHEMA,
            tool: "neuro 0.1.0".to_owned(),
            created: "2025-01-01T00:00:00Z".to_owned(),
            model: ModelInfo {
                id: "<model>".to_owned(),
                hash: "00".to_owned(),
                model_type: "llama".to_owned(),
                layers: 6,
                parameters: 1,
                dtype: "F32".to_owned(),
                random_weights: None,
            },
            search: SearchSource {
                rows_hash: "ab".to_owned(),
                rows: 22,
                probe: "math".to_owned(),
                probe_id: "math v1".to_owned(),
                questions: 64,
                asked_all: false,
            },
            probe: "math".to_owned(),
            finalists: vec![finalist("0..3,1..5"), finalist("0..2,2..5")],
            controls: BTreeMap::new(),
            settings: BTreeMap::new(),
        },
        questions: Some(QuestionSets {
            schema: SCHEMA,
            probes: vec!["math".to_owned()],
            sets: Vec::new(),
            earlier: None,
            skipped: vec![SkippedProbe { probe: "eq:likelihood".to_owned(), reason: "no <letters>".to_owned() }],
        }),
        main: None,
        side: None,
        costs: vec![cost("0..5", 2.0, 6144), cost("0..3,1..5", 3.0, 9216), cost("0..2,2..5", 2.5, 7168)],
    }
}

fn verdicts() -> Vec<PathVerdict> {
    verdict(&Evidence { finalists: finalists(), ..Evidence::default() }, &VerdictOptions::default())
}

fn finalists() -> Vec<FinalistEvidence> {
    let other = |judge, probe: &str, scores| OtherEvidence { judge, probe: probe.to_owned(), scores };
    let good = FinalistEvidence {
        path: "0..3,1..5".to_owned(),
        judge: Judge::Greedy,
        scores: pairs(80, 28, 3, 17),
        controls: (0..20).map(|k| f64::from(k) * -0.01).collect(),
        others: vec![
            other(Judge::Likelihood, "math:likelihood", pairs(60, 4, 4, 60)),
            other(Judge::Sampled, "math:sampled", pairs(60, 6, 2, 60)),
            other(Judge::Guard, "recall:likelihood", pairs(20, 0, 20, 24)),
        ],
        shams: vec![ShamDelta { kind: "order".to_owned(), path: "0..3,3,1..2,4..5".to_owned(), delta: -0.25 }],
        is_seen: false,
    };
    let weak = FinalistEvidence {
        path: "0..2,2..5".to_owned(),
        scores: pairs(60, 8, 4, 56),
        controls: vec![0.0; 3],
        others: Vec::new(),
        shams: Vec::new(),
        ..good.clone()
    };
    vec![good, weak]
}

#[test]
fn what_limits_a_gain_or_forbids_one_stands_in_the_paragraph() {
    let data = data();
    let told = |change: fn(&mut FinalistEvidence)| {
        let mut finalists = finalists();
        change(&mut finalists[0]);
        let verdicts = verdict(&Evidence { finalists, ..Evidence::default() }, &VerdictOptions::default());
        Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 }.paragraph()
    };
    let few = told(|path| path.controls.truncate(3));
    assert!(few.starts_with("A gain") && few.contains(". There are only 3 controls of its overhead, so"), "{few}");
    let seen = told(|path| path.is_seen = true);
    assert!(seen.starts_with("No gain is confirmed among 2 finalists on 128 questions of"), "{seen}");
    assert!(seen.contains("p = 9.3e-6 corrected for 2 finalists, but its search has asked these"), "{seen}");
    let none = told(|path| path.controls.clear());
    assert!(none.starts_with("No gain") && none.contains(", but there is no control of its overhead"), "{none}");
    let alone = told(|path| path.others.clear());
    let unread: fn(&mut FinalistEvidence) = |path| {
        let Paired { baseline, path, baseline_failed, path_failed } = &mut path.scores;
        *baseline_failed = baseline.iter().zip(&*path).map(|(base, own)| f64::from(base < own)).collect();
        *path_failed = vec![0.0; path.len()];
    };
    let unread_told = told(unread);
    let left = "both answered -0.030, uncorrected p = 0.250, so what is gained may be";
    assert!(unread_told.contains(left), "{unread_told}");
    let mut changed = finalists();
    unread(&mut changed[0]);
    let changed = verdict(&Evidence { finalists: changed, ..Evidence::default() }, &VerdictOptions::default());
    let table = Confirmation { data: &data, verdicts: Some(&changed), later: 0 }.table(ColorLevel::Plain);
    let unread = "unreadable, cut off or not finite: 0.219 -> 0.000, uncorrected p = 7e-9; -0.030";
    assert!(table.contains(unread), "{table}");
    assert!(alone.starts_with("No gain") && alone.contains("but greedy decoding is its only judge"), "{alone}");
}

#[test]
fn the_verdict_is_told_in_plain_words_first() {
    let (data, verdicts) = (data(), verdicts());
    let all = Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 };
    insta::assert_snapshot!(all.paragraph(), @"A gain is confirmed for path 0..3,1..5: +0.195 [+0.125, +0.273] on 128 fresh questions of probe math. It costs on recall:likelihood. 1 other probe could not be asked.");
    let none = Confirmation { verdicts: Some(&verdicts[1..]), ..all };
    insta::assert_snapshot!(none.paragraph(), @"No gain is confirmed among 2 finalists on 128 fresh questions of probe math. A true gain of 0.154 or more would have passed the test in four of five cases. 1 other probe could not be asked.");
    let unfinished = Confirmation { verdicts: None, ..all };
    insta::assert_snapshot!(unfinished.paragraph(), @"The confirmation of 2 finalists is not complete, so there is no verdict yet; the same command goes on.");
    assert_eq!(unfinished.table(ColorLevel::Plain), "");
}

/// Who confirms again and again finds a gain in the end: the paragraph says how often that was tried, and what was fresh.
#[test]
fn earlier_confirmations_and_a_search_that_asked_everything_are_told() {
    let (mut data, verdicts) = (data(), verdicts());
    let earlier = Earlier { confirmations: 1, questions: 128, is_seed_repeated: true };
    data.questions.as_mut().unwrap().earlier = Some(earlier);
    data.finalists.search.asked_all = true;
    let all = Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 };
    insta::assert_snapshot!(all.paragraph(), @"A gain is confirmed for path 0..3,1..5: +0.195 [+0.125, +0.273] on 128 questions of probe math. It costs on recall:likelihood. The search has asked these questions as well; only others ranked. This is confirmation 2 of this run, on questions other than the 128 that the others had asked; each doubles the proof that the next one needs, so that all of them together claim a gain or a loss that is none in at most one run of ten. Its seed was used before: the random paths are the same. 1 other probe could not be asked.");
    let card = all.sentences("0..3,1..5").unwrap();
    insta::assert_snapshot!(card[..3].join("\n"), @r"
    Verdict of a confirmation on 128 questions of probe math: gain. +0.195 [+0.125, +0.273] against the baseline, p = 9e-6 (exact McNemar test, corrected for 2 finalists).
    The search has asked these questions as well; only others ranked.
    This is confirmation 2 of this run, on questions other than the 128 that the others had asked; each doubles the proof that the next one needs, so that all of them together claim a gain or a loss that is none in at most one run of ten. Its seed was used before: the random paths are the same.
    ");
    // Others may have asked another probe alone.
    let elsewhere = Earlier { confirmations: 4, questions: 0, is_seed_repeated: false };
    let of_five = "This is confirmation 5 of this run; each doubles the proof that the next one needs, so that all of them together \
         claim a gain or a loss that is none in at most one run of ten.";
    assert_eq!(one_of_several(&elsewhere), of_five);
}

/// Correction for earlier confirmations stands wherever a corrected p does, and that there are later ones beside the verdict.
#[test]
fn what_earlier_and_later_confirmations_mean_is_told_everywhere() {
    let mut data = data();
    let earlier = Earlier { confirmations: 2, questions: 0, is_seed_repeated: false };
    data.questions.as_mut().unwrap().earlier = Some(earlier);
    let verdicts = verdict(&Evidence { finalists: finalists(), earlier: 2 }, &VerdictOptions::default());
    let all = Confirmation { data: &data, verdicts: Some(&verdicts), later: 1 };
    let later = "There is more to read: 1 later confirmation of this run, in folders of their own.";
    assert!(all.paragraph().contains(later), "{}", all.paragraph());
    let (table, card) = (all.table(ColorLevel::Plain), all.sentences("0..3,1..5").unwrap().join("\n"));
    for told in [
        "corrected p: for 2 finalists (Holm), times 4 for earlier confirmations; of second judges: for the 2 second",
        "of guards: for the 1 guard of all finalists, times 4 for earlier confirmations",
        "p = 3.7e-5 corrected for 2 finalists, times 4 for earlier confirmations",
        "p = 2e-6 alone, 8e-6 corrected for 1 guard, times 4 for earlier confirmations",
        "p = 1.000 alone, 1.000 corrected for 2 second judges, 128 questions",
    ] {
        assert!(table.contains(told), "{table}");
    }
    for told in [later, "(exact McNemar test, corrected for 2 finalists, times 4 for earlier confirmations)"] {
        assert!(card.contains(told), "{card}");
    }
}

/// What limits a gain that is not the largest is as much part of it.
#[test]
fn every_gain_is_told_with_its_limits() {
    let data = data();
    let mut finalists = finalists();
    finalists[1].scores = pairs(80, 24, 3, 21);
    finalists[1].others = finalists[0].others[1..2].to_vec();
    let verdicts = verdict(&Evidence { finalists, ..Evidence::default() }, &VerdictOptions::default());
    let told = Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 }.paragraph();
    assert!(told.starts_with("2 gains are confirmed, the largest for path 0..3,1..5"), "{told}");
    assert!(told.contains(" 0..2,2..5: there are only 3 controls of its overhead, so"), "{told}");
    assert!(told.contains(" 0..2,2..5: likelihood was not judged."), "{told}");
}

/// The card and the table tell the same cost: that within a round, where it was measured.
#[test]
fn the_card_has_the_time_of_the_table() {
    let (mut data, verdicts) = (data(), verdicts());
    data.costs[1].times_baseline = Some(1.25);
    let all = Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 };
    let card = all.sentences("0..3,1..5").unwrap().join(" ");
    assert!(
        card.contains("costs +25 % time") && all.table(ColorLevel::Plain).contains("[2.75, 3.50] (+25 %)"),
        "{card}"
    );
}

#[test]
fn the_table_says_what_each_verdict_rests_on() {
    let (data, verdicts) = (data(), verdicts());
    let all = Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 };
    insta::assert_snapshot!(all.table(ColorLevel::Plain), @r"
    verdict    path        delta  interval              p  corrected p      controls  sampled  likelihood                   ms/token         KV/token
    gain       0..3,1..5  +0.195  [+0.125, +0.273]   5e-6         9e-6  -0.0095 (20)   +0.031      +0.000  3.00 [2.75, 3.50] (+50 %)  9.0 KiB (+50 %)
    not shown  0..2,2..5  +0.031  [-0.019, +0.086]  0.388        0.388    +0.000 (3)        -           -  2.50 [2.25, 3.00] (+25 %)  7.0 KiB (+17 %)
    interval, 95 %, and p: of the path alone; corrected p: for 2 finalists (Holm); of second judges: for the 2 second judges of a path; of guards: for the 1 guard of all finalists
    ms/token: median [quartiles] (median against the baseline in the same round)

    0..3,1..5: gain
      +0.195 against the baseline, p = 9.3e-6 corrected for 2 finalists
      it costs on a guard: recall:likelihood -0.312, p = 1.9e-6 (one guard)
      greedy: 0.648 -> 0.844, better on 28, worse on 3 of 128 questions
      likelihood: 0.500 -> 0.500, +0.000 [-0.051, +0.051], p = 1.000 alone, 1.000 corrected for 2 second judges, 128 questions
      sampled: 0.484 -> 0.516, +0.031 [-0.015, +0.085], p = 0.289 alone, 0.578 corrected for 2 second judges, 128 questions
      guard recall:likelihood: 0.625 -> 0.312, -0.312 [-0.438, -0.203], p = 2e-6 of one test, 64 questions
      sham, second pass in another order: -0.250 (0..3,3,1..2,4..5)

    0..2,2..5: not shown
      +0.031 against the baseline, p = 0.388 corrected for 2 finalists
      there are only 3 controls of its overhead, so it must be above all of them instead of their 95th percentile
      sampling was not judged
      likelihood was not judged
      a true gain of 0.154 or more passes the test on 128 such questions in 80 of 100 cases
      greedy: 0.500 -> 0.531, better on 8, worse on 4 of 128 questions

    left out eq:likelihood: no <letters>
    ");
    assert_eq!(anstrip(&all.table(ColorLevel::TrueColor)), all.table(ColorLevel::Plain));
}

fn anstrip(text: &str) -> String {
    let mut plain = String::new();
    for (index, part) in text.split('\u{1b}').enumerate() {
        plain.push_str(if index == 0 { part } else { part.split_once('m').map_or("", |(_, rest)| rest) });
    }
    plain
}

#[test]
fn the_page_begins_with_it_and_nothing_foreign_is_markup() {
    let (data, verdicts) = (data(), verdicts());
    let all = Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 };
    let page = html_with_confirmation("<html><main>\n<p>map</p></main></html>", &all);
    let (verdict, map) = (page.find("id=\"confirmation\"").unwrap(), page.find("<p>map</p>").unwrap());
    assert!(verdict < map && page.contains("<td class=\"text\">gain</td>") && page.contains("no &lt;letters&gt;"));
    assert!(html_with_confirmation("x", &all).starts_with("x<section"));
}

#[test]
fn one_path_is_told_in_sentences() {
    let (data, verdicts) = (data(), verdicts());
    let all = Confirmation { data: &data, verdicts: Some(&verdicts), later: 0 };
    insta::assert_snapshot!("one_path_gain", all.sentences("0..3,1..5").unwrap().join("\n"));
    insta::assert_snapshot!("one_path_not_shown", all.sentences("0..2,2..5").unwrap().join("\n"));
    assert_eq!(all.sentences("0..5"), None);
    assert_eq!(Confirmation { verdicts: None, ..all }.sentences("0..3,1..5"), None);
}
