//! How fast this build multiplies matrices on this machine, and whether that is what it should be.

use std::time::Duration;

use neuro_model::{Device, MatmulPeak, WeightType, measure_matmul_peak};
use serde_json::{Value, json};

use super::build::Build;
use crate::printer::{BOLD, DIM, GOOD, Printer, WARNING, styled};
use crate::progress::Progress;

/// Rows of the activations: a few questions, a packed batch, a large one.
const ROWS: [usize; 3] = [64, 512, 4096];
/// Time for each measurement.
const BUDGET: Duration = Duration::from_millis(250);
/// A processor that is not asleep runs at least this fast, in 10⁹ cycles per second.
const GIGAHERTZ: f64 = 2.0;
/// Part of what the registers could do that a good matmul reaches even when two threads share a core.
const REACHED: f64 = 0.2;
/// Part of the f32 rate that the quantised kernels must reach; where they are compiled for the processor they are faster.
const QUANTISED: f64 = 0.8;

/// Measures every type at every size.
pub(super) fn measure(device: &Device, printer: &Printer) -> anyhow::Result<Vec<MatmulPeak>> {
    let mut bar = Progress::bar(printer, "matmul peak");
    let all = WeightType::ALL.into_iter().flat_map(|kind| ROWS.map(|rows| (kind, rows)));
    let total = WeightType::ALL.len() * ROWS.len();
    let mut peaks = Vec::with_capacity(total);
    for (kind, rows) in all {
        bar.set(peaks.len() as f64 / total as f64, None, kind.name());
        peaks.push(measure_matmul_peak(kind, rows, BUDGET, device)?);
    }
    Ok(peaks)
}

/// Whether the build is as fast as it should be.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is, or nothing speaks against it.
    Good(&'static str),
    /// It is not, for these reasons.
    Slow(Vec<String>),
}

/// Compares what was measured with what the processor should do.
pub(super) fn verdict(peaks: &[MatmulPeak], build: &Build) -> Verdict {
    let mut problems = Vec::new();
    let unused = build.unused();
    if !unused.is_empty() {
        problems.push(format!(
            "the binary does not use {} of this processor; build it with RUSTFLAGS=\"-C target-cpu=native\", or in the \
             project's folder, whose .cargo/config.toml says so",
            unused.join(", ")
        ));
    }
    if cfg!(debug_assertions) {
        problems.push("this is a debug build; scans are for `cargo build --release`".to_owned());
    }
    let best = |kind: WeightType| {
        let rates = peaks.iter().filter(|peak| peak.kind == kind).map(|peak| peak.gflops);
        rates.fold(None, |best: Option<f64>, rate| Some(best.map_or(rate, |best| best.max(rate))))
    };
    let expected = REACHED * GIGAHERTZ * build.threads() as f64 * operations_per_cycle(build);
    let f32_rate = best(WeightType::F32);
    if let Some(rate) = f32_rate.filter(|rate| *rate < expected) {
        problems.push(format!(
            "f32 reaches {rate:.0} GFLOP/s where at least {expected:.0} is expected of {} threads; is the machine busy \
             with something else?",
            build.threads()
        ));
    }
    for kind in [WeightType::Q8_0, WeightType::Q4K] {
        if let Some((rate, f32_rate)) = best(kind).zip(f32_rate).filter(|(rate, f32_rate)| *rate < QUANTISED * f32_rate)
        {
            problems.push(format!(
                "{} reaches {rate:.0} GFLOP/s, less than f32 with {f32_rate:.0}: its fast kernel is not compiled in",
                kind.name()
            ));
        }
    }
    match (problems.is_empty(), f32_rate) {
        (false, _) => Verdict::Slow(problems),
        (true, Some(_)) => Verdict::Good("the build is as fast as this processor should make it"),
        (true, None) => Verdict::Good("the build fits this processor; the matmul peak was not measured"),
    }
}

impl Verdict {
    pub(super) fn text(&self) -> String {
        let slow = |problem: &String| format!("{} {problem}", styled(WARNING, "Slow:"));
        match self {
            Self::Good(text) => format!("{} {text}", styled(GOOD, "Good:")),
            Self::Slow(problems) => problems.iter().map(slow).collect::<Vec<_>>().join("\n"),
        }
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Good(_) => json!({ "good": true, "problems": [] }),
            Self::Slow(problems) => json!({ "good": false, "problems": problems }),
        }
    }
}

pub(super) fn text(peaks: &[MatmulPeak]) -> String {
    let mut text = format!("\n{}", styled(BOLD, "Matmul peak in GFLOP/s"));
    let header: String = ROWS.iter().map(|rows| format!("{:>12}", format!("{rows} rows"))).collect();
    text.push_str(&format!("{}\n", styled(DIM, header)));
    for kind in WeightType::ALL {
        let of_kind: Vec<_> = peaks.iter().filter(|peak| peak.kind == kind).collect();
        let Some((input, output)) = of_kind.first().map(|peak| peak.shape) else { continue };
        let rates: String = of_kind.iter().map(|peak| format!("{:>12.0}", peak.gflops)).collect();
        text.push_str(&format!("  {:<20}{rates}\n", format!("{:<5} {input} × {output}", kind.name())));
    }
    text
}

pub(super) fn json(peaks: &[MatmulPeak]) -> Value {
    let row = |peak: &MatmulPeak| {
        let (input, output) = peak.shape;
        json!({ "type": peak.kind.name(), "rows": peak.rows, "weights": [input, output], "gflops": peak.gflops })
    };
    peaks.iter().map(row).collect()
}

/// f32 operations that one core can finish in a cycle with the instructions that the binary may use, two vector units
/// assumed.
fn operations_per_cycle(build: &Build) -> f64 {
    if build.has("avx512f") {
        64.0
    } else if build.has("avx2") && build.has("fma") {
        32.0
    } else if build.has("neon") {
        16.0
    } else {
        8.0
    }
}
