//! Weights that stay on disk and are read layer by layer, the next one while the last one is being computed.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use candle_core::Device;
use neuro_checkpoint::{Checkpoint, DecoderConfig};

use crate::decoder::{DecoderLayer, EMBEDDING, Embedding, Head};
use crate::rope::Rope;
use crate::source::{CheckpointSource, Kernels, ParameterSource, WeightType};
use crate::{ModelError, Result};

/// Reads weights when they are asked for.
#[derive(Debug)]
pub(crate) struct Stream {
    checkpoint: Arc<Checkpoint>,
    embedding: Embedding,
    device: Device,
    weight_type: WeightType,
    ahead: Mutex<Ahead>,
}

/// What is in memory.
#[derive(Debug, Default)]
struct Ahead {
    /// The layer asked for last.
    held: Option<(usize, Arc<DecoderLayer>)>,
    /// The layer that will probably be asked for next.
    coming: Option<(usize, JoinHandle<Result<DecoderLayer>>)>,
}

impl Stream {
    pub(crate) fn new(checkpoint: Arc<Checkpoint>, device: &Device, weight_type: WeightType) -> Self {
        let embedding = Embedding::OnDisk(checkpoint.clone());
        Self { checkpoint, embedding, device: device.clone(), weight_type, ahead: Mutex::default() }
    }

    pub(crate) fn embedding(&self) -> &Embedding {
        &self.embedding
    }

    /// One layer; reading of the next one begins.
    pub(crate) fn layer(&self, layer: usize, config: &DecoderConfig, ropes: &[Arc<Rope>]) -> Result<Arc<DecoderLayer>> {
        let depth = config.num_layers();
        if layer >= depth {
            return Err(ModelError::LayerOutOfRange { layer, depth });
        }
        // A poisoned lock only means that another thread failed while reading; nothing half-read is kept.
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, held)) = ahead.held.as_ref().filter(|(held, _)| *held == layer) {
            return Ok(held.clone());
        }
        ahead.held = None;
        let coming = ahead.coming.take();
        let read = match coming {
            Some((coming, thread)) if coming == layer => thread.join().ok(),
            // Waited for, so that no more than two layers are in memory.
            Some((_, thread)) => {
                drop(thread.join());
                None
            }
            None => None,
        };
        let weight_type = self.weight_type;
        let load = move |index: usize, checkpoint: &Checkpoint, device: &Device, rope: Arc<Rope>| {
            let source = CheckpointSource { checkpoint, device, weight_type };
            DecoderLayer::load(&source, &checkpoint.config, index, rope, Kernels::Fused)
        };
        let read = match read {
            Some(read) => read?,
            None => load(layer, &self.checkpoint, &self.device, ropes[layer].clone())?,
        };
        let read = Arc::new(read);
        ahead.held = Some((layer, read.clone()));
        let next = (layer + 1) % depth;
        let (checkpoint, device, rope) = (self.checkpoint.clone(), self.device.clone(), ropes[next].clone());
        let thread = std::thread::Builder::new().name("read-ahead".to_owned());
        // Without a thread to spare the next layer is read when it is asked for.
        if let Ok(thread) = thread.spawn(move || load(next, &checkpoint, &device, rope)) {
            ahead.coming = Some((next, thread));
        }
        Ok(read)
    }

    /// The head. What was read ahead is forgotten for it.
    pub(crate) fn head(&self, config: &DecoderConfig) -> Result<Arc<Head>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.held = None;
        let (checkpoint, device) = (&self.checkpoint, &self.device);
        let source = CheckpointSource { checkpoint, device, weight_type: self.weight_type };
        let tied =
            config.tie_word_embeddings.then(|| source.parameter(EMBEDDING, &[config.vocab_size, config.hidden_size]));
        let tied = tied.transpose()?;
        Ok(Arc::new(Head::load(&source, config, Kernels::Fused, tied)?))
    }
}
