//! Reading tensors from files: pieces, rows, and what goes wrong while a file is read.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Instant;

use common::{Case, tiny_config, with};
use neuro_checkpoint::Checkpoint;
use proptest::prelude::*;
use serde_json::json;

const EMBEDDING: &str = "model.embed_tokens.weight";
const NORM: &str = "model.norm.weight";

/// A checkpoint whose embedding takes several pieces, and its vocabulary and hidden size.
fn wide() -> (Case, [usize; 2]) {
    (Case::new(with(tiny_config(), json!({"vocab_size": 20_011, "hidden_size": 24}))), [20_011, 24])
}

/// Where a tensor's bytes lie in the weight file.
fn bytes_of(case: &Case, name: &str) -> std::ops::Range<usize> {
    let start = case.weight_file().len() - case.data.len();
    let offset = |index: usize| start + case.header[name]["data_offsets"][index].as_u64().unwrap() as usize;
    offset(0)..offset(1)
}

#[test]
fn a_file_that_is_cut_after_it_was_opened_is_an_error_that_names_file_and_tensor() {
    let (case, shape) = wide();
    let folder = case.write();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let weights = &checkpoint.weights;
    let whole = weights.read_f32(EMBEDDING, &shape).unwrap();
    let last_row = shape[0] as u32 - 1;

    // Systems that forbid cutting a mapped file keep it whole.
    let file = OpenOptions::new().write(true).open(folder.path().join("model.safetensors")).unwrap();
    let embedding = bytes_of(&case, EMBEDDING);
    if file.set_len(embedding.end as u64 - 10).is_err() {
        return;
    }
    let refused = [
        weights.read_f32(EMBEDDING, &shape).unwrap_err(),
        weights.read_f32_into(EMBEDDING, &shape, &mut vec![0.0; whole.len()]).unwrap_err(),
        weights.read_rows_f32(EMBEDDING, &shape, &[0, last_row]).unwrap_err(),
    ];
    for error in refused {
        let message = error.to_string();
        for part in ["model.safetensors", "`model.embed_tokens.weight` cannot be read", "was cut or replaced"] {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    }
    let message = checkpoint.identity().unwrap_err().to_string();
    assert!(message.contains("model.safetensors"), "{message}");
    // What is still there is still read.
    assert_eq!(weights.read_rows_f32(EMBEDDING, &shape, &[0, last_row - 1]).unwrap()[..24], whole[..24]);
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let (case, shape) = wide();
    let folder = case.write();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let weights = Checkpoint::open(folder.path()).unwrap().weights;
    assert_eq!(weights.read_f32(EMBEDDING, &shape).unwrap().len(), shape[0] * shape[1]);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn numbers_that_are_none_are_located_in_any_piece_and_row() {
    let (mut case, shape) = wide();
    let file_start = case.weight_file().len() - case.data.len();
    for row in [19_000, 3_usize] {
        let start = bytes_of(&case, EMBEDDING).start - file_start + (row * 24 + 5) * 4;
        case.data[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        let folder = case.write();
        let weights = Checkpoint::open(folder.path()).unwrap().weights;
        let place = format!("holds NaN at [{row}, 5]");
        for refused in [weights.read_f32(EMBEDDING, &shape), weights.read_rows_f32(EMBEDDING, &shape, &[1, row as u32])]
        {
            let message = refused.unwrap_err().to_string();
            assert!(message.contains(&place) && message.contains(EMBEDDING), "{message}");
        }
        assert!(weights.read_rows_f32(EMBEDDING, &shape, &[1, 2]).is_ok());
    }
}

#[test]
fn what_does_not_fit_a_tensor_is_refused() {
    let folder = Case::new(tiny_config()).write();
    let stored = Checkpoint::open(folder.path()).unwrap().weights;
    let random = Checkpoint::open_random(folder.path(), 1).unwrap().weights;
    for weights in [stored, random] {
        let refusals = [
            (weights.read_rows_f32(EMBEDDING, &[16, 8], &[3, 16]).unwrap_err(), "which has no row 16"),
            (weights.read_rows_f32(NORM, &[8], &[0]).unwrap_err(), "expected a matrix"),
            (weights.read_rows_f32(EMBEDDING, &[8, 16], &[0]).unwrap_err(), "has shape [16, 8], expected [8, 16]"),
            (weights.read_rows_f32("model.norm.bias", &[8, 1], &[0]).unwrap_err(), "does not exist"),
            (weights.read_f32_into(NORM, &[8], &mut [0.0; 7]).unwrap_err(), "has 8 numbers, but room was given for 7"),
        ];
        for (error, part) in refusals {
            assert!(error.to_string().contains(part), "no {part:?} in: {error}");
        }
        assert!(weights.read_rows_f32(EMBEDDING, &[16, 8], &[]).unwrap().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_those_of_the_whole(rows in prop::collection::vec(0..20_011_u32, 0..9000), random in any::<bool>()) {
        let (case, shape) = wide();
        let folder = case.write();
        let open = if random { Checkpoint::open_random(folder.path(), 5) } else { Checkpoint::open(folder.path()) };
        let weights = open.unwrap().weights;
        let whole = weights.read_f32(EMBEDDING, &shape).unwrap();
        let expected: Vec<f32> = rows.iter().flat_map(|&row| &whole[row as usize * 24..][..24]).copied().collect();
        prop_assert_eq!(weights.read_rows_f32(EMBEDDING, &shape, &rows).unwrap(), expected);
        let mut kept = vec![f32::NAN; whole.len()];
        weights.read_f32_into(EMBEDDING, &shape, &mut kept).unwrap();
        prop_assert_eq!(kept, whole);
    }
}

/// `cargo test --release -p neuro-checkpoint --test reading -- --ignored --nocapture`; of files in the page cache.
#[test]
#[ignore = "measures time"]
fn gigabytes_per_second() {
    let shape = [50_000, 2048];
    let count = shape[0] * shape[1];
    for dtype in ["BF16", "F32"] {
        let size = if dtype == "F32" { 4 } else { 2 };
        let mut case =
            Case::with_tensors(with(tiny_config(), json!({"vocab_size": shape[0], "hidden_size": 2048})), &[]);
        for (name, shape) in common::describe(&case.config).expected_tensors() {
            let start = case.data.len();
            case.data.resize(start + shape.iter().product::<usize>() * size, 0x3c);
            let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, case.data.len()]});
            case.header.insert(name, entry);
        }
        let folder = case.write();
        let weights = Checkpoint::open(folder.path()).unwrap().weights;
        let fastest = |run: &mut dyn FnMut()| {
            let seconds = (0..6).map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64()
            });
            (count * size) as f64 / 1e9 / seconds.fold(f64::INFINITY, f64::min)
        };
        let mut kept = vec![0.0; count];
        let new = fastest(&mut || drop(weights.read_f32(EMBEDDING, &shape).unwrap()));
        let into = fastest(&mut || weights.read_f32_into(EMBEDDING, &shape, &mut kept).unwrap());
        // As it was before: from the map to new memory on one thread, here without a look at the values.
        let mapped = fastest(&mut || {
            let bytes = &weights.view(EMBEDDING).unwrap().bytes;
            let wide = |bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
            let values: Vec<f32> = match dtype {
                "BF16" => bytes.as_chunks().0.iter().map(wide).collect(),
                _ => bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            };
            drop(std::hint::black_box(values));
        });
        let mut raw = vec![0; count * size];
        let path = folder.path().join("model.safetensors");
        let plain = fastest(&mut || read_whole(&path, &mut raw));
        println!(
            "{dtype}: {new:.2} GB/s stored into new memory, {into:.2} into kept; mapped {mapped:.2}, plain read {plain:.2}"
        );
        let rows: Vec<u32> = (0..2000).map(|row| row * 20).collect();
        let start = Instant::now();
        weights.read_rows_f32(EMBEDDING, &shape, &rows).unwrap();
        println!("{dtype}: 2000 rows of {} bytes in {:.2} ms", 2048 * size, start.elapsed().as_secs_f64() * 1e3);
    }
}

fn read_whole(path: &Path, bytes: &mut [u8]) {
    std::io::Read::read_exact(&mut std::fs::File::open(path).unwrap(), bytes).unwrap();
}
