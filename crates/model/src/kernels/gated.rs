//! The activation between the projections of an MLP, gated or not.

use neuro_checkpoint::Activation;

use super::lanes::{LANES, Lanes};
use super::rows::for_rows;

/// `act(gate) · up` (arXiv 2002.05202) of rows in which both lie behind one another.
///
/// `joined` is `(rows, 2·width)`, gates first; `out` is `(rows, width)`.
pub(crate) fn gated_joined(joined: &[f32], width: usize, activation: Activation, out: &mut [f32]) {
    for_rows(out, width, |first, out| {
        for (row, out) in joined[first * 2 * width..].chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (gate, up) = row.split_at(width);
            out.copy_from_slice(gate);
            apply(activation, out, up);
        }
    });
}

/// `act(x)` in place.
pub(crate) fn activate(values: &mut [f32], activation: Activation) {
    for_rows(values, 1, |_, values| activate_here(values, activation));
}

/// `act(x)` in place, without threads.
pub(crate) fn activate_here(values: &mut [f32], activation: Activation) {
    for values in values.chunks_mut(ONES.len()) {
        let ones = &ONES[..values.len()];
        apply(activation, values, ones);
    }
}

/// `act(gate) · up` in the place of the gates, both `(rows, width)`.
pub(crate) fn gated(gate: &mut [f32], up: &[f32], activation: Activation) {
    for_rows(gate, 1, |first, gate| apply(activation, gate, &up[first..first + gate.len()]));
}

/// `sigmoid(gate) · x` in the place of the gates.
pub(crate) fn sigmoid_times(gate: &mut [f32], x: &[f32]) {
    let (zero, one) = (Lanes::splat(0.0), Lanes::splat(1.0));
    for_rows(gate, 1, |first, gate| {
        let x = &x[first..first + gate.len()];
        each(gate, x, |gate| one.div(zero.sub(gate).exp().add(one)));
    });
}

/// What a gate is multiplied with where there is nothing to gate.
const ONES: [f32; 256] = [1.0; 256];

/// `act(gate) · up` in place of the gates.
pub(crate) fn apply(activation: Activation, gate: &mut [f32], up: &[f32]) {
    match activation {
        Activation::ClampedSwiglu { alpha, limit } => {
            let (minus, limit) = (Lanes::splat(-limit), Lanes::splat(limit));
            let zero = Lanes::splat(0.0);
            let one = Lanes::splat(1.0);
            // The smaller of two is minus the larger of both negated.
            let at_most = |x: Lanes| zero.sub(zero.sub(x).max(zero.sub(limit)));
            for (gate, up) in gate.chunks_mut(LANES).zip(up.chunks(LANES)) {
                let x = at_most(Lanes::load_part(gate));
                let up = at_most(Lanes::load_part(up)).max(minus).add(one);
                let swish = x.div(x.mul(Lanes::splat(-alpha)).exp().add(one));
                swish.mul(up).store_part(gate);
            }
        }
        Activation::Silu => each(gate, up, silu),
        Activation::GeluTanh => each(gate, up, gelu_tanh),
        Activation::Relu => each(gate, up, |x| x.max(Lanes::splat(0.0))),
        Activation::Gelu => {
            for (gate, up) in gate.iter_mut().zip(up) {
                // x Φ(x), arXiv 1606.08415
                *gate *= 0.5 * (1.0 + candle_core::cpu::erf::erf_f32(*gate * std::f32::consts::FRAC_1_SQRT_2)) * up;
            }
        }
    }
}

#[inline(always)]
fn each(gate: &mut [f32], up: &[f32], activation: impl Fn(Lanes) -> Lanes) {
    for (gate, up) in gate.chunks_mut(LANES).zip(up.chunks(LANES)) {
        activation(Lanes::load_part(gate)).mul(Lanes::load_part(up)).store_part(gate);
    }
}

/// `x · sigmoid(x)`.
#[inline(always)]
fn silu(x: Lanes) -> Lanes {
    let one = Lanes::splat(1.0);
    x.div(Lanes::splat(0.0).sub(x).exp().add(one))
}

/// `x/2 · (1 + tanh u)` with `u = √(2/π) (x + 0.044715 x³)` (arXiv 1606.08415), which is `x · sigmoid(2 u)`.
#[inline(always)]
fn gelu_tanh(x: Lanes) -> Lanes {
    const MINUS_TWICE_ROOT: f32 = -1.595_769_2;
    let u = x.mul(x).fma(Lanes::splat(0.044_715), Lanes::splat(1.0)).mul(x);
    x.div(u.mul(Lanes::splat(MINUS_TWICE_ROOT)).exp().add(Lanes::splat(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_and_shifts() {
        let (alpha, limit) = (1.702, 7.0);
        let gates: Vec<f32> = (-2000..2000).map(|i| i as f32 / 100.0).collect();
        for up in [-30.0, -7.0, -0.5, 0.0, 3.0, 7.0, 30.0] {
            let mut out = gates.clone();
            apply(Activation::ClampedSwiglu { alpha, limit }, &mut out, &vec![up; gates.len()]);
            for (gate, out) in gates.iter().zip(out) {
                let gate = f64::from(gate.min(limit));
                let exact =
                    gate / (1.0 + (-f64::from(alpha) * gate).exp()) * (f64::from(up.clamp(-limit, limit)) + 1.0);
                assert!((f64::from(out) - exact).abs() <= 2e-6 * exact.abs() + 1e-6, "{gate} {up}: {out} {exact}");
            }
        }
    }

    #[test]
    fn activates_alone() {
        for activation in ALL {
            for count in [1, 255, 256, 1000, 100_000] {
                let x: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1013) as f32 / 100.0 - 5.0).collect();
                let (mut alone, mut gated) = (x.clone(), x.clone());
                activate(&mut alone, activation);
                apply(activation, &mut gated, &vec![1.0; count]);
                assert_eq!(alone, gated, "{activation:?} {count}");
            }
        }
    }

    const ALL: [Activation; 4] = [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu];

    fn exact(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Gelu => 0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(x / 2f64.sqrt())),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
            }
            Activation::Relu => x.max(0.0),
            Activation::ClampedSwiglu { .. } => unreachable!("tested by itself"),
        }
    }

    #[test]
    fn agrees_with_the_formula() {
        let gates: Vec<f32> = (-40_000..40_000).map(|i| i as f32 / 1000.0).collect();
        for activation in ALL {
            let mut out = gates.clone();
            apply(activation, &mut out, &vec![2.0; gates.len()]);
            for (x, out) in gates.iter().zip(out) {
                let exact = 2.0 * exact(activation, f64::from(*x));
                // The tails of the gelus are differences of numbers near one.
                let close = (f64::from(out) - exact).abs() <= 2e-6 * exact.abs() + 1e-6;
                assert!(close, "{activation:?}({x}): {out} {exact}");
            }
        }
    }

    #[test]
    fn ends() {
        for activation in ALL {
            let mut out = [-1e30, -200.0, 0.0, 200.0, 1e30, f32::INFINITY, f32::NAN];
            apply(activation, &mut out, &[1.0; 7]);
            assert_eq!(out[..2].iter().map(|x| x.abs()).collect::<Vec<_>>(), [0.0; 2], "{activation:?}");
            assert_eq!(out[2..6], [0.0, 200.0, 1e30, f32::INFINITY], "{activation:?}");
        }
    }

    #[test]
    fn joined_rows_are_separate_ones() {
        for (rows, width) in [(1, 5), (3, 100), (70, 1000)] {
            let joined: Vec<f32> = (0..rows * 2 * width).map(|i| ((i * 7919) % 1013) as f32 / 100.0 - 5.0).collect();
            let part = |part: usize| -> Vec<f32> {
                joined.chunks(2 * width).flat_map(|row| row[part * width..(part + 1) * width].to_vec()).collect()
            };
            for activation in ALL {
                let (mut gate, mut out) = (part(0), vec![0.0; rows * width]);
                apply(activation, &mut gate, &part(1));
                gated_joined(&joined, width, activation, &mut out);
                assert_eq!(gate, out);
            }
        }
    }
}
