//! The keys of a `config.json` that look at layers' numbers.
//!
//! Meanings are those of the configuration and modelling files of transformers 5.23.0. A rule that a path breaks becomes
//! an explicit list where there is one to write; else the path is refused.

use std::path::Path;

use neuro_checkpoint::{DecoderConfig, LayerConfig};
use neuro_path::LayerPath;
use serde_json::{Map, Value, json};

use crate::nearest::advice;
use crate::{Result, SurgeryError};

/// Lists with an entry for each layer; where a key may also be a number, only its list.
const PER_LAYER: [&str; 18] = [
    "layer_types",
    "mlp_layer_types",
    "no_rope_layers",
    "moe_layer_freq",
    "layers_block_type",
    "attention_types",
    "attn_type_list",
    "hybrid_layer_pattern",
    "sliding_window_pattern",
    "activation_sparsity_pattern",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "num_query_heads",
    "num_kv_heads",
    "ffn_multipliers",
    "block_configs",
    "swiglu_limits",
];

/// Lists of layers' numbers.
const NUMBERS: [&str; 7] = [
    "mlp_only_layers",
    "full_attn_idxs",
    "full_attention_layers",
    "attn_layer_indices",
    "moe_layers",
    "cross_attention_layers",
    "dense_layers",
];

/// Lists that are of no layers, whatever their length.
const OTHER_LISTS: [&str; 9] = [
    "architectures",
    "eos_token_id",
    "bos_token_id",
    "pad_token_id",
    "suppress_tokens",
    "begin_suppress_tokens",
    "bad_words_ids",
    "forced_decoder_ids",
    "keys_to_ignore_at_inference",
];

/// The first so many layers are dense.
const LEADING: [&str; 2] = ["first_k_dense_replace", "num_dense_layers"];

/// Rules that say a layer's kind by its number, which a path must keep: key, key of the offset, where the first hit is.
const PERIODS: [(&str, &str, usize); 5] = [
    ("moe_layer_freq", "", 0),
    ("interleave_moe_layer_step", "", 1),
    ("attn_layer_period", "attn_layer_offset", 0),
    ("expert_layer_period", "expert_layer_offset", 0),
    ("global_attn_every_n_layers", "", 0),
];

/// Settings of single layers, by their numbers (transformers' `integrations/heterogeneity`).
const SETTINGS: &str = "per_layer_config";

/// Keys that make layers special beyond what can be copied, and why.
const REFUSED: [(&str, &str); 1] =
    [("hybrid_override_pattern", "spells layers' kinds as letters, which is not known here")];

/// Keys under which transformers derives `layer_types`.
const DERIVING: [&str; 4] =
    ["max_window_layers", "use_sliding_window", "sliding_window_pattern", "full_attention_interval"];

/// The decoder's object of a `config.json` on its way to a path.
pub(super) struct Decoder<'a> {
    pub(super) object: &'a mut Map<String, Value>,
    pub(super) config: &'a DecoderConfig,
    pub(super) path: &'a LayerPath,
    pub(super) file: &'a Path,
    pub(super) notes: &'a mut Vec<String>,
}

impl Decoder<'_> {
    /// Everything but the number of layers.
    pub(super) fn rewrite(mut self) -> Result<()> {
        if self.path.is_baseline() {
            return Ok(());
        }
        for (key, reason) in REFUSED {
            if self.object.get(key).is_some_and(|value| !value.is_null()) {
                return Err(self.refuse(key, reason));
            }
        }
        self.refuse_unknown_lists()?;
        self.warn_of_rules();
        self.write_layer_types()?;
        self.write_no_rope_layers();
        self.spread_sparse_step()?;
        for key in PER_LAYER {
            self.pick(key)?;
        }
        for key in NUMBERS {
            self.renumber(key)?;
        }
        for key in LEADING {
            self.count_leading(key)?;
        }
        self.count_windows();
        self.move_settings()?;
        for (key, offset, first) in PERIODS {
            self.keep_period(key, offset, first)?;
        }
        self.settle_tails()
    }

    fn refuse(&self, key: &str, problem: impl Into<String>) -> SurgeryError {
        SurgeryError::key(self.file, key, problem)
    }

    fn layers(&self) -> Vec<usize> {
        self.path.layers()
    }

    /// A list as long as the model is deep is probably one of its layers.
    fn refuse_unknown_lists(&self) -> Result<()> {
        let known = |key: &str| {
            key == SETTINGS || PER_LAYER.contains(&key) || NUMBERS.contains(&key) || OTHER_LISTS.contains(&key)
        };
        let suspicious = self.object.iter().find(|(key, value)| {
            let by_layer = |object: &Map<String, Value>| {
                !object.is_empty() && object.keys().all(|key| key.parse::<usize>().is_ok())
            };
            let is_list = value.as_array().is_some_and(|items| items.len() == self.path.depth());
            !known(key) && (is_list || (*key != "id2label" && value.as_object().is_some_and(by_layer)))
        });
        match suspicious {
            None => Ok(()),
            Some((key, _)) => {
                let depth = self.path.depth();
                let problem = format!(
                    "seems to have an entry for each of the {depth} layers, and its meaning is not known here; a path would \
                     leave it wrong. Please report this model"
                );
                Err(self.refuse(key, problem))
            }
        }
    }

    /// `layer_types` goes before these rules in transformers; other programs (mlx-lm) look at the number alone.
    fn warn_of_rules(&mut self) {
        for key in ["sliding_window_pattern", "full_attention_interval"] {
            let period = self.object.get(key).and_then(Value::as_u64).and_then(|period| usize::try_from(period).ok());
            let Some(period) = period.filter(|&period| period > 1) else { continue };
            if self.layers().iter().enumerate().any(|(place, layer)| place % period != layer % period) {
                self.notes.push(format!(
                    "`layer_types` says which layer is of which kind; a program that reads only `{key}`, as mlx-lm does, would \
                     be wrong along this path"
                ));
            }
        }
    }

    /// Writes the list out even where the config leaves it to be derived, because a path changes what is derived.
    fn write_layer_types(&mut self) -> Result<()> {
        let has_window = |layer: &LayerConfig| layer.attention.window.is_some();
        let alternates = self.config.layers.iter().any(has_window) && !self.config.layers.iter().all(has_window);
        let recurs = |layer: &LayerConfig| layer.delta_net.is_some();
        let mixes = self.config.layers.iter().any(recurs) && !self.config.layers.iter().all(recurs);
        let derives = alternates || mixes || DERIVING.iter().any(|key| self.object.contains_key(*key));
        if self.object.get("layer_types").is_some_and(Value::is_array) || !derives {
            return Ok(());
        }
        let interval =
            self.object.get("full_attention_interval").and_then(Value::as_u64).filter(|&interval| interval > 0);
        let kind = |layer: usize| match (interval, self.config.layers[layer].attention.window) {
            _ if recurs(&self.config.layers[layer]) => "linear_attention",
            (Some(interval), _) if !(layer as u64 + 1).is_multiple_of(interval) => "linear_attention",
            (_, Some(_)) => "sliding_attention",
            _ => "full_attention",
        };
        // Of the source's layers: the path then picks from it as from any other list.
        let types: Vec<Value> = (0..self.path.depth()).map(|layer| kind(layer).into()).collect();
        self.object.insert("layer_types".to_owned(), types.into());
        Ok(())
    }

    /// The same for `no_rope_layers`, which SmolLM3 derives from an interval: 1 for a layer with rotary positions, whatever
    /// the name says.
    fn write_no_rope_layers(&mut self) {
        const KEY: &str = "no_rope_layers";
        let derives = self.config.model_type == "smollm3" || self.object.contains_key("no_rope_layer_interval");
        if self.object.get(KEY).is_some_and(Value::is_array) || !derives {
            return;
        }
        let has_rope = |layer: &LayerConfig| u8::from(layer.attention.rope.rotary_dim > 0).into();
        let listed: Vec<Value> = self.config.layers.iter().map(has_rope).collect();
        self.object.insert(KEY.to_owned(), listed.into());
    }

    /// `decoder_sparse_step` (Qwen MoE): every n-th layer has experts. `mlp_only_layers` says the same for any path.
    fn spread_sparse_step(&mut self) -> Result<()> {
        const KEY: &str = "decoder_sparse_step";
        let Some(step) = self.object.get(KEY).and_then(Value::as_u64).filter(|&step| step > 1) else { return Ok(()) };
        let listed: Vec<u64> = self.numbers("mlp_only_layers")?.unwrap_or_default();
        let dense = |layer: &u64| listed.contains(layer) || !(layer + 1).is_multiple_of(step);
        let all: Vec<Value> = (0..self.path.depth() as u64).filter(dense).map(Value::from).collect();
        self.object.insert("mlp_only_layers".to_owned(), all.into());
        self.object.insert(KEY.to_owned(), json!(1));
        Ok(())
    }

    /// A list with an entry for each layer: the path's.
    fn pick(&mut self, key: &str) -> Result<()> {
        let Some(Value::Array(items)) = self.object.get(key) else { return Ok(()) };
        let depth = self.path.depth();
        if items.len() != depth {
            let problem = format!("has {} entries, expected {depth}, one per layer", items.len());
            return Err(self.refuse(key, problem));
        }
        let picked: Vec<Value> = self.layers().into_iter().map(|layer| items[layer].clone()).collect();
        self.object.insert(key.to_owned(), picked.into());
        Ok(())
    }

    fn numbers(&self, key: &str) -> Result<Option<Vec<u64>>> {
        let Some(Value::Array(items)) = self.object.get(key) else { return Ok(None) };
        let number = |item: &Value| item.as_u64().ok_or_else(|| self.refuse(key, "is no list of layers' numbers"));
        items.iter().map(number).collect::<Result<_>>().map(Some)
    }

    /// A list of layers' numbers: the places of those layers along the path.
    fn renumber(&mut self, key: &str) -> Result<()> {
        let Some(listed) = self.numbers(key)? else { return Ok(()) };
        let places = self.layers().into_iter().enumerate().filter(|(_, layer)| listed.contains(&(*layer as u64)));
        let places: Vec<Value> = places.map(|(place, _)| place.into()).collect();
        self.object.insert(key.to_owned(), places.into());
        Ok(())
    }

    /// Settings of single layers: those of the layers that the path visits, at their places.
    fn move_settings(&mut self) -> Result<()> {
        let settings = match self.object.get(SETTINGS) {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Object(settings)) => settings,
            Some(_) => return Err(self.refuse(SETTINGS, "is no object with settings by layers' numbers")),
        };
        let is_layer = |key: &String| key.parse().is_ok_and(|layer: usize| layer < self.path.depth());
        if let Some(key) = settings.keys().find(|key| !is_layer(key)) {
            let problem = format!("has settings of \"{}\", which is no layer", crate::error::shorten(key));
            return Err(self.refuse(SETTINGS, problem));
        }
        let places = self.layers().into_iter().enumerate();
        let moved: Map<String, Value> = places
            .filter_map(|(place, layer)| Some((place.to_string(), settings.get(&layer.to_string())?.clone())))
            .collect();
        self.object.insert(SETTINGS.to_owned(), Value::Object(moved));
        Ok(())
    }

    /// How many places of the path come before the first with another layer than the model's first `count`, and whether
    /// none of those comes later.
    fn leading(&self, count: u64) -> (usize, bool) {
        let layers = self.layers();
        let is_first = |layer: &&usize| (**layer as u64) < count;
        let leading = layers.iter().take_while(is_first).count();
        (leading, layers.iter().skip(leading).all(|layer| !is_first(&layer)))
    }

    fn count_leading(&mut self, key: &str) -> Result<()> {
        let Some(count) = self.object.get(key).and_then(Value::as_u64).filter(|&count| count > 0) else {
            return Ok(());
        };
        let (leading, is_whole) = self.leading(count);
        if !is_whole {
            let keeps = |path: &LayerPath| {
                let layers = path.layers();
                layers.windows(2).all(|pair| (pair[0] as u64) < count || (pair[1] as u64) >= count)
            };
            let problem = format!(
                "says that the first {count} layers are dense; along this path dense layers come back behind others, which \
                 no number says{}",
                advice(self.path, keeps)
            );
            return Err(self.refuse(key, problem));
        }
        self.object.insert(key.to_owned(), leading.into());
        Ok(())
    }

    /// `max_window_layers` (Qwen2, Qwen3): layers from there on have a window. `layer_types`, written out, goes before it
    /// in transformers; other programs may look at the number.
    fn count_windows(&mut self) {
        const KEY: &str = "max_window_layers";
        let Some(count) = self.object.get(KEY).and_then(Value::as_u64) else { return };
        let (leading, is_whole) = self.leading(count);
        // A number beyond the model's depth stays beyond the path's.
        let written = if leading == self.path.len() { (count as usize).max(leading) } else { leading };
        self.object.insert(KEY.to_owned(), written.into());
        if !is_whole && self.object.get("use_sliding_window") == Some(&Value::Bool(true)) {
            let note = "layers with and without a window alternate along this path; `layer_types` says which is which, and a \
                        program that reads only `max_window_layers` would be wrong";
            self.notes.push(note.to_owned());
        }
    }

    /// A rule by number, which every place of the path must keep.
    fn keep_period(&mut self, key: &str, offset: &str, first: usize) -> Result<()> {
        let Some(period) = self.object.get(key).and_then(Value::as_u64).filter(|&period| period > 1) else {
            return Ok(());
        };
        // A list that says the same goes before the rule, and has been written for the path.
        let explicit = match key {
            "interleave_moe_layer_step" => "moe_layers",
            "attn_layer_period" => "layers_block_type",
            _ => "",
        };
        if self.object.get(explicit).is_some_and(Value::is_array) {
            return Ok(());
        }
        let offset = self.object.get(offset).and_then(Value::as_u64).unwrap_or(0);
        let hit = |index: usize| (index as u64 + first as u64) % period == offset % period;
        let keeps = |path: &LayerPath| path.layers().iter().enumerate().all(|(place, &layer)| hit(place) == hit(layer));
        if keeps(self.path) {
            return Ok(());
        }
        let problem = format!(
            "gives every {period}th layer another kind by its number, and this path puts layers where they would change \
             kind{}",
            advice(self.path, keeps)
        );
        Err(self.refuse(key, problem))
    }

    /// What hangs on the end of the stack.
    fn settle_tails(&mut self) -> Result<()> {
        for key in ["num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"] {
            if self.object.get(key).and_then(Value::as_u64).is_some_and(|count| count > 0) {
                self.object.insert(key.to_owned(), json!(0));
                self.notes
                    .push(format!("`{key}` is 0: the layers that draft tokens ahead were trained on another stack"));
            }
        }
        let shared = self.object.get("num_kv_shared_layers").and_then(Value::as_u64).unwrap_or(0);
        if shared > 0 {
            let problem = format!(
                "is {shared}: the last layers use the keys and values of earlier ones, chosen by number, which a path moves"
            );
            return Err(self.refuse("num_kv_shared_layers", problem));
        }
        Ok(())
    }
}
