//! `neuro logits`: plumbing for parity tests.

use std::sync::Arc;

use neuro_model::{DType, Decoder, WeightType};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::cli::LogitsArgs;
use crate::error::Failure;
use crate::model::{Model, parse_path};
use crate::output::{require_harmless, require_parent, write};
use crate::printer::Printer;

/// Writes tensor `logits` (seq, vocab), f32.
///
/// # Errors
/// When the model, the path, a token or the file is refused.
pub(crate) fn run(args: &LogitsArgs, printer: &Printer) -> anyhow::Result<()> {
    require_parent(&args.out)?;
    let device = args.load.device.open()?;
    let model = Model::find(&args.model, args.load.need(), printer)?;
    let checkpoint = Arc::new(model.checkpoint(&args.load)?);
    require_harmless(&args.out, model.folder())?;
    let path = parse_path(args.path.as_deref(), checkpoint.config.num_layers())?;
    let vocab = checkpoint.config.vocab_size;
    if let Some(token) = args.tokens.0.iter().find(|token| **token as usize >= vocab) {
        let failure =
            Failure::new(format!("token {token} does not exist: the vocabulary has the tokens 0 to {}", vocab - 1));
        return Err(failure.into());
    }

    // In single precision unless asked otherwise, whatever the file holds.
    let weight_type = args.load.quantize.unwrap_or(WeightType::F32);
    let decoder = Decoder::load_as(&checkpoint, &device, weight_type)?;
    let logits = decoder.logits(&args.tokens.0, &path.visits())?.to_dtype(DType::F32)?;
    let (seq, vocab) = logits.dims2()?;
    let bytes: Vec<u8> = logits.flatten_all()?.to_vec1::<f32>()?.into_iter().flat_map(f32::to_le_bytes).collect();
    let tensor = TensorView::new(Dtype::F32, vec![seq, vocab], &bytes)?;
    let file = safetensors::serialize([("logits", tensor)], None)?;
    write(&args.out, &file)?;
    printer.note(format_args!("{}: logits ({seq}, {vocab}) of path {path}", args.out.display()));
    Ok(())
}
