//! Everything that can be known about a scan before a weight is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use neuro_checkpoint::default_budget;
use neuro_engine::Sampling;
use neuro_model::{WeightBytes, device_memory};
use neuro_path::{Block, LayerPath};
use neuro_probe::Probe;
use neuro_record::{PlannedPaths, ProbeInfo, RunInfo, SCHEMA, SOURCE, settings_hash};
use serde_json::{Value, json};

use crate::memory::{Costs, cut};
use crate::prompt::{Asked, ask};
use crate::reference::{self, Reference};
use crate::{Paths, Residence, Result, ScanError, ScanRequest, Subject, notes, screen, turn};

/// What will be measured: the content of `run.json`, and the questions as tokens.
#[derive(Debug)]
pub struct Plan {
    pub(crate) info: RunInfo,
    pub(crate) probes: Vec<Probe>,
    pub(crate) paths: Vec<LayerPath>,
    /// The paths as they are printed.
    pub(crate) printed: Vec<String>,
    /// For each probe its questions as tokens.
    pub(crate) asked: Vec<Vec<Asked>>,
    /// For each probe its questions, as indices, in the order in which they are asked.
    pub(crate) order: Vec<Vec<usize>>,
    /// For each probe the chunks and groups of a scan in which every path answers every question.
    pub(crate) chunks: Vec<Vec<[usize; 2]>>,
    pub(crate) groups: Vec<Vec<[usize; 2]>>,
    /// For each probe the notes that all its rows carry.
    pub(crate) notes: Vec<Vec<String>>,
    /// How answers are drawn, where a probe asks for draws.
    pub(crate) sampling: Sampling,
    pub(crate) costs: Costs,
    /// How the baseline is measured in f32; none where the run's weights are not quantised, or nobody asks.
    pub(crate) reference: Option<Reference>,
    /// Where the weights are while the plan is carried out.
    pub(crate) residence: Residence,
    /// Whether the memory budget was asked for, and not taken from the machine.
    pub(crate) memory_is_asked: bool,
    /// What the weights take in the type that they are multiplied in.
    pub(crate) weights: WeightBytes,
}

/// Plans a scan: builds the questions, puts them into tokens, and cuts questions and paths into portions that fit the
/// memory budget.
///
/// # Errors
/// When a probe, a path or a planted block is refused, the model has no tokenizer, a question cannot be put into its tokens, or one
/// question alone exceeds the memory budget.
pub fn plan(subject: &Subject, request: &ScanRequest) -> Result<Plan> {
    subject.require_text()?;
    let probes = request.probe_names().iter().map(|name| request.probe(name)).collect::<Result<_>>()?;
    plan_probes(subject, request, probes)
}

/// The same with probes that are built already; the request's own are not looked at.
pub(crate) fn plan_probes(subject: &Subject, request: &ScanRequest, probes: Vec<Probe>) -> Result<Plan> {
    if let Some(planted) = &request.planted {
        let [start, end] = planted.block;
        Block::new(start, end, subject.depth())
            .map_err(|source| ScanError::Planted { model: subject.name().to_owned(), source })?;
    }
    let paths = request.ordered_paths(subject)?;
    let printed: Vec<String> = paths.iter().map(LayerPath::to_string).collect();
    let turn = subject.turn()?;
    let mut planned = Planned::default();
    for probe in probes {
        if planned.probes.iter().any(|other| other.name() == probe.name()) {
            return Err(ScanError::ProbeTwice { probe: probe.name().to_owned() });
        }
        let asked = ask(subject, &probe)?;
        planned.notes.push(notes::of_probe(subject, turn.as_ref(), &probe, &asked));
        planned.asked.push(asked);
        planned.probes.push(probe);
    }
    let memory_bytes = request.memory_bytes.unwrap_or_else(|| {
        let weights = WeightBytes::of(subject.config(), subject.weight_type()).held;
        default_budget(&device_memory(subject.device()), weights)
    });
    if request.screen.is_some() && paths.first().is_none_or(|path| !path.is_baseline()) {
        return Err(ScanError::ScreenBaseline);
    }
    let cut = cut_all(subject, &planned.probes, &planned.asked, &paths, memory_bytes, None)?;
    let screen = match request.screen {
        Some(budget) => Some(screen::screen(&planned.probes, &planned.asked, &paths, budget, request.seed)?),
        None => None,
    };
    let order = |(index, asked): (usize, &Vec<Asked>)| match &screen {
        Some(screen) => screen.probes[index].order.clone(),
        None => (0..asked.len()).collect(),
    };
    let order: Vec<Vec<usize>> = planned.asked.iter().enumerate().map(order).collect();
    let reference = match request.type_effect {
        true => {
            let (probes, asked, held) = (&planned.probes, &planned.asked, cut.costs.held());
            let planned =
                reference::Planned { probes, asked, order: &order, paths: &paths, budget: memory_bytes, held };
            Reference::new(subject, &planned)?
        }
        false => None,
    };
    let reference_needs = reference.as_ref().map(|reference| reference.needs(&planned.probes)).unwrap_or_default();
    // A screening cuts each stage when it knows who goes on.
    let (chunks, groups) =
        if screen.is_some() { (Vec::new(), Vec::new()) } else { (cut.chunks.clone(), cut.groups.clone()) };
    let stored_paths = match request.paths {
        Paths::Triangle => PlannedPaths::Triangle,
        Paths::List(_) => PlannedPaths::List(printed.clone()),
    };
    let text = subject.text();
    let sampling = sampling(subject, request.seed);
    let mut settings = settings(subject, request);
    if planned.probes.iter().any(|probe| probe.draws() > 0) {
        let Sampling { temperature, top_k, top_p, min_p, seed } = sampling;
        let drawn = json!({ "temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "seed": seed });
        settings.insert("sampling".to_owned(), drawn);
    }
    let info = RunInfo {
        schema: SCHEMA,
        tool: concat!("neuro ", env!("CARGO_PKG_VERSION")).to_owned(),
        created: now(),
        model: subject.model_info(),
        tokenizer_hash: text.map(|text| text.tokenizer_hash().to_owned()),
        template_hash: text.and_then(|text| text.template_hash().map(str::to_owned)),
        compute: subject.weight_type().name().to_owned(),
        device: subject.device_kind().to_owned(),
        probes: planned.probes.iter().map(probe_info).collect(),
        seed: request.seed,
        settings,
        plan: neuro_record::Plan {
            paths: stored_paths,
            chunks,
            groups,
            memory_bytes,
            held_bytes: cut.costs.held(),
            reference_needs,
        },
        screen,
        phantom: request.planted.clone(),
    };
    let plan = Plan {
        info,
        probes: planned.probes,
        paths,
        printed,
        asked: planned.asked,
        order,
        chunks: cut.chunks,
        groups: cut.groups,
        notes: planned.notes,
        sampling,
        costs: cut.costs,
        reference,
        residence: cut.residence,
        memory_is_asked: request.memory_bytes.is_some(),
        weights: WeightBytes::of(subject.config(), subject.weight_type()),
    };
    for probe in 0..plan.probes.len() {
        // Refused now, not when the first probes are measured.
        screen::race(&plan, probe)?;
    }
    Ok(plan)
}

/// How the model's makers meant it to be sampled; what they leave open, `transformers` says.
pub(crate) fn sampling(subject: &Subject, seed: u64) -> Sampling {
    let (generation, default) = (&subject.checkpoint().generation, Sampling::default());
    Sampling {
        temperature: generation.temperature.unwrap_or(default.temperature),
        top_k: generation.top_k.or(default.top_k),
        top_p: generation.top_p.unwrap_or(default.top_p),
        min_p: generation.min_p.unwrap_or(default.min_p),
        seed,
    }
}

/// This moment, RFC 3339, in whole seconds.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}

/// What is gathered probe by probe.
#[derive(Default)]
struct Planned {
    probes: Vec<Probe>,
    asked: Vec<Vec<Asked>>,
    notes: Vec<Vec<String>>,
}

/// All probes, cut into portions.
pub(crate) struct CutAll {
    chunks: Vec<Vec<[usize; 2]>>,
    groups: Vec<Vec<[usize; 2]>>,
    pub(crate) costs: Costs,
    residence: Residence,
}

/// Cuts all probes with the weights in memory, or, where they leave no room there, with weights that are streamed. `held`
/// is what the process counted as held whatever runs whose cuts are repeated.
///
/// # Errors
/// [`ScanError::Memory`] with the smallest budget that holds every probe.
pub(crate) fn cut_all(
    subject: &Subject,
    probes: &[Probe],
    asked: &[Vec<Asked>],
    paths: &[LayerPath],
    budget: u64,
    held: Option<u64>,
) -> Result<CutAll> {
    let attempt = |residence: Residence| {
        let costs = Costs::new(subject, paths, residence);
        let costs = costs.with_held(held.unwrap_or_else(|| costs.held_of(subject, probes, asked, paths)));
        let cuts = probes.iter().zip(asked).map(|(probe, asked)| cut(probe, asked, paths, &costs, budget));
        let (cuts, refused): (Vec<_>, Vec<_>) = cuts.partition(Result::is_ok);
        if let Some(most) = refused.into_iter().filter_map(Result::err).max_by_key(budget_needed) {
            return Err(most);
        }
        let (chunks, groups) = cuts.into_iter().flatten().map(|cut| (cut.chunks, cut.groups)).unzip();
        Ok(CutAll { chunks, groups, costs, residence })
    };
    attempt(Residence::Held).or_else(|held| {
        attempt(Residence::Streamed).map_err(|streamed| std::cmp::min_by_key(streamed, held, budget_needed))
    })
}

fn budget_needed(error: &ScanError) -> u64 {
    if let ScanError::Memory { needs, .. } = error { needs.least } else { u64::MAX }
}

fn probe_info(probe: &Probe) -> ProbeInfo {
    ProbeInfo { name: probe.name().to_owned(), id: probe.id(), hash: probe.hash(), questions: probe.questions().len() }
}

/// What changes results and stands nowhere else in `run.json`.
fn settings(subject: &Subject, request: &ScanRequest) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::from([
        ("role".to_owned(), json!(request.role.to_string())),
        ("prompt".to_owned(), json!(if subject.is_chat() { "chat" } else { "plain" })),
        ("end_tokens".to_owned(), json!(subject.end_tokens())),
        ("suppress_tokens".to_owned(), json!(subject.checkpoint().generation.suppress_tokens)),
    ]);
    if subject.text().is_some_and(neuro_text::Text::reads_clock) {
        settings.insert("clock".to_owned(), json!(turn::CLOCK.to_string()));
    }
    if let Some(source) = &request.source {
        settings.insert(SOURCE.to_owned(), json!(source));
    }
    settings
}

impl Plan {
    /// The content of `run.json`.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The probes, in the order in which they are asked.
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// The paths, in the order in which they are measured.
    pub fn paths(&self) -> &[LayerPath] {
        &self.paths
    }

    /// `<model>-<hash of everything that changes results>`, as the name of a folder on every system.
    pub fn run_name(&self) -> String {
        let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
        let model: String = self.info.model.id.chars().take(80).map(safe).collect();
        let model = model.trim_matches(|c| matches!(c, '-' | '.'));
        format!("{}-{}", if model.is_empty() { "model" } else { model }, settings_hash(&self.info))
    }

    /// Where the run goes when nothing is said: `runs/<run name>`.
    pub fn default_dir(&self) -> PathBuf {
        Path::new("runs").join(self.run_name())
    }
}
