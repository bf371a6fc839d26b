//! The model card of an export: what it is made of, what was measured, and under which licence.

use neuro_path::{LayerPath, Scale};
use serde_json::Value;

use crate::TOOL;
use crate::verify::Comparison;

/// What a card says beyond facts of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The model that the layers come from.
    pub base: String,
    /// The command that made the export.
    pub command: String,
    /// What a scan or a confirmation says about the path, a sentence each.
    pub findings: Vec<String>,
}

/// The licence of a model, as its card's head names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Licence {
    /// Lines of the head: `license`, `license_name`, `license_link`.
    lines: Vec<(String, String)>,
}

impl Licence {
    /// Reads the head (YAML between two lines of `---`) of a card. Only plain scalars are taken over.
    pub(crate) fn of_card(card: &str) -> Self {
        const KEYS: [&str; 3] = ["license", "license_name", "license_link"];
        let mut lines = card.lines();
        if lines.next().map(str::trim_end) != Some("---") {
            return Self::default();
        }
        let head = lines.take_while(|line| line.trim_end() != "---");
        let found = head.filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            let value = value.trim().trim_matches(['"', '\'']);
            let plain =
                !value.is_empty() && value.len() <= 200 && !value.starts_with(['[', '{', '|', '>', '&', '*', '!']);
            (KEYS.contains(&key) && plain).then(|| (key.to_owned(), value.to_owned()))
        });
        Self { lines: found.collect() }
    }
}

impl Card {
    /// The page.
    pub(crate) fn page(
        &self,
        path: &LayerPath,
        licence: &Licence,
        comparison: &Comparison,
        notes: &[String],
    ) -> String {
        let mut page = String::from("---\n");
        page.push_str(&format!("base_model: {}\n", Value::from(self.base.as_str())));
        for (key, value) in &licence.lines {
            page.push_str(&format!("{key}: {}\n", Value::from(value.as_str())));
        }
        page.push_str("library_name: transformers\ntags:\n- rys\n- layer-duplication\n- neuroanatomy\n---\n\n");
        page.push_str(&format!("# {}, layer path {path}\n\n", self.base));
        page.push_str(&format!(
            "The layers of {} in another order, {} visits to {} layers, with no weight changed{}. Every visit is a layer of \
             its own here, so any program that runs the base model runs this one.\n\n",
            self.base,
            path.len(),
            path.depth(),
            folded(path),
        ));
        page.push_str("## What was measured\n\n");
        if self.findings.is_empty() {
            page.push_str(
                "Nothing: no run was named when it was exported. Do not expect it to be better than the base model.\n",
            );
        }
        for finding in &self.findings {
            page.push_str(&format!("- {finding}\n"));
        }
        page.push_str(&format!("\n## Does it compute the path?\n\n{}\n", comparison.sentence()));
        page.push_str("\n## How it was made\n\n```\n");
        page.push_str(&self.command);
        page.push_str(&format!("\n```\n\n{TOOL}; `config.json` names every layer's origin under `rys_relayer`.\n"));
        for note in notes {
            page.push_str(&format!("\nNote: {note}.\n"));
        }
        if licence.lines.is_empty() {
            page.push_str("\nThe base model's card names no licence; its terms hold for this model all the same.\n");
        } else {
            page.push_str("\nThe base model's licence holds for this model.\n");
        }
        page
    }
}

fn folded(path: &LayerPath) -> &'static str {
    let scaled = path.visits().iter().any(|visit| visit.scales.attn != Scale::ONE || visit.scales.mlp != Scale::ONE);
    if scaled { " but for the scales of damped visits, which are folded into `o_proj` and `down_proj`" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_taken_from_the_head_only() {
        let card = "---\nlicense: apache-2.0\nlicense_name: 'x'\ntags: [a]\nlicense_link: >\n---\nlicense: mit\n";
        let expected = [("license", "apache-2.0"), ("license_name", "x")];
        assert_eq!(Licence::of_card(card).lines, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(Licence::of_card("license: mit\n"), Licence::default());
        assert_eq!(Licence::of_card(""), Licence::default());
    }
}
