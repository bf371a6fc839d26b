/// What was run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Walks over the layer stack.
    pub sweeps: u64,
    /// Layers times tokens.
    pub layer_tokens: u64,
    /// Tokens that were proposed before they were chosen.
    pub drafted: u64,
    /// Proposed tokens that were then chosen.
    pub accepted: u64,
    /// Choices that were too close to call and made from the text alone.
    pub near_ties: u64,
}
