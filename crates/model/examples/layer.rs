//! What one decoder layer of the shape of Qwen2.5-0.5B costs, part by part, beside the matmul peak of the same run:
//! `cargo run --release -p neuro-model --example layer`.

#![allow(dead_code, unreachable_pub, reason = "the room's own files are built in: their parts are private")]
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and its failure is a panic")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use neuro_checkpoint::{Activation, MlpConfig, NormKind};
use rayon::prelude::*;

#[path = "../src/error.rs"]
mod error;
#[path = "../src/kernels/mod.rs"]
mod kernels;
#[path = "../src/linear.rs"]
mod linear;
#[path = "../src/mlp.rs"]
mod mlp;
#[path = "../src/norm.rs"]
mod norm;
#[path = "../src/source.rs"]
mod source;

use error::ModelError;
use kernels::attention::{Dims, Span, attend};
use kernels::lanes::{LANES, Lanes};
use kernels::rope::{Angles, rotate};
use kernels::values::Values;
use linear::{Input, Linear};
use mlp::Mlp;
use norm::Norm;
use source::{Kernels, ParameterSource, WeightType};

type Result<T> = std::result::Result<T, ModelError>;

const HIDDEN: usize = 896;
const INTERMEDIATE: usize = 4864;
const DIMS: Dims<'static> =
    Dims { heads: 14, kv_heads: 2, head_dim: 64, window: None, scale: 0.125, softcap: None, sinks: None };
const KV: usize = DIMS.kv_heads * DIMS.head_dim;
const PROMPT: usize = 110;

/// Parameters that are random, of the type that is asked for.
struct Random(WeightType);

impl ParameterSource for Random {
    fn weight_type(&self) -> WeightType {
        self.0
    }

    fn parameter(&self, _name: &str, shape: &[usize]) -> Result<Tensor> {
        Ok(Tensor::randn(0f32, 0.03, shape, &Device::Cpu)?)
    }
}

struct Layer {
    norms: [Norm; 2],
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    mlp: Mlp,
}

impl Layer {
    fn random(kind: WeightType) -> Result<Self> {
        let source = Random(kind);
        let norm = || Norm::load(&source, "norm", HIDDEN, (NormKind::Rms, 1e-6), Kernels::Fused);
        let linear = |shape, bias| Linear::load(&source, "linear", shape, bias);
        let mlp = MlpConfig::new(INTERMEDIATE, Activation::Silu);
        Ok(Self {
            norms: [norm()?, norm()?],
            q_proj: linear((HIDDEN, HIDDEN), true)?,
            k_proj: linear((HIDDEN, KV), true)?,
            v_proj: linear((HIDDEN, KV), true)?,
            o_proj: linear((HIDDEN, HIDDEN), false)?,
            mlp: Mlp::load(&source, "mlp", (HIDDEN, INTERMEDIATE), &mlp, Kernels::Fused)?,
        })
    }

    /// One pass over `(rows, hidden)`; tells `clock` the name of each part when it ends.
    fn forward(&self, x: &Tensor, clock: &mut dyn FnMut(&'static str)) -> Result<Tensor> {
        let (rows, _hidden) = x.dims2()?;
        let normed = Input::normed(Some(&self.norms[0]), x);
        let [q, k, v] = Linear::apply_all([&self.q_proj, &self.k_proj, &self.v_proj], &normed)?;
        clock("q k v o");
        let half = DIMS.head_dim / 2;
        let angles: Vec<f32> =
            (0..rows).flat_map(|row| (0..half).map(move |i| ((row % PROMPT * half + i) as f32).sin())).collect();
        let angles = Angles { cos: &angles, sin: &angles, rotary_dim: DIMS.head_dim, interleaved: false };
        let rotated = |x: &Tensor, width: usize| {
            let mut x = Values::of(x).unwrap().get().to_vec();
            rotate(&mut x, width, DIMS.head_dim, angles);
            x
        };
        clock("angles");
        let (q, k) = (rotated(&q, HIDDEN), rotated(&k, KV));
        let v = Values::of(&v).unwrap().get().to_vec();
        clock("rope");
        let spans = (0..rows).step_by(PROMPT).map(|start| {
            let own = start..rows.min(start + PROMPT);
            Span { queries: own.clone(), keys: &k, values: &v, past: &[], own }
        });
        let mut attended = vec![0.0; rows * HIDDEN];
        attend(&q, &spans.collect::<Vec<_>>(), &DIMS, &mut attended);
        let attended = Tensor::from_vec(attended, (rows, HIDDEN), x.device())?;
        clock("attention");
        let resid_mid = self.o_proj.apply_onto(&Input::new(&attended), x)?;
        clock("q k v o");
        let resid = self.mlp.forward_onto(&Input::normed(Some(&self.norms[1]), &resid_mid), &resid_mid)?;
        clock("MLP");
        Ok(resid)
    }
}

/// Best time of each part and of the whole, in seconds.
fn measure(layer: &Layer, rows: usize) -> (HashMap<&'static str, f64>, f64) {
    let x = Tensor::randn(0f32, 1., (rows, HIDDEN), &Device::Cpu).unwrap();
    let (mut best, mut whole): (HashMap<_, f64>, _) = (HashMap::new(), f64::INFINITY);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        let (start, mut parts) = (Instant::now(), HashMap::new());
        let mut last = start;
        let mut clock = |part| {
            let now = Instant::now();
            *parts.entry(part).or_insert(0.0) += (now - last).as_secs_f64();
            last = now;
        };
        layer.forward(&x, &mut clock).unwrap();
        whole = f64::min(whole, start.elapsed().as_secs_f64());
        for (part, time) in parts {
            let best = best.entry(part).or_insert(f64::INFINITY);
            *best = best.min(time);
        }
    }
    (best, whole)
}

/// Operations of a part that cannot be avoided; a multiply-add counts as two.
fn operations(part: &str, rows: usize) -> f64 {
    let pairs: usize = (0..rows).map(|row| row % PROMPT + 1).sum();
    2.0 * match part {
        "q k v o" => (rows * HIDDEN * (2 * HIDDEN + 2 * KV)) as f64,
        "attention" => (pairs * 2 * HIDDEN) as f64,
        "MLP" => (rows * 3 * HIDDEN * INTERMEDIATE) as f64,
        _ => 0.0,
    }
}

/// Bytes per second that all threads read of memory that no cache holds.
fn read_rate() -> f64 {
    let values = vec![1f32; 1 << 27];
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let sums = values.par_chunks(1 << 20).map(|chunk| {
            let mut sums = [Lanes::splat(0.0); 8];
            for block in chunk.as_chunks::<{ 8 * LANES }>().0 {
                for (sum, line) in sums.iter_mut().zip(block.as_chunks::<LANES>().0) {
                    *sum = sum.add(Lanes::load(line));
                }
            }
            sums.map(Lanes::sum).iter().sum::<f32>()
        });
        assert_eq!(sums.sum::<f32>(), values.len() as f32);
        best = f64::min(best, start.elapsed().as_secs_f64());
    }
    size_of_val(values.as_slice()) as f64 / best
}

/// One row through 24 layers of their own weights, as decoding does it: seconds.
fn decode(kind: WeightType) -> f64 {
    let layers: Vec<_> = (0..24).map(|_| Layer::random(kind).unwrap()).collect();
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let mut x = Tensor::randn(0f32, 1., (1, HIDDEN), &Device::Cpu).unwrap();
        let start = Instant::now();
        for layer in &layers {
            x = layer.forward(&x, &mut |_| ()).unwrap();
        }
        best = f64::min(best, start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let read = read_rate();
    println!("memory: {:.1} GB/s", read / 1e9);
    for (kind, bytes) in [(WeightType::F32, 4.0), (WeightType::Q8_0, 34.0 / 32.0)] {
        let weights = (24 * HIDDEN * (2 * HIDDEN + 2 * KV + 3 * INTERMEDIATE)) as f64;
        let (time, needed) = (decode(kind), weights * bytes);
        let (rate, least) = (needed / time / 1e9, needed / read * 1e3);
        println!(
            "{} decode, 24 layers: {:.2} ms, {rate:.1} GB/s; reading takes {least:.2} ms",
            kind.name(),
            time * 1e3
        );
    }
    for (kind, input) in [(WeightType::F32, HIDDEN), (WeightType::Q8_0, 1024)] {
        let layer = Layer::random(kind).unwrap();
        let weight = Tensor::randn(0f32, 1., (INTERMEDIATE, input), &Device::Cpu).unwrap();
        let wide = Linear::from_weight(weight, kind).unwrap();
        let mut peak = 0.0;
        print!("{} product {input} x {INTERMEDIATE}, GFLOP/s:", kind.name());
        for rows in [1, 16, 64, 128, 256, 512, 1024, 2048, 4096] {
            let x = Tensor::randn(0f32, 1., (rows, input), &Device::Cpu).unwrap();
            let (begin, mut best) = (Instant::now(), f64::INFINITY);
            while begin.elapsed() < Duration::from_millis(700) {
                let start = Instant::now();
                wide.forward(&x).unwrap();
                best = f64::min(best, start.elapsed().as_secs_f64());
            }
            let rate = 2.0 * (rows * input * INTERMEDIATE) as f64 / best / 1e9;
            peak = f64::max(peak, rate);
            print!(" {rows}: {rate:.0}");
        }
        println!();
        for rows in [1, 16, 512, 1024, 1760] {
            let (parts, whole) = measure(&layer, rows);
            let necessary: f64 = parts.keys().map(|part| operations(part, rows)).sum();
            let rate = necessary / whole / 1e9;
            print!(
                "{} layer, {rows} rows: {:.2} ms, {rate:.0} GFLOP/s, {:.2} of the peak;",
                kind.name(),
                whole * 1e3,
                rate / peak
            );
            for part in ["q k v o", "rope", "attention", "MLP"] {
                let time = parts[part];
                print!(" {part} {:.2} ms {:.0} GFLOP/s,", time * 1e3, operations(part, rows) / time / 1e9);
            }
            println!();
        }
    }
}
