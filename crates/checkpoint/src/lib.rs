//! WHAT IS ON DISK: a checkpoint folder or a GGUF file as a typed description ([`DecoderConfig`]), settings for generation
//! and lazily read weights; or a `config.json` alone, with weights drawn from a seed.
//!
//! Knows no tensor library, no tokenizer and no device: weights leave as bytes or as `Vec<f32>`. Architectures exist
//! only here, one small file each; behind this room a model is described by data.
//!
//! Sharpest edge: every byte is foreign. Each number is checked before it is used as a size, [`Checkpoint::open`] proves
//! that the files hold exactly the tensors that the config asks for, and values are checked when a tensor is first read.

mod checkpoint;
mod config;
mod convert;
mod disk;
mod dtype;
mod error;
mod fields;
mod fit;
mod fp8;
mod generation;
mod gguf;
mod header;
mod identity;
mod index;
mod memory;
mod mxfp4;
mod names;
mod pieces;
mod positioned;
mod random;
mod stored;
mod weights;

pub use checkpoint::Checkpoint;
pub use config::{
    Activation, AttentionConfig, DecoderConfig, DeltaNetConfig, ExpertsConfig, LatentConfig, LayerConfig, LayerNorms,
    MAX_LAYERS, MlpConfig, NormKind, POSITIONS, QkNorm, RopeConfig, RopeScaling, RouterGroups, RouterScores,
    SharedExpertConfig,
};
pub use dtype::Dtype;
pub use error::CheckpointError;
pub use generation::GenerationConfig;
pub use gguf::{
    BlockFormat, GgufArchitecture, GgufKey, GgufLayout, GgufPlace, HeaderTokenizer, ValueHeads, model_name,
};
pub use header::{Header, TensorEntry};
pub use identity::Identity;
pub use index::ShardIndex;
pub use memory::{Memory, default_budget};
pub use names::layer_of;
pub use weights::{TensorView, Weights};
