//! What a run has found, as a picture in the terminal and as one JSON document. Numbers come from `stats` and `record`.

use anyhow::Context;
use neuro_path::{Block, triangle};
use neuro_record::{PlannedPaths, RunData};
use neuro_report::{csv_table, headline, terminal_heatmap, top_table, type_effect_lines, type_effect_missing, verdict};
use neuro_scan::Generated;
use neuro_stats::{
    BlockMap, Cell, Interval, PlantedVerdict, SWAPS, combined_map, overhead, planted_verdict, type_effect,
};
use serde_json::{Value, json};

use crate::error::Failure;
use crate::printer::{BOLD, DIM, GOOD, Printer, WARNING, styled};
use crate::remarks;
use crate::values::{grouped, wrapped};

/// Version of the JSON documents that commands print. It grows with every change that could break a reader.
pub(crate) const JSON_SCHEMA: u32 = 1;
/// The group that stands for all questions.
const ALL_GROUPS: &str = "all";
/// The probe that stands for the mean of all.
pub(crate) const COMBINED: &str = "combined";

/// A run of every block, with its maps.
#[derive(Debug)]
pub(crate) struct Results<'a> {
    data: &'a RunData,
    /// One map for each probe, and where there are several, one of their means; the one to be shown comes first.
    maps: Vec<BlockMap>,
    planted: Option<PlantedVerdict>,
}

impl<'a> Results<'a> {
    /// Makes the maps. The first is that of `probe` and `group`, by default that of the run's first probe; for a phantom
    /// over the group of questions that needs what is planted. `combined` is the mean of all probes.
    ///
    /// # Errors
    /// When the run has no such probe or group.
    pub(crate) fn new(data: &'a RunData, probe: Option<&str>, group: Option<&str>) -> anyhow::Result<Self> {
        if probe == Some(COMBINED) && data.info.probe(COMBINED).is_none() {
            return Self::combined(data, group);
        }
        let first = probe.or_else(|| data.info.probes.first().map(|probe| probe.name.as_str()));
        let first = first.context("the run has no probe")?;
        let planted = data.info.phantom.as_ref();
        let groups = BlockMap::groups(data, first)?;
        let told =
            planted.map(|planted| planted.group.as_str()).filter(|group| groups.iter().any(|known| known == group));
        let group = group.or(told).filter(|group| *group != ALL_GROUPS);
        let mut maps = vec![BlockMap::from_run(data, first, group)?];
        for probe in &data.info.probes {
            if probe.name != first || group.is_some() {
                maps.push(BlockMap::from_run(data, &probe.name, None)?);
            }
        }
        maps.extend(combined_map(data)?);
        let planted = match planted {
            Some(planted) if group.is_some() && group == told => {
                let [start, end] = planted.block;
                planted_verdict(&maps[0], Block::new(start, end, maps[0].depth)?)
            }
            _ => None,
        };
        Ok(Self { data, maps, planted })
    }

    /// The same maps with that of all probes in front.
    fn combined(data: &'a RunData, group: Option<&str>) -> anyhow::Result<Self> {
        if let Some(group) = group.filter(|group| *group != ALL_GROUPS) {
            let failure =
                Failure::new(format!("the combined map is over all questions, and group {group} was asked for"));
            return Err(failure.hint("name the probe whose group it is, or leave --group out").into());
        }
        let Some(combined) = combined_map(data)? else {
            let why = match data.info.probes.len() {
                0 | 1 => "the run has one probe, expected several",
                _ => "its paths did not all see the same questions: it is screened, or not complete",
            };
            let failure = Failure::new(format!("there is no combined map: {why}"));
            return Err(failure.hint("without --probe, the run's first probe is shown").into());
        };
        let mut maps = vec![combined];
        for probe in &data.info.probes {
            maps.push(BlockMap::from_run(data, &probe.name, None)?);
        }
        Ok(Self { data, maps, planted: None })
    }

    /// The map to be shown.
    pub(crate) fn map(&self) -> &BlockMap {
        &self.maps[0]
    }

    /// Every map, that one first.
    pub(crate) fn maps(&self) -> &[BlockMap] {
        &self.maps
    }

    /// A line above a picture, whose subtitle names probe and group.
    pub(crate) fn title(&self) -> String {
        format!("{} · {} layers", self.data.info.model.id, self.data.info.model.layers)
    }

    /// Prints picture, verdict, the best blocks, and whether the planted one was found.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn print(&self, printer: &Printer, top: usize) -> anyhow::Result<()> {
        let (map, color) = (self.map(), printer.color_level());
        let model = &self.data.info.model;
        let facts = format!(
            "{} layers · {} parameters · {} of {} rows",
            model.layers,
            grouped(model.parameters),
            grouped(self.data.rows.len() as u64),
            grouped(planned_rows(self.data) as u64),
        );
        printer.line(format_args!("{}  {}\n", styled(BOLD, &model.id), styled(DIM, facts)))?;
        if let Some(seed) = model.random_weights {
            printer.line(styled(
                WARNING,
                format!("The weights are random (seed {seed}): the map says nothing about a trained model.\n"),
            ))?;
        }
        printer.line(terminal_heatmap(map, color, printer.width()).trim_end())?;
        printer.line(format_args!("\n{}\n", styled(BOLD, wrapped(&verdict(map), 0, printer.width()))))?;
        if top > 0 {
            printer.line(top_table(map, top, color).trim_end())?;
        }
        let best = map.best().and_then(|best| best.block.path(map.depth).ok());
        let failures = remarks::failures(self.data, &map.probe, best.as_ref());
        let failures = failures.iter().map(|failure| format!("{} {failure}", styled(WARNING, "warning:")));
        let effects = type_effect_lines(self.data).into_iter().map(|line| wrapped(&line, 0, printer.width()));
        let notes = remarks::notes(self.data);
        let remarks: Vec<_> = failures.chain(effects).chain(notes.iter().map(|note| styled(DIM, note))).collect();
        if !remarks.is_empty() {
            printer.line(format_args!("\n{}", remarks.join("\n")))?;
        }
        match &self.planted {
            Some(verdict) => printer.line(format_args!("\n{}", planted_line(verdict))),
            None => Ok(()),
        }
    }

    /// The map as CSV, one line for every block.
    pub(crate) fn csv(&self) -> String {
        csv_table(self.map())
    }

    /// One JSON document with everything; `run` is the run directory, `files` what was written into it.
    pub(crate) fn json(&self, run: &str, top: usize, files: &[String]) -> Value {
        let info = &self.data.info;
        let map = self.map();
        json!({
            "schema": JSON_SCHEMA,
            "tool": info.tool,
            "model": info.model,
            "run": run,
            "complete": self.data.rows.len() == planned_rows(self.data),
            "probe": map.probe,
            "group": map.group,
            "questions": map.n,
            "screened": screened(map),
            "baseline": map.baseline,
            "best": best(map, top),
            "headline": headline(map),
            "verdict": verdict(map),
            "chance": chance(map),
            "compute": info.compute,
            "type_effect": type_effects(self.data),
            "type_effect_missing": type_effects_missing(self.data),
            "planted": self.planted.as_ref().map(|verdict| json!({
                "block": pair(verdict.planted),
                "best": pair(verdict.best),
                "overlap": verdict.overlap,
                "found": verdict.found,
            })),
            "maps": self.maps.iter().map(|map| json!({
                "probe": map.probe,
                "group": map.group,
                "questions": map.n,
                "screened": screened(map),
                "baseline": map.baseline,
                "best": best(map, top),
                "chance": chance(map),
            })).collect::<Vec<_>>(),
            "rows": self.data.rows,
            "files": files,
            // Filled in by the process that measured.
            "generated": null,
        })
    }
}

/// Rows that the run has when it is complete.
pub(crate) fn planned_rows(data: &RunData) -> usize {
    let paths = match &data.info.plan.paths {
        PlannedPaths::Triangle => triangle(data.info.model.layers).count(),
        PlannedPaths::List(paths) => paths.len(),
    };
    paths * data.info.probes.len()
}

/// For each probe what quantised weights do to the baseline's score; empty where nothing was quantised.
pub(crate) fn type_effects(data: &RunData) -> Vec<Value> {
    let effect = |probe: &neuro_record::ProbeInfo| {
        let effect = type_effect(data, &probe.name)?;
        Some(json!({
            "probe": probe.name,
            "reference": "f32",
            "reference_score": effect.reference,
            "score": effect.score,
            "delta": effect.delta.mean,
            "interval": interval(effect.delta.interval.as_ref()),
            "questions": effect.delta.n,
        }))
    };
    data.info.probes.iter().filter_map(effect).collect()
}

/// The probes on which that is not known; with what the baseline in f32 needs where the memory budget has no room for it,
/// else it is not measured yet.
pub(crate) fn type_effects_missing(data: &RunData) -> Vec<Value> {
    let budget = data.info.plan.memory_bytes;
    let missing = type_effect_missing(data).into_iter().map(|missing| {
        let memory = missing.needed_bytes.map(|_| budget);
        json!({ "probe": missing.probe, "needed_bytes": missing.needed_bytes, "memory_bytes": memory })
    });
    missing.collect()
}

/// How the answers came about that this process generated; null where it generated none.
pub(crate) fn generated(generated: &Generated) -> Value {
    generated.sweeps_per_answer().map_or(Value::Null, |sweeps| {
        let mut fields = json!(generated);
        fields["sweeps_per_answer"] = json!(sweeps);
        fields
    })
}

/// `[low, high]`, or null.
pub(crate) fn interval(bounds: Option<&Interval>) -> Value {
    bounds.map_or(Value::Null, |bounds| json!([bounds.low, bounds.high]))
}

/// Who dropped out of a screening and is not ranked; null where every block saw every question. Each row says how many
/// its path saw.
fn screened(map: &BlockMap) -> Value {
    map.dropped().map_or(Value::Null, |dropped| {
        json!({ "dropped": dropped.blocks, "fewest_questions": dropped.fewest, "most_questions": dropped.most })
    })
}

fn best(map: &BlockMap, top: usize) -> Vec<Value> {
    map.ranked(top).into_iter().map(|cell| block(map, cell)).collect()
}

fn block(map: &BlockMap, cell: &Cell) -> Value {
    let path = cell.block.path(map.depth).ok();
    json!({
        "block": pair(cell.block),
        "path": path.as_ref().map(ToString::to_string),
        "score": cell.score,
        "delta": cell.delta,
        "interval": interval(cell.interval.as_ref()),
        "corrected_p": map.corrected_p(cell),
        "corrected_for": corrected_for(map, cell),
        "overhead": path.as_ref().map(overhead),
    })
}

/// The family of a corrected p, as a confirmation says it: `{"tests": 20, "of": "blocks of the map", "method": "max-T"}`.
fn corrected_for(map: &BlockMap, cell: &Cell) -> Value {
    let chance = map.chance.as_ref().filter(|_| map.corrected_p(cell).is_some());
    chance.map_or(Value::Null, |chance| json!({ "tests": chance.blocks, "of": "blocks of the map", "method": "max-T" }))
}

/// What the best block would show if none did anything; null after a screening and for fewer than two questions.
fn chance(map: &BlockMap) -> Value {
    map.chance.as_ref().map_or(Value::Null, |chance| {
        json!({
            "blocks": chance.blocks,
            "swapped_maps": SWAPS,
            "expected_best": chance.expected_best,
            "rarely_exceeded": chance.rarely_exceeded,
        })
    })
}

fn pair(block: Block) -> [usize; 2] {
    [block.start, block.end]
}

fn planted_line(verdict: &PlantedVerdict) -> String {
    let PlantedVerdict { planted, best, overlap, found } = verdict;
    let layers = if *overlap == 1 { "layer" } else { "layers" };
    if *found {
        let found = styled(GOOD, "found");
        format!("Planted block {planted}: {found}. The best block {best} shares {overlap} {layers} with it.")
    } else {
        let missed = styled(WARNING, "not found");
        format!("Planted block {planted}: {missed}. The best block {best} shares {overlap} {layers} with it.")
    }
}
