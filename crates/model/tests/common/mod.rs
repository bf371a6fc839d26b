//! The fixtures of `fixtures/`, and what tests do with them: compare logits, decode with a cache, unroll a path to disk.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{collections::HashMap, fs};

use candle_core::safetensors;
use neuro_checkpoint::{Checkpoint, DecoderConfig, LayerConfig, NormKind};
use neuro_model::{Batch, DType, Decoder, Device, Kernels, State, Tensor};
use neuro_path::LayerPath;
use serde_json::Value;

/// A tiny checkpoint with what `transformers` computes on it.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) decoder: Decoder,
    pub(crate) tokens: Vec<u32>,
    pub(crate) golden: Vec<Golden>,
    /// Largest difference of a logit that counts as equal.
    pub(crate) tolerance: f32,
}

/// Logits `(seq, vocab)` of a path.
pub(crate) struct Golden {
    pub(crate) path: LayerPath,
    pub(crate) logits: Tensor,
}

impl Fixture {
    fn open(dir: &Path) -> Self {
        let name = dir.file_name().expect("a fixture is a folder").to_string_lossy().into_owned();
        let checkpoint = Checkpoint::open(dir).unwrap_or_else(|error| panic!("{name}: {error}"));
        let decoder = Decoder::load(&checkpoint, &Device::Cpu).unwrap_or_else(|error| panic!("{name}: {error}"));
        let description = read_json(&dir.join("golden.json"));
        let tensors = safetensors::load(dir.join("golden.safetensors"), &Device::Cpu).expect("goldens can be read");
        let tokens = tensors["tokens"].to_vec1::<i64>().expect("tokens are one i64 row");
        let golden = description["cases"].as_array().expect("golden.json lists cases").iter().map(|case| {
            let text = |key: &str| case[key].as_str().expect("a case has a path and logits");
            let path = LayerPath::parse(text("path"), decoder.config().num_layers()).expect("golden paths are valid");
            Golden { path, logits: tensors[text("logits")].clone() }
        });
        Self {
            dir: dir.to_owned(),
            tokens: tokens.into_iter().map(|token| u32::try_from(token).expect("tokens are small")).collect(),
            golden: golden.collect(),
            tolerance: description["tolerance"].as_f64().expect("golden.json has a tolerance") as f32,
            name,
            checkpoint,
            decoder,
        }
    }

    /// What two ways of our own may differ by, when they add in another order. A delta net divides by the norms of short vectors,
    /// which takes rounding up: 1.9e-4 was seen on random paths with the tensor library's products on AVX2.
    pub(crate) fn rounding(&self) -> f32 {
        let is_recurrent = self.decoder.config().layers.iter().any(|layer| layer.delta_net.is_some());
        if is_recurrent { 10.0 * self.tolerance } else { self.tolerance }
    }

    /// A path of this fixture's depth.
    pub(crate) fn path(&self, text: &str) -> LayerPath {
        LayerPath::parse(text, self.decoder.config().num_layers()).expect("the test's path is valid")
    }

    /// Logits `(seq, vocab)` of the fixture's tokens, in one full forward pass.
    pub(crate) fn logits(&self, path: &LayerPath) -> Tensor {
        self.decoder.logits(&self.tokens, &path.visits()).expect("a fixture can be run")
    }

    /// The same, decoded with a cache, `chunks[n]` tokens at a time.
    pub(crate) fn cached_logits(&self, path: &LayerPath, chunks: &[usize]) -> Tensor {
        let visits = path.visits();
        let mut state = State::new(visits.len());
        let mut past = 0;
        let mut rows = Vec::new();
        for &len in chunks {
            let batch = Batch::next(past, len, self.tokens.len());
            let tokens = &self.tokens[past..past + len];
            let resid = self.decoder.embed_at(tokens, past..past + len).expect("tokens are in the vocabulary");
            let resid = self.decoder.run(resid, &batch, &visits, &mut state.slots, &mut ()).expect("a chunk runs");
            rows.push(self.decoder.unembed(&resid).expect("a chunk has logits"));
            past += len;
        }
        assert_eq!(past, self.tokens.len(), "the chunks must add up");
        Tensor::cat(&rows, 0).expect("rows are of one width")
    }

    /// The path as a model of its own, one layer per visit, each described as its source layer is. Branch scales are
    /// folded into the copy's last projection, or into the norm behind it.
    pub(crate) fn unrolled(&self, path: &LayerPath) -> Decoder {
        let config = self.decoder.config();
        let unrolled = DecoderConfig {
            layers: path
                .layers()
                .into_iter()
                .map(|layer| LayerConfig { repeats: None, ..config.layers[layer].clone() })
                .collect(),
            ..config.clone()
        };
        let mut tensors = HashMap::new();
        for (name, shape) in config.expected_tensors() {
            let values = self.checkpoint.weights.read_f32(&name, &shape).expect("the fixture has its tensors");
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).expect("the shape was checked");
            let Some((layer, part)) = layer_and_part(&name) else {
                tensors.insert(name, tensor);
                continue;
            };
            for (position, visit) in
                path.visits().iter().enumerate().filter(|(_, visit)| config.weights_of(visit.layer) == layer)
            {
                let norms = &config.layers[visit.layer].norms;
                let factor = |scale: neuro_path::Scale| scale.billionths() as f64 / 1e9;
                let is = |name: Option<&str>| name.is_some_and(|name| part.starts_with(&format!("{name}.")));
                // A norm behind a branch forgets how long its input was; it is the one that can be scaled.
                let folded = if is(norms.after_attention) {
                    scaled_norm(&tensor, norms.kind, factor(visit.scales.attn))
                } else if is(norms.after_mlp) {
                    scaled_norm(&tensor, norms.kind, factor(visit.scales.mlp))
                } else if ["self_attn.o_proj.", "linear_attn.out_proj."].iter().any(|name| part.starts_with(name))
                    && norms.after_attention.is_none()
                {
                    &tensor * factor(visit.scales.attn)
                } else if part.contains("down_proj.") && norms.after_mlp.is_none() {
                    &tensor * factor(visit.scales.mlp)
                } else {
                    Ok(tensor.clone())
                };
                tensors.insert(format!("model.layers.{position}.{part}"), folded.expect("a tensor can be scaled"));
            }
        }
        Decoder::from_source(&unrolled, &tensors, &Device::Cpu, Kernels::Fused)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }
}

/// The stored form of a norm whose output is times a factor.
fn scaled_norm(stored: &Tensor, kind: NormKind, factor: f64) -> candle_core::Result<Tensor> {
    match kind {
        NormKind::RmsAroundOne => ((stored + 1.0)? * factor)? - 1.0,
        NormKind::Rms | NormKind::Layer => stored * factor,
    }
}

/// `model.layers.7.mlp.up_proj.weight` → `(7, "mlp.up_proj.weight")`.
fn layer_and_part(name: &str) -> Option<(usize, &str)> {
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    Some((layer.parse().ok()?, part))
}

/// Every fixture, by name; loaded once per test binary.
pub(crate) fn fixtures() -> &'static [Fixture] {
    static FIXTURES: OnceLock<Vec<Fixture>> = OnceLock::new();
    FIXTURES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let entries = fs::read_dir(&folder).expect("the repository has fixtures");
        let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
        dirs.retain(|dir| ["config.json", "golden.json"].iter().all(|file| dir.join(file).is_file()));
        dirs.sort();
        dirs.iter().map(|dir| Fixture::open(dir)).collect()
    })
}

/// The fixture of that name.
pub(crate) fn fixture(name: &str) -> &'static Fixture {
    fixtures().iter().find(|fixture| fixture.name == name).unwrap_or_else(|| panic!("there is no fixture {name}"))
}

fn read_json(file: &Path) -> Value {
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// All values, in row order.
pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    assert_eq!(tensor.dtype(), DType::F32);
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).expect("a tensor can be read")
}

/// Largest absolute difference; infinite where a value is not a number.
pub(crate) fn max_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let differences = values(a).into_iter().zip(values(b)).map(|(a, b)| (a - b).abs());
    differences.map(|difference| if difference.is_nan() { f32::INFINITY } else { difference }).fold(0.0, f32::max)
}

/// Mean absolute difference.
pub(crate) fn mean_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let differences: Vec<f32> = values(a).into_iter().zip(values(b)).map(|(a, b)| (a - b).abs()).collect();
    differences.iter().sum::<f32>() / differences.len() as f32
}

/// Equal to the last bit, which `==` on floats is not.
pub(crate) fn bits_equal(a: &Tensor, b: &Tensor) -> bool {
    let bits = |tensor| values(tensor).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    a.dims() == b.dims() && bits(a) == bits(b)
}

/// Whether both logits `(seq, vocab)` choose the same token at every position, except where the best two of `a` are
/// closer than twice the tolerance.
pub(crate) fn same_greedy_tokens(a: &Tensor, b: &Tensor, tolerance: f32) -> bool {
    let rows = |tensor: &Tensor| tensor.to_vec2::<f32>().expect("logits are rows of f32");
    rows(a).iter().zip(rows(b)).all(|(a, b)| {
        let (first, other) = (best(a), best(&b));
        first == other || a[first] - a[other] <= 2.0 * tolerance
    })
}

/// The index of the largest value.
pub(crate) fn best(row: &[f32]) -> usize {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).expect("a row has values")
}
