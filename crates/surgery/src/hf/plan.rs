//! Which bytes of which file become which tensor of which file.

use std::collections::BTreeMap;
use std::ops::Range;

use neuro_checkpoint::{Checkpoint, TensorEntry, layer_of};
use neuro_path::{LayerPath, Scale, Visit};

use crate::Result;
use crate::fold::{self, Format};

/// Every file of an export.
pub(super) struct Plan {
    pub(super) files: Vec<OutFile>,
    /// Whether there is an index beside them.
    pub(super) is_sharded: bool,
}

/// One file of an export.
pub(super) struct OutFile {
    pub(super) name: String,
    /// In the order of the file.
    pub(super) targets: Vec<Target>,
    /// The source file that it is, byte for byte but for its head.
    pub(super) same_as: Option<usize>,
}

/// One tensor of an export.
pub(super) struct Target {
    pub(super) name: String,
    /// Number of the source file.
    pub(super) file: usize,
    /// Its bytes there.
    pub(super) range: Range<u64>,
    pub(super) dtype: String,
    pub(super) shape: Vec<usize>,
    pub(super) fold: Option<(Format, Scale)>,
    /// Where it comes in the file: tensors of no layer first, then by place along the path.
    place: usize,
    bits: usize,
    is_as_it_was: bool,
}

impl Target {
    pub(super) fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }
}

impl Plan {
    pub(super) fn new(checkpoint: &Checkpoint, path: &LayerPath) -> Result<Self> {
        let sources = checkpoint.weights.safetensors();
        let mut visits: BTreeMap<usize, Vec<(usize, Visit)>> = BTreeMap::new();
        for (place, visit) in path.visits().into_iter().enumerate() {
            visits.entry(visit.layer).or_default().push((place, visit));
        }
        fold::check_layers("hf", path, &checkpoint.config)?;
        let is_sharded = checkpoint.dir.join("model.safetensors.index.json").exists()
            && !checkpoint.dir.join("model.safetensors").exists();
        let mut files: Vec<OutFile> = Vec::new();
        let mut more: Vec<Target> = Vec::new();
        let mut largest = 0_u64;
        for (number, (_, header)) in sources.iter().enumerate() {
            let (mut targets, mut dropped) = (Vec::new(), false);
            for (stored, entry) in header.tensors() {
                // Layers behind the stack, which predict further tokens, stay where nothing moves.
                let moved = layer_of(stored).filter(|(_, layer, _)| *layer < path.depth() || !path.is_baseline());
                let Some((before, layer, behind)) = moved else {
                    targets.push(target(stored.clone(), number, entry, 0, None, true));
                    continue;
                };
                let places = visits.get(&layer).map_or(&[][..], Vec::as_slice);
                dropped |= places.is_empty();
                // One copy stays in its shard: that under its own number, where there is one.
                let stays = places.iter().position(|(place, _)| *place == layer).unwrap_or(0);
                for (index, (place, visit)) in places.iter().enumerate() {
                    let scale = fold::scale_of(behind, visit.scales);
                    let name = format!("{before}{place}{behind}");
                    let fold = if scale == Scale::ONE {
                        None
                    } else {
                        let format = Format::named(&entry.dtype.to_string());
                        fold::check_scale("hf", path, stored, format, scale)?;
                        format.map(|format| (format, scale))
                    };
                    let as_it_was = *place == layer && fold.is_none();
                    let target = target(name, number, entry, place + 1, fold, as_it_was);
                    if index == stays { targets.push(target) } else { more.push(target) }
                }
            }
            largest = largest.max(targets.iter().map(Target::bytes).sum());
            if !targets.is_empty() {
                let as_it_was = !dropped && targets.iter().all(|target| target.is_as_it_was);
                files.push(OutFile { name: String::new(), targets, same_as: as_it_was.then_some(number) });
            }
        }
        if is_sharded {
            add_shards(&mut files, more, largest);
        } else if let Some(file) = files.first_mut() {
            if !more.is_empty() {
                file.same_as = None;
            }
            file.targets.extend(more);
        }
        let count = files.len();
        for (number, file) in files.iter_mut().enumerate() {
            file.name = if is_sharded {
                format!("model-{:05}-of-{count:05}.safetensors", number + 1)
            } else {
                "model.safetensors".to_owned()
            };
            // Wide numbers first, so that each lies at a multiple of its size.
            file.targets.sort_by(|a, b| {
                b.bits.cmp(&a.bits).then_with(|| a.place.cmp(&b.place)).then_with(|| a.name.cmp(&b.name))
            });
        }
        Ok(Self { files, is_sharded })
    }

    /// Bytes of weights that are written.
    pub(super) fn bytes(&self, link: bool) -> u64 {
        self.bytes_of(link, |_| true)
    }

    /// The same of some files alone, by their names.
    pub(super) fn bytes_of(&self, link: bool, is_wanted: impl Fn(&str) -> bool) -> u64 {
        let files = self.files.iter().filter(|file| is_wanted(&file.name));
        files.filter(|file| !(link && file.same_as.is_some())).map(OutFile::bytes).sum()
    }

    /// Bytes of weights that are not written again.
    pub(super) fn linked_bytes(&self, link: bool) -> u64 {
        self.files.iter().filter(|file| link && file.same_as.is_some()).map(OutFile::bytes).sum()
    }
}

impl OutFile {
    pub(super) fn bytes(&self) -> u64 {
        self.targets.iter().map(Target::bytes).sum()
    }
}

fn target(
    name: String,
    file: usize,
    entry: &TensorEntry,
    place: usize,
    fold: Option<(Format, Scale)>,
    is_as_it_was: bool,
) -> Target {
    Target {
        name,
        file,
        range: entry.range.start as u64..entry.range.end as u64,
        dtype: entry.dtype.to_string(),
        shape: entry.shape.clone(),
        fold,
        place,
        bits: entry.dtype.bitsize(),
        is_as_it_was,
    }
}

/// Puts copies into shards of their own, none larger than the largest there was.
fn add_shards(files: &mut Vec<OutFile>, mut more: Vec<Target>, largest: u64) {
    more.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.name.cmp(&b.name)));
    let mut shard: Vec<Target> = Vec::new();
    let mut bytes = 0;
    for target in more {
        if !shard.is_empty() && bytes + target.bytes() > largest {
            files.push(OutFile { name: String::new(), targets: std::mem::take(&mut shard), same_as: None });
            bytes = 0;
        }
        bytes += target.bytes();
        shard.push(target);
    }
    if !shard.is_empty() {
        files.push(OutFile { name: String::new(), targets: shard, same_as: None });
    }
}
