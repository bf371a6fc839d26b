//! A mixture of experts, described by data.

use super::layer::MlpConfig;

/// Several MLPs of which each row takes some, chosen by a router: `mlp.gate`, `(count, hidden)`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpertsConfig {
    /// Experts.
    pub count: usize,
    /// Experts of each row.
    pub per_token: usize,
    /// What the router's outputs are turned into.
    pub scores: RouterScores,
    /// Whether the router has a bias.
    pub router_bias: bool,
    /// Whether a learned number per expert (`mlp.gate.e_score_correction_bias`) is added for choosing, not for weighing.
    pub correction_bias: bool,
    /// Whether the chosen weights are divided by their sum.
    pub normalised: bool,
    /// Multiplies the chosen weights.
    pub scale: f64,
    /// Experts are first chosen by group; `None` where there is one group.
    pub groups: Option<RouterGroups>,
    /// An MLP that every row takes.
    pub shared: Option<SharedExpertConfig>,
}

/// What the router's outputs are turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RouterScores {
    /// A softmax over all experts.
    Softmax,
    /// A softmax over the chosen experts.
    SoftmaxOfChosen,
    /// A sigmoid of each.
    Sigmoid,
}

/// Groups of adjacent experts; only those of the best groups can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterGroups {
    /// Groups; divides the number of experts.
    pub count: usize,
    /// Groups that are kept.
    pub kept: usize,
    /// How many of a group's best experts are summed to its score.
    pub summed: usize,
}

/// An MLP that every row takes beside its experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedExpertConfig {
    /// The checkpoint's name of it within `mlp`.
    pub name: &'static str,
    /// Rows of its `gate_proj` and `up_proj`.
    pub intermediate_size: usize,
    /// Whether its output is multiplied by the sigmoid of `mlp.shared_expert_gate`, `(1, hidden)`.
    pub gated: bool,
}

impl ExpertsConfig {
    /// Experts without a bias, a scale, groups or one that all take.
    #[must_use]
    pub fn new(count: usize, per_token: usize, scores: RouterScores) -> Self {
        Self {
            count,
            per_token,
            scores,
            router_bias: false,
            correction_bias: false,
            normalised: false,
            scale: 1.0,
            groups: None,
            shared: None,
        }
    }

    /// The tensors of router and experts; `mlp` describes one expert.
    pub(super) fn each_tensor(&self, mlp: &MlpConfig, hidden: usize, emit: &mut dyn FnMut(&str, &str, &[usize])) {
        emit("mlp.gate", "weight", &[self.count, hidden]);
        if self.router_bias {
            emit("mlp.gate", "bias", &[self.count]);
        }
        if self.correction_bias {
            emit("mlp.gate", "e_score_correction_bias", &[self.count]);
        }
        for expert in 0..self.count {
            mlp.each_tensor(&format!("mlp.experts.{expert}"), hidden, mlp.intermediate_size, emit);
        }
        if let Some(shared) = self.shared {
            mlp.each_tensor(&format!("mlp.{}", shared.name), hidden, shared.intermediate_size, emit);
            if shared.gated {
                emit("mlp.shared_expert_gate", "weight", &[1, hidden]);
            }
        }
    }
}
