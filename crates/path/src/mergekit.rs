use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::shortened;
use crate::parse::half_open_range;
use crate::{BranchScales, PathError, Scale, Step};

/// The part of a mergekit configuration that is a layer path. Unknown keys are refused: they may change weights.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    slices: Vec<Slice>,
    merge_method: String,
    // Storage and naming, which no layer path describes.
    #[serde(default, rename = "dtype")]
    _dtype: IgnoredAny,
    #[serde(default, rename = "out_dtype")]
    _out_dtype: IgnoredAny,
    #[serde(default, rename = "name")]
    _name: IgnoredAny,
    #[serde(default, rename = "tokenizer_source")]
    _tokenizer_source: IgnoredAny,
    #[serde(default, rename = "chat_template")]
    _chat_template: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Slice {
    sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    model: String,
    layer_range: (usize, usize),
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(default)]
    scale: Vec<FilteredScale>,
}

/// mergekit multiplies every tensor whose name holds `filter`; the first entry that fits decides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilteredScale {
    filter: Option<String>,
    value: String,
}

/// The steps of a passthrough merge of one model with itself.
pub(crate) fn steps(text: &str, depth: usize) -> Result<Vec<Step>, PathError> {
    let configuration: Configuration =
        serde_saphyr::from_str(text).map_err(|error| refusal(one_line(&error.to_string())))?;
    if configuration.merge_method != "passthrough" {
        return Err(refusal(format!(
            "merge_method is `{}`, but only `passthrough` keeps the weights as they are",
            shortened(&configuration.merge_method)
        )));
    }
    let mut model: Option<&str> = None;
    let mut steps = Vec::new();
    for (index, slice) in configuration.slices.iter().enumerate() {
        let [source] = slice.sources.as_slice() else {
            return Err(refusal(format!("slice {index} has {} sources, expected exactly 1", slice.sources.len())));
        };
        let first = *model.get_or_insert(&source.model);
        if first != source.model {
            return Err(refusal(format!(
                "slice {index} takes layers from `{}` and an earlier one from `{}`; a layer path runs the layers of one model",
                shortened(&source.model),
                shortened(first)
            )));
        }
        let scales = branch_scales(&source.parameters.scale)?;
        let (start, end) = source.layer_range;
        half_open_range(start, end, depth, scales, "mergekit's layer_range", &mut steps)?;
    }
    Ok(steps)
}

/// Scaling `o_proj` (or `down_proj`), weight and bias, scales exactly the attention (or MLP) branch.
fn branch_scales(entries: &[FilteredScale]) -> Result<BranchScales, PathError> {
    let mut scales = BranchScales::default();
    let (mut attn, mut mlp) = (false, false);
    for (index, entry) in entries.iter().enumerate() {
        let value: Scale = entry.value.parse()?;
        match entry.filter.as_deref() {
            // The first fitting entry decides, so a second one for the same branch means nothing.
            Some("o_proj") if !attn => (scales.attn, attn) = (value, true),
            Some("down_proj") if !mlp => (scales.mlp, mlp) = (value, true),
            None | Some("*") if value == Scale::ONE && index + 1 == entries.len() => {}
            filter => {
                return Err(refusal(format!(
                    "scale {value} with filter `{}` is no branch scale; expected `o_proj` and `down_proj`, each at most once, \
                     and at the end 1 for everything else",
                    shortened(filter.unwrap_or("*"))
                )));
            }
        }
    }
    Ok(scales)
}

fn refusal(reason: String) -> PathError {
    PathError::Mergekit { reason }
}

/// The parser's first line says what is wrong and where; the rest draws the source.
fn one_line(message: &str) -> String {
    let line = message
        .trim_start_matches("error: ")
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("unreadable YAML");
    format!(
        "{line}; expected `slices` of one source each, with `model` and `layer_range: [start, end]`, and `merge_method: passthrough`"
    )
}
