//! Where the numbers come from: everything that `run.json` says.

use neuro_record::{PlannedPaths, RunData, SOURCE};

use crate::escape::markup;
use crate::number::{count, counted};
use crate::type_effect::type_effect_lines;

/// The section "Provenance": a list of terms and values.
pub(super) fn section(data: &RunData) -> String {
    let info = &data.info;
    let model = &info.model;
    let none = || "none".to_owned();
    let paths = match &info.plan.paths {
        PlannedPaths::Triangle => "triangle: the baseline and every block".to_owned(),
        PlannedPaths::List(paths) => format!("{}: {}", counted(paths.len(), "path"), paths.join("; ")),
    };
    let chunks: usize = info.plan.chunks.iter().map(Vec::len).sum();
    let mut facts = vec![
        ("model".to_owned(), model.id.clone()),
        ("model hash".to_owned(), model.hash.clone()),
        ("model type".to_owned(), model.model_type.clone()),
        ("layers".to_owned(), model.layers.to_string()),
        ("parameters".to_owned(), count(usize::try_from(model.parameters).unwrap_or(usize::MAX))),
        ("stored as".to_owned(), model.dtype.clone()),
        (
            "random weights".to_owned(),
            model.random_weights.map_or_else(|| "no".to_owned(), |seed| format!("yes, seed {seed}")),
        ),
        ("tokenizer hash".to_owned(), info.tokenizer_hash.clone().unwrap_or_else(none)),
        ("template hash".to_owned(), info.template_hash.clone().unwrap_or_else(none)),
        ("computed in".to_owned(), info.compute.clone()),
        ("device".to_owned(), info.device.clone()),
        ("seed".to_owned(), info.seed.to_string()),
    ];
    for probe in &info.probes {
        facts.push((
            format!("probe {}", probe.name),
            format!("{}, {}, hash {}", probe.id, counted(probe.questions, "question"), probe.hash),
        ));
    }
    facts.extend(type_effect_lines(data).into_iter().map(|line| ("effect of the weights' type".to_owned(), line)));
    // Where the model lay on one machine helps no reader of the page.
    let settings = info.settings.iter().filter(|(key, _)| *key != SOURCE);
    facts.extend(settings.map(|(key, value)| (format!("setting {key}"), value.to_string())));
    facts.push(("paths".to_owned(), paths));
    if let Some(screen) = &info.screen {
        facts.push((
            "screening".to_owned(),
            format!(
                "a race over the questions for the best {} of the paths, at most {} of the full scan's layer-tokens",
                screen.keep, screen.budget
            ),
        ));
    }
    let chunks = if info.screen.is_some() { "cut stage by stage".to_owned() } else { counted(chunks, "chunk") };
    facts.push(("plan".to_owned(), format!("{chunks}, {} bytes of memory", info.plan.memory_bytes)));
    if let Some(planted) = &info.phantom {
        let [start, end] = planted.block;
        facts.push(("planted".to_owned(), format!("block ({start}, {end}), questions of group {}", planted.group)));
    }
    facts.push(("rows".to_owned(), count(data.rows.len())));
    facts.push(("created".to_owned(), info.created.clone()));
    facts.push(("tool".to_owned(), info.tool.clone()));
    facts.push(("schema".to_owned(), info.schema.to_string()));

    let mut section = String::from(
        "<section aria-labelledby=\"provenance\">\n<h2 id=\"provenance\">Provenance</h2>\n<dl class=\"facts\">\n",
    );
    for (term, value) in facts {
        section.push_str(&format!("<dt>{}</dt><dd>{}</dd>\n", markup(&term), markup(&value)));
    }
    section.push_str("</dl>\n</section>");
    section
}
