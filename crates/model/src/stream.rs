//! Weights that stay on disk and are read layer by layer, the next one while the last one is being computed.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Who reads ahead, once a layer has been asked for.
    reader: Option<Reader>,
}

/// A layer that is read ahead.
#[derive(Debug)]
enum Coming {
    Reading,
    Read(Box<Result<DecoderLayer>>),
}

impl Ahead {
    /// The layer that is read ahead, once it is there; `None` where there is none, or its reader failed in a way of its own.
    fn wait(&mut self) -> Option<(usize, Result<DecoderLayer>)> {
        match self.coming.take()? {
            (layer, Coming::Read(read)) => Some((layer, *read)),
            (layer, Coming::Reading) => {
                let read = self.reader.as_ref()?.read.recv().ok();
                if read.is_none() {
                    self.reader = None;
                }
                Some((layer, read?))
            }
        }
    }
}

/// A thread that reads layers one after the other. It stays, for threads that come and go leave the allocator's memory to
/// each other in pieces: a scan that read each layer with a thread of its own grew with every sweep (glibc).
#[derive(Debug)]
struct Reader {
    wanted: Sender<(usize, Arc<Rope>)>,
    read: Receiver<Result<DecoderLayer>>,
}

impl Reader {
    /// `None` where there is no thread to spare.
    fn start(load: impl Fn(usize, Arc<Rope>) -> Result<DecoderLayer> + Send + 'static) -> Option<Self> {
        let (wanted, layers) = mpsc::channel::<(usize, Arc<Rope>)>();
        let (done, read) = mpsc::channel();
        let work = move || {
            for (layer, rope) in layers {
                if done.send(load(layer, rope)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("read-ahead".to_owned()).spawn(work).ok()?;
        Some(Self { wanted, read })
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
        let read = ahead.wait().filter(|(coming, _)| *coming == layer).map(|(_, read)| read);
        let weight_type = self.weight_type;
        let (checkpoint, device) = (self.checkpoint.clone(), self.device.clone());
        let load = move |index: usize, rope: Arc<Rope>| {
            let source = CheckpointSource { checkpoint: &checkpoint, device: &device, weight_type };
            DecoderLayer::load(&source, &checkpoint.config, index, rope, Kernels::Fused)
        };
        let read = match read {
            Some(read) => read?,
            None => load(layer, ropes[layer].clone())?,
        };
        let read = Arc::new(read);
        ahead.held = Some((layer, read.clone()));
        let next = (layer + 1) % depth;
        if ahead.reader.is_none() {
            ahead.reader = Reader::start(load);
        }
        // Without a reader the next layer is read when it is asked for.
        if ahead.reader.as_ref().is_some_and(|reader| reader.wanted.send((next, ropes[next].clone())).is_ok()) {
            ahead.coming = Some((next, Coming::Reading));
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
        ahead.coming = ahead.wait().map(|(coming, read)| (coming, Coming::Read(Box::new(read))));
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
