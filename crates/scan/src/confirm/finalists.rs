//! Who is a finalist, and why: from the search's rows alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use neuro_path::{LayerPath, triangle};
use neuro_probe::family;
use neuro_record::{Finalist, Finalists, PlannedPaths, RunData, SCHEMA, SearchSource};
use neuro_stats::{RESAMPLES, paired_delta};
use serde_json::json;

use super::draw::{controls, shams};
use super::request::ConfirmRequest;
use super::search::SearchQuestions;
use crate::plan::sampling;
use crate::{Result, ScanError, Subject};

/// One path as the search saw it.
struct Found {
    path: LayerPath,
    score: f64,
    delta: f64,
    interval: Option<[f64; 2]>,
}

/// Everything that is fixed before a fresh question is drawn.
pub(crate) fn fix(
    subject: &Subject,
    request: &ConfirmRequest,
    search: &RunData,
    asked: &SearchQuestions,
    rows_hash: String,
    probe: &str,
) -> Result<Finalists> {
    let found = found(search, asked)?;
    let depth = subject.depth();
    let is_seen = !request.paths.is_empty() && asked.is_all_roles && family(&asked.probe) == family(probe);
    let chosen = chosen(request, search, asked, &found, is_seen)?;
    let paths: HashSet<LayerPath> = chosen.iter().map(|(path, _)| path.clone()).collect();
    let mut overheads: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (path, _) in &chosen {
        if let Some(extra) = usize::try_from(path.extra_visits()).ok().filter(|extra| *extra > 0)
            && !overheads.contains_key(&extra)
        {
            let drawn = controls(depth, extra, request.controls, &paths, request.seed())?;
            overheads.insert(extra, drawn.iter().map(LayerPath::to_string).collect());
        }
    }
    let finalist = |((path, why), place): (&(LayerPath, String), u64)| {
        let seen = found.iter().find(|found| found.path == *path);
        Finalist {
            path: path.to_string(),
            why: why.clone(),
            search_score: seen.map(|seen| seen.score),
            search_delta: seen.map(|seen| seen.delta),
            search_interval: seen.and_then(|seen| seen.interval),
            is_seen,
            shams: shams(path, &paths, request.seed(), place),
        }
    };
    Ok(Finalists {
        schema: SCHEMA,
        tool: concat!("neuro ", env!("CARGO_PKG_VERSION")).to_owned(),
        // To the nanosecond, unlike a run's: the ledger knows a confirmation by the hash of this document, and the same
        // command into another folder is another one.
        created: jiff::Timestamp::now().to_string(),
        model: subject.model_info(),
        search: SearchSource {
            rows_hash,
            rows: search.rows.len(),
            probe: asked.probe.clone(),
            probe_id: asked.probe_id.clone(),
            questions: asked.ranking.len(),
            asked_all: asked.is_all_roles && family(&asked.probe) == family(probe),
        },
        probe: probe.to_owned(),
        finalists: chosen.iter().zip(0..).map(finalist).collect(),
        controls: overheads,
        settings: settings(subject, request, probe),
    })
}

/// What changes results and stands nowhere else in `finalists.json`.
fn settings(subject: &Subject, request: &ConfirmRequest, probe: &str) -> BTreeMap<String, serde_json::Value> {
    let (questions, is_limit) = request.count(probe);
    let questions = if questions == usize::MAX { json!("all") } else { json!(questions) };
    let drawn = sampling(subject, request.seed());
    let mut settings = BTreeMap::from([
        ("compute".to_owned(), json!(subject.weight_type().name())),
        ("questions".to_owned(), questions),
        ("fewer_questions_will_do".to_owned(), json!(is_limit)),
        ("guards".to_owned(), json!(request.guard_names(probe))),
        ("guard_questions".to_owned(), json!(request.guard_questions)),
        ("draws".to_owned(), json!(request.draws)),
        ("temperature".to_owned(), json!(drawn.temperature)),
        ("controls".to_owned(), json!(request.controls)),
        ("seed".to_owned(), json!(request.seed())),
    ]);
    if let Some(text) = &request.text {
        settings.insert("text".to_owned(), json!(super::questions::hash_of(&[&text.content])));
    }
    settings
}

/// The finalists with the reason for each, best first.
fn chosen(
    request: &ConfirmRequest,
    search: &RunData,
    asked: &SearchQuestions,
    found: &[Found],
    is_seen: bool,
) -> Result<Vec<(LayerPath, String)>> {
    if !request.paths.is_empty() {
        let mut seen = HashSet::new();
        let named = request.paths.iter().filter(|path| !path.is_baseline() && seen.insert((*path).clone()));
        let why = if is_seen {
            "named by the user, in a run whose search asked the fresh questions as well"
        } else {
            "named by the user"
        };
        let named: Vec<_> = named.map(|path| (path.clone(), why.to_owned())).collect();
        return if named.is_empty() { Err(ScanError::NoPaths) } else { Ok(named) };
    }
    let planned = match &search.info.plan.paths {
        PlannedPaths::Triangle => triangle(search.info.model.layers).count(),
        PlannedPaths::List(paths) => paths.len(),
    };
    let rows = search.rows_of(&asked.probe).count();
    if rows < planned {
        return Err(ScanError::SearchIncomplete { probe: asked.probe.clone(), found: rows, expected: planned });
    }
    let best = found.iter().take(request.finalists.max(1)).zip(1..);
    let unranked = if asked.is_all_roles { "; its search asked all others as well, which did not rank" } else { "" };
    let dropped = match search.rows_of(&asked.probe).filter(|row| row.screened.is_some()).count() {
        0 => String::new(),
        dropped => format!("; {dropped} others had dropped out of the screening"),
    };
    let why = |rank: usize| {
        let (paths, questions) = (found.len(), asked.ranking.len());
        format!("rank {rank} of {paths} paths by score on {questions} search questions{unranked}{dropped}")
    };
    let best: Vec<_> = best.map(|(found, rank)| (found.path.clone(), why(rank))).collect();
    if best.is_empty() { Err(ScanError::NoPaths) } else { Ok(best) }
}

/// Every path of the search but the baseline, and but those that a screening dropped: highest score first, of equal
/// ones the fewer visits, then the smaller print.
fn found(search: &RunData, asked: &SearchQuestions) -> Result<Vec<Found>> {
    let depth = search.info.model.layers;
    let baseline = LayerPath::baseline(depth)?.to_string();
    let mut scores: HashMap<&str, Vec<(&str, f64)>> = HashMap::new();
    for sample in search.samples_of(&asked.probe).filter(|sample| asked.ranking.contains(&sample.question)) {
        scores.entry(&sample.path).or_default().push((&sample.question, sample.score));
    }
    scores.values_mut().for_each(|scores| scores.sort_by(|a, b| a.0.cmp(b.0)));
    let missing = || ScanError::SearchBaseline { probe: asked.probe.clone() };
    let base = scores.get(baseline.as_str()).ok_or_else(missing)?;
    let values = |scores: &[(&str, f64)]| scores.iter().map(|(_, score)| *score).collect::<Vec<_>>();
    let base_values = values(base);
    let mut found = Vec::new();
    for row in search.rows_of(&asked.probe).filter(|row| row.path != baseline && row.screened.is_none()) {
        let Some(own) = scores.get(row.path.as_str()) else { continue };
        if !own.iter().map(|(question, _)| question).eq(base.iter().map(|(question, _)| question)) {
            continue;
        }
        let Some(delta) = paired_delta(&base_values, &values(own), RESAMPLES, search.info.seed) else { continue };
        found.push(Found {
            path: LayerPath::parse(&row.path, depth)?,
            score: own.iter().map(|(_, score)| score).sum::<f64>() / own.len() as f64,
            delta: delta.mean,
            interval: delta.interval.map(|bounds| [bounds.low, bounds.high]),
        });
    }
    found.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score).then(a.path.len().cmp(&b.path.len()));
        by_score.then_with(|| a.path.layers().cmp(&b.path.layers()))
    });
    Ok(found)
}
