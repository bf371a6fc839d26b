//! HOW IT COMPUTES: one decoder, described by data, as a list of stateless layers that are run over visits.
//!
//! A layer owns its weights and nothing else: it does not know where it stands in a path, and what a visit
//! remembers (keys and values, or a recurrent state) lives in a [`Slot`] that the caller owns. Running layer 12 twice
//! is therefore two visits, two slots and no copied tensor. The room knows no text, no probe and no run.
//!
//! Its sharpest edge: sequences are *packed*, not padded. A residual stream is `(rows, hidden)`, and only the
//! [`Batch`] beside it says what a row sees: the ranges of slot rows that hold the tokens before it.
//!
//! Axes, the one legend for every shape in this crate:
//!
//! | axis | meaning |
//! |---|---|
//! | `rows` | all new tokens of a batch, packed |
//! | `asked rows` | those of them that go on behind a layer |
//! | `batch` | segments of equal shape that attend at once |
//! | `seq` | new tokens of one sequence |
//! | `queries` | asked rows of one segment |
//! | `total` | keys that a segment sees: past and its own |
//! | `hidden` | width of the residual stream |
//! | `heads`, `kv_heads` | query heads; key/value heads |
//! | `group` | query heads that share one key/value head: `heads / kv_heads` |
//! | `head_dim` | width of a head |
//! | `key heads`, `value heads` | heads of a delta net; `key_dim`, `value_dim` are their widths |
//! | `channels` | what a delta net's convolution sees of a token: all queries, keys and values |
//! | `taps` | tokens that the convolution sees |
//! | `vocab` | entries of the vocabulary |

mod attention;
mod batch;
mod decoder;
mod delta_net;
mod ends;
mod error;
mod experts;
mod kernels;
mod latent;
mod layer;
mod linear;
mod mask;
mod memory;
mod mixer;
mod mlp;
mod norm;
mod peak;
mod recurrent;
mod rope;
mod sizes;
mod source;
mod state;
mod stream;
mod stretches;
mod tap;
mod threads;

pub use batch::{Batch, Part, Segment};
pub use candle_core::{DType, Device, Tensor};
pub use decoder::Decoder;
pub use ends::Head;
pub use error::ModelError;
pub use layer::DecoderLayer;
pub use memory::device_memory;
pub use peak::{MatmulPeak, measure_matmul_peak};
pub use sizes::{WeightBytes, product_scratch_bytes};
pub use source::{Kernels, ParameterSource, WeightType};
pub use state::{
    STATE_ROWS, Slot, State, recurrent_state_bytes, slot_bytes_per_token, slot_room, state_bytes_per_token,
};
pub use tap::{Site, Tap};
pub use threads::{scratch_threads, start_threads};

/// Result of the model room.
pub type Result<T> = std::result::Result<T, ModelError>;
