//! What is written: names, shapes, formats, and where the numbers come from.

use neuro_checkpoint::{AttentionConfig, BlockFormat, GgufArchitecture, LayerConfig};
use neuro_path::BranchScales;

use super::Writer;
use super::delta::by_key_head;
use super::numbers::{Order, Piece, Place};
use super::rope::Factors;
use crate::gguf::{Numbers, Planned, Source};
use crate::{Result, fold};

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

/// Matrices of single precision, whatever the others are.
const SINGLE: [&str; 3] = ["ffn_gate_inp.weight", "position_embd.weight", "ssm_conv1d.weight"];
/// Architectures that llama.cpp does not load without a head of its own, tied or not.
const NEEDS_HEAD: [&str; 6] = ["olmo2", "stablelm", "gptneox", "qwen2moe", "gpt-oss", "minimax-m2"];

/// A tensor that is to be written for a layer, of several of the folder's.
pub(super) struct Joined {
    /// Canonical name behind the layer's number.
    pub(super) name: String,
    /// Whether the parts are items of a new first axis, instead of rows.
    stacked: bool,
    pub(super) parts: Vec<(String, Vec<usize>)>,
}

impl Writer<'_> {
    pub(super) fn tensors(&self, numbers: Numbers, factors: Factors) -> Result<Vec<Planned>> {
        let config = self.config;
        fold::check_layers("gguf", self.export.path, config)?;
        let mut tensors = Vec::new();
        let mut by_layer: Vec<Vec<(String, Vec<usize>)>> = vec![Vec::new(); config.num_layers()];
        for (name, shape) in config.expected_tensors() {
            match name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
                Some((layer, rest)) => {
                    if let Some(parts) = layer.parse::<usize>().ok().and_then(|layer| by_layer.get_mut(layer)) {
                        parts.push((rest.to_owned(), shape));
                    }
                }
                None => tensors.push(self.outside(&name, &name, shape, numbers)?),
            }
        }
        if config.tie_word_embeddings && NEEDS_HEAD.contains(&self.architecture.name) {
            let shape = vec![config.vocab_size, config.hidden_size];
            tensors.push(self.outside(HEAD, EMBEDDING, shape, numbers)?);
        }
        for (name, values) in factors {
            let place = Place { computed: Some(values.clone()), ..Place::default() };
            let source = Source::Folder(place);
            tensors.push(Planned {
                name: name.to_owned(),
                format: BlockFormat::F32,
                shape: vec![values.len()],
                source,
            });
        }
        for (place, visit) in self.export.path.visits().into_iter().enumerate() {
            let parts = &by_layer[visit.layer];
            for joined in self.joined(parts) {
                self.of_layer(&mut tensors, (place, visit.layer), &joined, visit.scales, numbers)?;
            }
        }
        Ok(tensors)
    }

    fn outside(&self, name: &str, source: &str, shape: Vec<usize>, numbers: Numbers) -> Result<Planned> {
        let Some(written) = GgufArchitecture::stored_outside(name) else {
            return Err(self.refuse(format!("`{name}` has no name in GGUF")));
        };
        let add = if self.architecture.adds_one && name == "model.norm.weight" { 1.0 } else { 0.0 };
        let piece = Piece::whole(source.to_owned(), &shape);
        Ok(planned(written.to_owned(), shape, numbers, Place { pieces: vec![piece], add, ..Place::default() }))
    }

    /// The tensors of a layer as they are written: some of the folder's together.
    fn joined(&self, parts: &[(String, Vec<usize>)]) -> Vec<Joined> {
        let mut all: Vec<Joined> = Vec::new();
        for (rest, shape) in parts {
            let (name, stacked) = self.holder(rest);
            match all.iter_mut().find(|joined| joined.name == name) {
                Some(joined) => joined.parts.push((rest.clone(), shape.clone())),
                None => all.push(Joined { name, stacked, parts: vec![(rest.clone(), shape.clone())] }),
            }
        }
        all
    }

    fn holder(&self, rest: &str) -> (String, bool) {
        let (module, kind) = rest.rsplit_once('.').unwrap_or((rest, ""));
        if let Some(holder) = self.delta_net_holder(module) {
            return (format!("{holder}.{kind}"), false);
        }
        let expert = module.strip_prefix("mlp.experts.").and_then(|rest| rest.split_once('.'));
        match module {
            "self_attn.q_proj" | "self_attn.k_proj" | "self_attn.v_proj" if self.architecture.fused_qkv => {
                (format!("self_attn.qkv_proj.{kind}"), false)
            }
            "mlp.gate_proj" | "mlp.up_proj" if self.architecture.fused_gate_up => {
                (format!("mlp.gate_up_proj.{kind}"), false)
            }
            _ => match expert {
                Some((_, projection)) => (format!("mlp.experts.{projection}.{kind}"), true),
                None => (rest.to_owned(), false),
            },
        }
    }

    fn of_layer(
        &self,
        tensors: &mut Vec<Planned>,
        (place, layer): (usize, usize),
        joined: &Joined,
        scales: BranchScales,
        numbers: Numbers,
    ) -> Result<()> {
        let layer_config = &self.config.layers[layer];
        let attention = &layer_config.attention;
        let canonical = |rest: &str| format!("model.layers.{layer}.{rest}");
        if let (Some(_), "self_attn.kv_b_proj.weight") = (attention.latent, joined.name.as_str()) {
            tensors.extend(self.keys_and_values(place, &canonical(&joined.name), attention, numbers));
            return Ok(());
        }
        let Some(written) = self.architecture.stored_part(&joined.name) else {
            return Err(self.refuse(format!("`{}` has no name in GGUF", joined.name)));
        };
        let pieces = joined.parts.iter().map(|(rest, shape)| Piece {
            order: self.order(rest, layer_config),
            ..Piece::whole(canonical(rest), shape)
        });
        let pieces = match (&layer_config.delta_net, joined.name.as_str()) {
            (Some(delta_net), "linear_attn.in_proj_ba.weight") => by_key_head(pieces.collect(), delta_net),
            _ => pieces.collect(),
        };
        let scale = fold::scale_of(&format!(".{}", joined.name), scales);
        // The norm within delta nets is not around one.
        let is_norm = joined.name.contains("norm") && !joined.name.starts_with("linear_attn.");
        let source = Place {
            pieces,
            add: if self.architecture.adds_one && is_norm { 1.0 } else { 0.0 },
            decays: joined.name == "linear_attn.A_log",
            scale: scale.billionths() as f64 / 1e9,
            computed: None,
        };
        let planned = planned(format!("blk.{place}.{written}"), joined.shape(), numbers, source);
        // Other numbers than the folder's are rounded in any case.
        if let (true, Some(format)) = (self.keeps(numbers), fold::Format::named(planned.format.name()))
            && let Some(nearest) = fold::rounded(format, scale)
        {
            return Err(self.refuse(format!(
                "{scale} times numbers of 16 bits would be rounded; use a power of two such as {nearest}, or --numbers f32"
            )));
        }
        tensors.push(planned);
        Ok(())
    }

    fn order(&self, rest: &str, layer: &LayerConfig) -> Order {
        let attention = &layer.attention;
        if !self.architecture.in_pairs {
            return self.delta_net_order(rest, layer);
        }
        match rest.rsplit_once('.').map(|(module, _)| module) {
            Some("self_attn.q_proj") => Order::Pairs { heads: attention.heads },
            Some("self_attn.k_proj") => Order::Pairs { heads: attention.kv_heads },
            _ => Order::Straight,
        }
    }

    /// DeepSeek's `kv_b_proj` in two: of each head the keys, turned, and the values
    /// (`DeepseekV2Model.modify_tensors`).
    fn keys_and_values(
        &self,
        place: usize,
        canonical: &str,
        attention: &AttentionConfig,
        numbers: Numbers,
    ) -> Vec<Planned> {
        let Some(latent) = attention.latent else { return Vec::new() };
        let (nope, v, rank, heads) = (latent.nope_dim, latent.v_dim, latent.kv_rank, attention.heads);
        let whole = Piece::whole(canonical.to_owned(), &[heads * (nope + v), rank]);
        let of_head = |head: usize, from: usize, rows: usize, order: Order| {
            let first = head * (nope + v) + from;
            Piece { rows: first..first + rows, order, ..whole.clone() }
        };
        let keys = (0..heads).map(|head| of_head(head, 0, nope, Order::Turned)).collect();
        let values = (0..heads).map(|head| of_head(head, nope, v, Order::Straight)).collect();
        [("attn_k_b", vec![heads, rank, nope], keys), ("attn_v_b", vec![heads, v, rank], values)]
            .map(|(name, shape, pieces)| {
                let source = Place { pieces, ..Place::default() };
                planned(format!("blk.{place}.{name}.weight"), shape, numbers, source)
            })
            .into()
    }
}

impl Joined {
    fn shape(&self) -> Vec<usize> {
        let first = self.parts.first().map(|(_, shape)| shape.clone()).unwrap_or_default();
        // One row, which is written as a vector.
        if self.name == "mlp.shared_expert_gate.weight" {
            return first[1..].to_vec();
        }
        if let Some(shape) = self.of_convolution() {
            return shape;
        }
        if self.stacked {
            return [&[self.parts.len()], first.as_slice()].concat();
        }
        let rows = self.parts.iter().map(|(_, shape)| shape.first().copied().unwrap_or(0)).sum();
        [&[rows], first.get(1..).unwrap_or_default()].concat()
    }
}

/// Vectors (norms, biases), the router, convolutions and the table of positions are single precision in every file that
/// llama.cpp writes (`prepare_tensors`).
fn planned(name: String, shape: Vec<usize>, numbers: Numbers, place: Place) -> Planned {
    let single = shape.len() < 2 || name.ends_with(".bias") || SINGLE.iter().any(|ending| name.ends_with(ending));
    let columns = shape.last().copied().unwrap_or(1);
    let numbers = if single { Numbers::F32 } else { numbers.fitting(columns) };
    Planned { name, format: numbers.format(), shape, source: Source::Folder(place) }
}
