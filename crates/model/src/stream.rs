//! Weights that stay on disk and are read layer by layer, the next one while the last one is being computed.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use candle_core::Device;
use neuro_checkpoint::{Checkpoint, DecoderConfig};

use crate::ends::{Embedding, Head};
use crate::layer::DecoderLayer;
use crate::rope::Rope;
use crate::source::{CheckpointSource, Kernels, WeightType};
use crate::{ModelError, Result};

/// Reads weights when they are asked for.
#[derive(Debug)]
pub(crate) struct Stream {
    checkpoint: Arc<Checkpoint>,
    embedding: Embedding,
    device: Device,
    weight_type: WeightType,
    ahead: Mutex<Ahead>,
    /// What had been read of the checkpoint when streaming began.
    read_before: u64,
}

/// What is in memory.
#[derive(Debug, Default)]
struct Ahead {
    /// The layer asked for last.
    held: Option<(usize, Arc<DecoderLayer>)>,
    /// The layer that will probably be asked for next.
    coming: Option<(usize, Coming)>,
    /// The head, until a layer is asked for.
    head: Option<Arc<Head>>,
}

/// A layer that is read ahead.
#[derive(Debug)]
enum Coming {
    /// By this thread.
    Reading(JoinHandle<Result<DecoderLayer>>),
    Read(Box<Result<DecoderLayer>>),
}

impl Coming {
    /// What was read; `None` where the thread failed in a way of its own.
    fn wait(self) -> Option<Result<DecoderLayer>> {
        match self {
            Self::Reading(thread) => thread.join().ok(),
            Self::Read(read) => Some(*read),
        }
    }
}

impl Stream {
    pub(crate) fn new(checkpoint: Arc<Checkpoint>, device: &Device, weight_type: WeightType) -> Self {
        let embedding = Embedding::OnDisk(checkpoint.clone());
        let read_before = checkpoint.weights.bytes_read();
        Self { checkpoint, embedding, device: device.clone(), weight_type, ahead: Mutex::default(), read_before }
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
        (ahead.held, ahead.head) = (None, None);
        // Waited for also where another layer is wanted, so that no more than two are in memory.
        let coming = ahead.coming.take().and_then(|(coming, read)| Some((coming, read.wait()?)));
        let read = coming.filter(|(coming, _)| *coming == layer).map(|(_, read)| read);
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
            ahead.coming = Some((next, Coming::Reading(thread)));
        }
        Ok(read)
    }

    /// The head, read once until a layer is asked for again.
    pub(crate) fn head(&self, config: &DecoderConfig) -> Result<Arc<Head>> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(head) = &ahead.head {
            return Ok(head.clone());
        }
        ahead.held = None;
        // First the one and then the other: what is needed only while reading is not needed twice.
        if let Some((coming, read)) = ahead.coming.take() {
            ahead.coming = read.wait().map(|read| (coming, Coming::Read(Box::new(read))));
        }
        let (checkpoint, device) = (&self.checkpoint, &self.device);
        let source = CheckpointSource { checkpoint, device, weight_type: self.weight_type };
        let head = Arc::new(Head::load(&source, config, Kernels::Fused, None)?);
        ahead.head = Some(head.clone());
        Ok(head)
    }

    /// Bytes of weights read from files so far, as they are stored.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.checkpoint.weights.bytes_read() - self.read_before
    }
}
