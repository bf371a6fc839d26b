//! The model card of an export: what it is made of, what was measured, and under which licence.

use neuro_path::{LayerPath, Scale};
use serde_json::{Map, Value};

use crate::TOOL;
use crate::verify::Comparison;

/// What a card says beyond facts of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The model that the layers come from.
    pub base: String,
    /// The command that made the export.
    pub command: String,
    /// What a scan or a confirmation says about the path, a sentence each, the verdict first.
    pub findings: Vec<String>,
}

/// The licence of a model, as its card's head names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Licence {
    /// Lines of the head: `license`, `license_name`, `license_link`.
    lines: Vec<(String, String)>,
}

impl Licence {
    /// Reads the head (YAML between two lines of `---`) of a card. Only plain scalars are taken over, and lists of one.
    pub(crate) fn of_card(card: &str) -> Self {
        const KEYS: [&str; 3] = ["license", "license_name", "license_link"];
        let mut lines = card.lines();
        if lines.next().map(str::trim_end) != Some("---") {
            return Self::default();
        }
        let head: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
        let found = head.iter().enumerate().filter_map(|(number, line)| {
            let (key, value) = line.split_once(':')?;
            let items: Vec<&str> =
                head[number + 1..].iter().map_while(|line| line.trim_start().strip_prefix("- ")).collect();
            let value = match items.as_slice() {
                [item] if value.trim().is_empty() => item,
                _ => value,
            };
            let value = value.trim().trim_matches(['"', '\'']);
            (KEYS.contains(&key) && is_plain(value)).then(|| (key.to_owned(), value.to_owned()))
        });
        Self { lines: found.collect() }
    }

    /// Takes the `license` of a `config.json`, which some models have instead of a card.
    pub(crate) fn of_config(root: &Map<String, Value>) -> Self {
        let named = root.get("license").and_then(Value::as_str).map(str::trim).filter(|name| is_plain(name));
        Self { lines: named.map(|name| ("license".to_owned(), name.to_owned())).into_iter().collect() }
    }

    /// Whether nobody named one.
    pub(crate) fn is_unknown(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Whether a YAML value is a short text on its own line.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.len() <= 200 && !value.starts_with(['[', '{', '|', '>', '&', '*', '!', '-'])
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
            // Names in it come from runs and could break out of the list.
            page.push_str(&format!("- {}\n", finding.replace(char::is_control, " ")));
        }
        page.push_str(&format!("\n## Does it compute the path?\n\n{}\n", comparison.sentence()));
        page.push_str("\n## How it was made\n\n```\n");
        page.push_str(&self.command);
        page.push_str(&format!("\n```\n\n{TOOL}; `config.json` names every layer's origin under `rys_relayer`.\n"));
        for note in notes {
            page.push_str(&format!("\nNote: {note}.\n"));
        }
        page.push_str(if licence.is_unknown() {
            "\nNo licence was found in the base model's files; its terms hold for this model all the same.\n"
        } else {
            "\nThe base model's licence holds for this model.\n"
        });
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
        let named = |pairs: &[(&str, &str)]| Licence {
            lines: pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        };
        let card = "---\nlicense: apache-2.0\nlicense_name: 'x'\ntags: [a]\nlicense_link: >\n---\nlicense: mit\n";
        assert_eq!(Licence::of_card(card), named(&[("license", "apache-2.0"), ("license_name", "x")]));
        let listed = "---\nlicense:\n- mit\nlicense_name:\n- a\n- b\n---\n";
        assert_eq!(Licence::of_card(listed), named(&[("license", "mit")]));
        assert!(Licence::of_card("license: mit\n").is_unknown() && Licence::of_card("").is_unknown());
    }

    #[test]
    fn a_config_may_name_the_licence() {
        let named = |config: Value| Licence::of_config(config.as_object().unwrap());
        let expected = Licence { lines: vec![("license".to_owned(), "mit".to_owned())] };
        assert_eq!(named(serde_json::json!({ "license": "mit" })), expected);
        assert!(named(serde_json::json!({ "license": { "a": 1 } })).is_unknown());
        assert!(named(serde_json::json!({ "license": "- a\nb" })).is_unknown());
    }
}
