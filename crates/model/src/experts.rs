use candle_core::{D, Tensor};
use neuro_checkpoint::{ExpertsConfig, MlpConfig, RouterScores};

use crate::Result;
use crate::kernels::norm::add;
use crate::kernels::router;
use crate::kernels::values::Values;
use crate::linear::Input;
use crate::mlp::Mlp;
use crate::source::{Kernels, ParameterSource};

/// A mixture of experts: every row goes through some of several MLPs, which a router chooses, and perhaps one that all rows
/// take. Experts see their rows together; what a row gets is summed in the order of the experts, so it does not depend on
/// what else is computed.
#[derive(Debug)]
pub(crate) struct Experts {
    /// The router: `(count, hidden)`, f32 whatever the projections are held as.
    gate: Tensor,
    /// `(count)`
    gate_bias: Option<Tensor>,
    /// `(count)`
    correction: Option<Tensor>,
    experts: Vec<Mlp>,
    shared: Option<Shared>,
    config: ExpertsConfig,
    kernels: Kernels,
}

/// The MLP that every row takes.
#[derive(Debug)]
struct Shared {
    mlp: Mlp,
    /// `(1, hidden)`
    gate: Option<Tensor>,
}

impl Experts {
    pub(crate) fn load(
        source: &dyn ParameterSource,
        name: &str,
        hidden: usize,
        (mlp, config): (&MlpConfig, &ExpertsConfig),
        kernels: Kernels,
    ) -> Result<Self> {
        let of_experts = |has: bool, part: &str| {
            has.then(|| source.parameter(&format!("{name}.gate.{part}"), &[config.count])).transpose()
        };
        let expert = |expert: usize| {
            let name = format!("{name}.experts.{expert}");
            Mlp::load(source, &name, (hidden, mlp.intermediate_size), mlp, kernels)
        };
        let shared = config.shared.map(|shared| {
            let gate = || source.parameter(&format!("{name}.shared_expert_gate.weight"), &[1, hidden]);
            let sizes = (hidden, shared.intermediate_size);
            let mlp = Mlp::load(source, &format!("{name}.{}", shared.name), sizes, mlp, kernels)?;
            Ok::<_, crate::ModelError>(Shared { mlp, gate: shared.gated.then(gate).transpose()? })
        });
        Ok(Self {
            gate: source.parameter(&format!("{name}.gate.weight"), &[config.count, hidden])?,
            gate_bias: of_experts(config.router_bias, "bias")?,
            correction: of_experts(config.correction_bias, "e_score_correction_bias")?,
            experts: (0..config.count).map(expert).collect::<Result<_>>()?,
            shared: shared.transpose()?,
            config: config.clone(),
            kernels,
        })
    }

    /// `(rows, hidden)` → `(rows, hidden)`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.kernels == Kernels::Fused
            && let (Some(values), Some(gate)) = (Values::of(x), Values::of(&self.gate))
        {
            return self.gathered(x, values.get(), gate.get());
        }
        self.composed(x)
    }

    /// Each expert over the rows that chose it.
    fn gathered(&self, x: &Tensor, values: &[f32], gate: &[f32]) -> Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        let count = self.config.count;
        let mut logits = vec![0.0; rows * count];
        router::products(values, gate, hidden, &mut logits);
        let bias = self.gate_bias.as_ref().and_then(Values::of);
        let correction = self.correction.as_ref().and_then(Values::of);
        let mut takers: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
        for (row, logits) in logits.chunks_exact_mut(count).enumerate() {
            if let Some(bias) = &bias {
                add(logits, bias.get());
            }
            for (expert, weight) in router::choose(logits, correction.as_ref().map(Values::get), &self.config) {
                takers[expert].push((row, weight));
            }
        }
        let mut out = vec![0.0; rows * hidden];
        for (expert, takers) in self.experts.iter().zip(&takers).filter(|(_, takers)| !takers.is_empty()) {
            let row = |&(row, _): &(usize, f32)| &values[row * hidden..(row + 1) * hidden];
            let taken: Vec<f32> = takers.iter().flat_map(row).copied().collect();
            let taken = Tensor::from_vec(taken, (takers.len(), hidden), x.device())?;
            let given = expert.forward(&Input::new(&taken))?.contiguous()?;
            let Some(given) = Values::of(&given) else { return self.composed(x) };
            for (&(row, weight), given) in takers.iter().zip(given.get().chunks_exact(hidden)) {
                for (out, given) in out[row * hidden..(row + 1) * hidden].iter_mut().zip(given) {
                    *out += weight * given;
                }
            }
        }
        if let Some(shared) = &self.shared {
            let given = shared.mlp.forward(&Input::new(x))?.contiguous()?;
            let mut gates = vec![1.0; rows];
            if let Some(gate) = shared.gate.as_ref().and_then(Values::of) {
                router::products(values, gate.get(), hidden, &mut gates);
                gates.iter_mut().for_each(|gate| *gate = 1.0 / (1.0 + (-*gate).exp()));
            }
            let Some(given) = Values::of(&given) else { return self.composed(x) };
            let rows = out.chunks_exact_mut(hidden).zip(given.get().chunks_exact(hidden));
            for ((out, given), gate) in rows.zip(gates) {
                out.iter_mut().zip(given).for_each(|(out, given)| *out += gate * given);
            }
        }
        Ok(Tensor::from_vec(out, (rows, hidden), x.device())?)
    }

    /// The same of elementary operations: every expert that some row chose over all rows, times a weight that may be 0.
    /// Gradients flow through the weights; which experts are chosen has none.
    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, _hidden) = x.dims2()?;
        let logits = x.matmul(&self.gate.t()?)?;
        let logits = self.gate_bias.as_ref().map_or(Ok(logits.clone()), |bias| logits.broadcast_add(bias))?;
        let correction = self.correction.as_ref().map(|tensor| tensor.to_vec1::<f32>()).transpose()?;
        let mut chosen = vec![0f32; rows * self.config.count];
        for (logits, chosen) in logits.to_vec2::<f32>()?.iter().zip(chosen.chunks_exact_mut(self.config.count)) {
            for (expert, _) in router::choose(logits, correction.as_deref(), &self.config) {
                chosen[expert] = 1.0;
            }
        }
        let used = |expert: usize| chosen.iter().skip(expert).step_by(self.config.count).any(|is| *is > 0.0);
        let used: Vec<usize> = (0..self.config.count).filter(|&expert| used(expert)).collect();
        let chosen = Tensor::from_vec(chosen, (rows, self.config.count), x.device())?;
        let weights = match self.config.scores {
            RouterScores::Softmax => (candle_nn::ops::softmax(&logits, D::Minus1)? * chosen)?,
            RouterScores::Sigmoid => (candle_nn::ops::sigmoid(&logits)? * chosen)?,
            // What is not chosen is so small that the softmax does not see it.
            RouterScores::SoftmaxOfChosen => {
                candle_nn::ops::softmax(&(logits + ((chosen - 1.0)? * 1e30)?)?, D::Minus1)?
            }
        };
        let weights = match self.config.normalised {
            true => weights.broadcast_div(&weights.sum_keepdim(1)?)?,
            false => weights,
        };
        let weights = (weights * self.config.scale)?;
        let mut out = x.zeros_like()?;
        for expert in used {
            let given = self.experts[expert].forward(&Input::new(x))?.broadcast_mul(&weights.narrow(1, expert, 1)?)?;
            out = (out + given)?;
        }
        let Some(shared) = &self.shared else { return Ok(out) };
        let given = shared.mlp.forward(&Input::new(x))?;
        let given = match &shared.gate {
            Some(gate) => given.broadcast_mul(&candle_nn::ops::sigmoid(&x.matmul(&gate.t()?)?)?)?,
            None => given,
        };
        Ok((out + given)?)
    }

    pub(crate) fn bytes(&self) -> usize {
        let shared = self.shared.as_ref();
        let tensors = [
            Some(&self.gate),
            self.gate_bias.as_ref(),
            self.correction.as_ref(),
            shared.and_then(|shared| shared.gate.as_ref()),
        ];
        let floats: usize = tensors.into_iter().flatten().map(Tensor::elem_count).sum();
        let mlps = self.experts.iter().chain(shared.map(|shared| &shared.mlp));
        floats * size_of::<f32>() + mlps.map(Mlp::bytes).sum::<usize>()
    }
}
