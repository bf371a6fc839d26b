//! Our side of the benchmark: reads one request (JSON) from stdin, measures it, prints one answer (JSON).
//!
//! `bench/run.py` asks it; see `bench/README.md`. Everything that every side must agree on, the tokens above all, is in
//! the request. Time is wall time from the first prompt token to the last answer; loading is not part of it.

mod count;
mod decode;
mod engine;
mod plain;
mod screen;

use std::error::Error;
use std::io::{Read, Write, stdin, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use neuro_checkpoint::Checkpoint;
use neuro_model::{Device, WeightType, measure_matmul_peak};
use neuro_path::{Block, LayerPath, triangle};
use serde::{Deserialize, Serialize};

use crate::count::{Asked, Work};

/// Rows at which the matmul peak is looked for.
const PEAK_ROWS: [usize; 7] = [64, 128, 256, 512, 1024, 2048, 4096];
const PEAK_BUDGET: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    checkpoint: PathBuf,
    /// Draw the weights from this seed; the checkpoint is then a `config.json` alone.
    random_weights: Option<u64>,
    /// What weights are computed in: `f32`, `q8_0` or `q4_k`.
    compute: String,
    scoring: Scoring,
    way: Way,
    /// Blocks `[i, j]`; the whole triangle when missing.
    blocks: Option<Vec<[usize; 2]>>,
    questions: Vec<Question>,
    /// Tokens of every generated answer.
    new_tokens: usize,
    /// Tokens that end an answer.
    #[serde(default)]
    eos: Vec<u32>,
    /// Whether answers are drafted from those of other paths.
    #[serde(default = "yes")]
    drafts: bool,
    /// Screen by log-probability within this part of all layer-tokens, or what so few questions need at least.
    screen: Option<f64>,
    /// Whether the matmul peak is measured, before and after.
    #[serde(default)]
    peaks: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct Question {
    prompt: Vec<u32>,
    continuation: Vec<u32>,
}

impl Question {
    /// What is read where the continuation is scored: its last token is predicted, never read.
    fn reads(&self) -> Vec<u32> {
        [&self.prompt, &self.continuation[..self.continuation.len().saturating_sub(1)]].concat()
    }
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Scoring {
    Generation,
    Likelihood,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Way {
    Engine,
    Plain,
    /// One question, token by token, timed for each token.
    Decode,
}

/// What a path gave for every question: tokens, or nats of the continuation.
#[derive(Serialize)]
#[serde(untagged)]
enum Given {
    Tokens(Vec<Vec<u32>>),
    Nats(Vec<Vec<f64>>),
}

#[derive(Serialize)]
struct Measured {
    paths: usize,
    mean_visits: f64,
    threads: usize,
    load_seconds: f64,
    seconds: f64,
    seconds_per_path: f64,
    /// What the engine ran; none for the plain way.
    ran: Option<Ran>,
    /// What decoding took; only where that was asked for.
    decoding: Option<Vec<decode::Decoding>>,
    /// What a screening took; only where that was asked for.
    screened: Option<screen::Screened>,
    work: Work,
    /// Rate of the same type's matmul, best first; only where that was asked for.
    peaks: Vec<Peak>,
    /// Necessary operations ÷ (time × best peak).
    efficiency: Option<f64>,
    results: Vec<PathResult>,
}

#[derive(Serialize)]
struct Ran {
    sweeps: u64,
    layer_tokens: u64,
    drafted: u64,
    accepted: u64,
    near_ties: u64,
    /// Walks over its path that an answer took on average; none where nothing is answered.
    sweeps_per_answer: Option<f64>,
}

#[derive(Serialize)]
struct Peak {
    rows: usize,
    gflops: f64,
}

#[derive(Serialize)]
struct PathResult {
    block: [usize; 2],
    given: Given,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let measured = measure(&serde_json::from_str(&text)?)?;
    writeln!(stdout(), "{}", serde_json::to_string(&measured)?)?;
    Ok(())
}

fn measure(request: &Request) -> Result<Measured, Box<dyn Error>> {
    let weight_type = WeightType::parse(&request.compute).ok_or("compute: expected f32, q8_0 or q4_k")?;
    let checkpoint = match request.random_weights {
        Some(seed) => Checkpoint::open_random(&request.checkpoint, seed)?,
        None => Checkpoint::open(&request.checkpoint)?,
    };
    let checkpoint = Arc::new(checkpoint);
    let depth = checkpoint.config.num_layers();
    let blocks: Vec<Block> = match &request.blocks {
        None => triangle(depth).collect(),
        Some(blocks) => blocks.iter().map(|&[i, j]| Block::new(i, j, depth)).collect::<Result<_, _>>()?,
    };
    let paths: Vec<LayerPath> = blocks.iter().map(|block| block.path(depth)).collect::<Result<_, _>>()?;

    let start = Instant::now();
    let decoder = Arc::new(engine::load(&checkpoint, weight_type)?);
    let load_seconds = start.elapsed().as_secs_f64();
    let mut peaks = if request.peaks { measure_peaks(weight_type)? } else { Vec::new() };
    let start = Instant::now();
    let (mut stats, mut decoding, mut screened) = (None, None, None);
    let given = match request.way {
        Way::Engine => {
            let (given, ran, sweeps) = match request.screen {
                Some(budget) => {
                    let (given, ran, took) = screen::run(&decoder, &paths, request, budget)?;
                    screened = Some(took);
                    (given, ran, None)
                }
                None => engine::run(&decoder, &paths, request)?,
            };
            stats = Some((ran, sweeps));
            given
        }
        Way::Plain => plain::run(&decoder, &paths, request)?,
        Way::Decode => {
            let (given, decodings) = decode::run(&decoder, &paths, request)?;
            decoding = Some(decodings);
            given
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    // Before and after: a machine that others use does not always run at the same speed.
    if request.peaks {
        for (peak, after) in peaks.iter_mut().zip(measure_peaks(weight_type)?) {
            peak.gflops = peak.gflops.max(after.gflops);
        }
    }
    peaks.sort_by(|a, b| b.gflops.total_cmp(&a.gflops));

    let asked: Vec<Vec<Asked>> = given.iter().map(|given| asked_of(request, given)).collect();
    let work = count::necessary(decoder.config(), &paths, &asked);
    Ok(Measured {
        paths: paths.len(),
        mean_visits: paths.iter().map(|path| path.len() as f64).sum::<f64>() / paths.len() as f64,
        threads: std::thread::available_parallelism()?.get(),
        load_seconds,
        seconds,
        ran: stats.map(|(stats, sweeps_per_answer)| Ran {
            sweeps: stats.sweeps,
            layer_tokens: stats.layer_tokens,
            drafted: stats.drafted,
            accepted: stats.accepted,
            near_ties: stats.near_ties,
            sweeps_per_answer,
        }),
        decoding,
        screened,
        seconds_per_path: seconds / paths.len() as f64,
        efficiency: peaks.first().map(|peak| work.operations() / (seconds * peak.gflops * 1e9)),
        work,
        peaks,
        results: blocks
            .iter()
            .zip(given)
            .map(|(block, given)| PathResult { block: [block.start, block.end], given })
            .collect(),
    })
}

/// What had to be read and asked for, question by question, to give this.
fn asked_of(request: &Request, given: &Given) -> Vec<Asked> {
    // A screened path has not seen every question.
    let seen = match given {
        Given::Tokens(answers) => answers.len(),
        Given::Nats(questions) => questions.len(),
    };
    let asked = |(index, question): (usize, &Question)| {
        let behind = match given {
            Given::Tokens(answers) => &answers[index],
            Given::Nats(_) => &question.continuation,
        };
        // The last token of an answer is predicted, never read.
        let read = behind.len().saturating_sub(1);
        Asked { tokens: [&question.prompt, &behind[..read]].concat(), from: question.prompt.len() - 1 }
    };
    request.questions.iter().take(seen).enumerate().map(asked).collect()
}

fn measure_peaks(weight_type: WeightType) -> Result<Vec<Peak>, Box<dyn Error>> {
    PEAK_ROWS
        .iter()
        .map(|&rows| {
            let peak = measure_matmul_peak(weight_type, rows, PEAK_BUDGET, &Device::Cpu)?;
            Ok(Peak { rows, gflops: peak.gflops })
        })
        .collect()
}
