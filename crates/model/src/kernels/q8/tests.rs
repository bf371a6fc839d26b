//! Where the processor lacks the instructions there is nothing to compare: `quantise` gives nothing there, which
//! `is_there_where_the_processor_is` asserts, and every other test ends early.

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use neuro_checkpoint::Activation;
use rayon::ThreadPoolBuilder;

use super::super::gated::apply;
use super::super::plan::{Plan, is_serial};
use super::super::product::{Added, gated, multiply};
use super::*;

/// Inner and outer dimensions: whole blocks and panels, and neither; one block; less than a block.
const SHAPES: [(usize, usize); 5] = [(896, 128), (100, 33), (32, 1), (7, 300), (1100, 70)];

/// A weight, given some panels of rows at a time.
fn quantise(weight: &[f32], (input, output): (usize, usize)) -> Option<Matrix> {
    let mut matrix = Matrix::begin((input, output), Order::Behind)?;
    weight.chunks(3 * PANEL * input).for_each(|rows| matrix.push(rows));
    Some(matrix)
}

fn product(matrix: &Matrix, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    multiply(&matrix.prepare(x, None), &[(matrix, Added { bias, rows: None })]).remove(0)
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    // The finaliser of splitmix64.
    let mix = |i: usize| {
        let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
    };
    (0..count).map(|i| mix(i) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn f16_to_f32(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    assert_ne!(exponent, 31);
    sign * if exponent == 0 { fraction * 2f32.powi(-24) } else { (fraction + 1024.0) * 2f32.powi(exponent - 25) }
}

/// Weights of an output in a block as they were packed, and their scale.
fn unpacked(matrix: &Matrix, output: usize, block: usize) -> ([i32; BLOCK], u16) {
    let (panel, vector, lane) = (output / PANEL, output % PANEL / LANES, output % LANES);
    let block = &matrix.panels.from(panel)[block];
    let value = |i: usize| i32::from(block.quants[i / 4][vector][lane].to_le_bytes()[i % 4]) - 128;
    (std::array::from_fn(value), block.scales[vector][lane])
}

/// Activations of a block, rounded one by one.
fn rounded(x: &[f32]) -> ([i32; BLOCK], f32) {
    let scale = x.iter().fold(0f32, |largest, x| largest.max(x.abs())) / 127.0;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut quants = [0; BLOCK];
    for (quant, x) in quants.iter_mut().zip(x) {
        *quant = (x * inverse).round_ties_even() as i32;
    }
    (quants, scale)
}

/// The product of a row and an output in f32, one operation after the other; in f64; and the size of what was summed.
fn plain(matrix: &Matrix, row: &[f32], output: usize) -> (f32, f64, f64) {
    let (mut sum, mut exact, mut size) = (0f32, 0f64, 0f64);
    for (block, x) in row.chunks(BLOCK).enumerate() {
        let ((weights, scale), (x, x_scale)) = (unpacked(matrix, output, block), rounded(x));
        let dot: i32 = weights.iter().zip(x).map(|(weight, x)| weight * x).sum();
        let scale = f16_to_f32(scale);
        sum = (dot as f32).mul_add(scale * x_scale, sum);
        let term = f64::from(dot) * f64::from(scale) * f64::from(x_scale);
        (exact, size) = (exact + term, size + term.abs());
    }
    (sum, exact, size)
}

#[test]
fn is_there_where_the_processor_is() {
    #[cfg(target_arch = "x86_64")]
    let expected = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c");
    #[cfg(not(target_arch = "x86_64"))]
    let expected = false;
    assert_eq!(Matrix::available(), expected);
    assert_eq!(quantise(&[1.0], (1, 1)).is_some(), expected);
}

/// A processor with newer instructions has the older ones too.
#[cfg(target_arch = "x86_64")]
#[test]
fn all_instructions_give_the_same_bits() {
    let Some(older) = Instructions::detect_avx2() else { return };
    for (input, output) in SHAPES {
        let weight = noise(input * output, 7919);
        let mut matrix = quantise(&weight, (input, output)).unwrap();
        let x = noise(13 * input, 5381);
        let found = product(&matrix, &x, None);
        matrix.instructions = older;
        assert_eq!(product(&matrix, &x, None), found);
        for (weights, x) in weight.chunks(BLOCK).zip(x.chunks(BLOCK)) {
            let newer = Instructions::detect().unwrap();
            assert_eq!(older.round_weights(weights), newer.round_weights(weights));
            assert_eq!(older.round(x), newer.round(x));
        }
    }
}

#[test]
fn weights_are_those_of_the_format() {
    for (input, output) in [(896, 40), (64, 33)] {
        let mut weight = noise(input * output, 7919);
        weight[..32].fill(0.0);
        // In the middle between two integers: the format rounds away from zero.
        weight[32..64].copy_from_slice(&std::array::from_fn::<f32, 32, _>(|i| i as f32 - 15.5));
        weight[63] = 127.0;
        let Some(matrix) = quantise(&weight, (input, output)) else { return };
        let tensor = Tensor::from_vec(weight, (output, input), &Device::Cpu).unwrap();
        let expected = QTensor::quantize(&tensor, GgmlDType::Q8_0).unwrap();
        for (index, expected) in expected.data().unwrap().chunks_exact(2 + BLOCK).enumerate() {
            let (output, block) = (index / (input / BLOCK), index % (input / BLOCK));
            let (quants, scale) = unpacked(&matrix, output, block);
            assert_eq!(scale.to_le_bytes(), expected[..2]);
            assert_eq!(quants.map(|quant| quant as i8), *expected[2..].iter().map(|q| *q as i8).collect::<Vec<_>>());
        }
        assert_eq!(Matrix::bytes_of(input, output), size_of_val(matrix.panels.all()));
    }
}

/// The blocked product is, bit for bit, the sum over blocks in their order, and within 10⁻⁵ of the exact one of the same
/// rounded values.
#[test]
fn products_are_those_of_the_formula() {
    for (input, output) in SHAPES {
        let Some(matrix) = quantise(&noise(input * output, 7919), (input, output)) else { return };
        let bias = noise(output, 31);
        for rows in [0, 1, 5, 6, 13] {
            let x = noise(rows * input, 5381);
            let (found, with_bias) = (product(&matrix, &x, None), product(&matrix, &x, Some(&bias)));
            assert_eq!((found.len(), with_bias.len()), (rows * output, rows * output));
            for (index, (found, with_bias)) in found.into_iter().zip(with_bias).enumerate() {
                let (row, column) = (index / output, index % output);
                let (sum, exact, size) = plain(&matrix, &x[row * input..][..input], column);
                assert_eq!(found, sum, "{input} x {output}, row {row} of {rows}, column {column}");
                assert_eq!(with_bias, sum + bias[column]);
                assert!((f64::from(found) - exact).abs() <= 1e-5 * size);
            }
        }
    }
}

/// Whether a row comes out the same, bit for bit, whatever stands beside it and whoever works on it: what ties of greedy
/// decoding rest on.
#[test]
fn a_row_does_not_depend_on_others_or_on_threads() {
    // Large enough for threads; the last for more rows than are rounded at once.
    for (input, output, rows) in [(896, 300, 700), (300, 96, 700), (5000, 33, 1400)] {
        let Some(matrix) = quantise(&noise(input * output, 7919), (input, output)) else { return };
        let x = noise(rows * input, 5381);
        let whole = product(&matrix, &x, None);
        for count in [1, 2, 3, 4, 5, 6, 7, 64, 65, 512] {
            assert_eq!(product(&matrix, &x[..count * input], None), whole[..count * output], "{count} of {rows} rows");
        }
        for threads in [1, 2, 5] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| product(&matrix, &x, None)) == whole, "{threads} threads");
        }
    }
}

#[test]
fn what_is_not_finite_spoils_its_row_alone() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (input, output) in [(96, 40), (50, 3)] {
            // A block of zeros too: nothing hides there.
            let mut weight = noise(input * output, 7919);
            weight[..32].fill(0.0);
            let Some(matrix) = quantise(&weight, (input, output)) else { return };
            let mut x = noise(8 * input, 5381);
            let clean = product(&matrix, &x, None);
            (x[3 * input + 1], x[7 * input + input - 1]) = (bad, bad);
            for (row, (found, clean)) in product(&matrix, &x, None).chunks(output).zip(clean.chunks(output)).enumerate()
            {
                match row {
                    3 | 7 => assert!(found.iter().all(|value| value.is_nan()), "{bad} {found:?}"),
                    _ => assert_eq!(found, clean),
                }
            }
        }
    }
}

#[test]
fn the_ends_of_numbers() {
    let Some(matrix) = quantise(&[0.5; 64], (32, 2)) else { return };
    let second = |value: f32| f64::from(product(&matrix, &[value; 32], None)[1]);
    assert_eq!(second(0.0), 0.0);
    // Half of the value 32 times, but for the rounding of the scales.
    for value in [1e-30f32, 1.0, 1e30, 2e37] {
        assert!((second(value) / (16.0 * f64::from(value)) - 1.0).abs() < 1e-3, "{value}: {}", second(value));
    }
    // Too small for a scale.
    assert_eq!(second(1e-40), 0.0);
}

/// Against the exact product of the same rounded weights our activations lose as much as candle's.
#[test]
fn as_close_as_the_tensor_library() {
    let (input, output, rows) = (1024, 96, 17);
    let (weight, x) = (noise(input * output, 7919), noise(rows * input, 5381));
    let Some(matrix) = quantise(&weight, (input, output)) else { return };
    let tensor = Tensor::from_vec(weight, (output, input), &Device::Cpu).unwrap();
    let quantised = QTensor::quantize(&tensor, GgmlDType::Q8_0).unwrap();
    let weight: Vec<Vec<f32>> = quantised.dequantize(&Device::Cpu).unwrap().to_vec2().unwrap();
    let theirs = QMatMul::from_qtensor(quantised).unwrap();
    let theirs = theirs.forward(&Tensor::from_slice(&x, (rows, input), &Device::Cpu).unwrap()).unwrap();
    let theirs: Vec<f32> = theirs.flatten_all().unwrap().to_vec1().unwrap();
    let error = |found: &[f32]| {
        let (mut difference, mut size) = (0.0, 0.0);
        for (index, found) in found.iter().enumerate() {
            let pairs = x[index / output * input..].iter().zip(&weight[index % output]);
            let exact: f64 = pairs.map(|(x, weight)| f64::from(*x) * f64::from(*weight)).sum();
            (difference, size) = (difference + (f64::from(*found) - exact).powi(2), size + exact.powi(2));
        }
        (difference / size).sqrt()
    };
    let (ours, theirs) = (error(&product(&matrix, &x, None)), error(&theirs));
    assert!(ours < 1.05 * theirs, "{ours} {theirs}");
    assert!(ours > 1e-4, "{ours}: nothing was rounded");
}

/// Every plan cuts as evenly as it can, keeps a strip of weights in a core's cache, and leaves little work to one thread.
#[test]
fn plans() {
    let strip = STRIP_BYTES / size_of::<WeightBlock>();
    for (input, output) in [(896, 9728), (4864, 896), (896, 128), (1 << 20, 64), (32, 1)] {
        let (per_panel, panels) = (usize::div_ceil(input, BLOCK), usize::div_ceil(output, PANEL));
        for groups in [0, 1, 3, 85, 700] {
            for threads in [1, 2, 64] {
                let plan = Plan::of(groups, panels, costs(per_panel, [150, 25]), threads);
                assert!(plan.panels == 1 || plan.panels * per_panel <= strip, "{plan:?}");
                assert!((1..=panels).contains(&plan.panels) && (1..=groups.max(1)).contains(&plan.groups), "{plan:?}");
            }
        }
    }
    let small = Plan::of(1, 4, costs(28, [150, 25]), 2);
    assert!(is_serial(small.time, 2), "{small:?}");
    let large = Plan::of(85, 304, costs(28, [150, 25]), 2);
    assert!(
        !is_serial(large.time, 2) && 85_usize.div_ceil(large.groups) * 304_usize.div_ceil(large.panels) >= 8,
        "{large:?}"
    );
}

/// Blocks as files hold them come in unchanged, also such as no rounding would make: no value of full size, any scale.
#[test]
fn stored_blocks_are_taken_as_they_are() {
    for (input, output) in [(96, 70), (32, 1), (64, 33)] {
        let per_row = input / BLOCK;
        let values = noise(output * per_row * 34, 11);
        let bytes: Vec<u8> = values.iter().map(|value| (value * 128.0) as i8 as u8 & 0x7b).collect();
        let Some(mut matrix) = Matrix::begin((input, output), Order::Behind) else { return };
        let whole = output / PANEL * PANEL * per_row * 34;
        matrix.push_stored(&bytes[..whole]);
        matrix.push_stored(&bytes[whole..]);
        for row in 0..output {
            for block in 0..per_row {
                let stored = &bytes[(row * per_row + block) * 34..][..34];
                let (found, scale) = unpacked(&matrix, row, block);
                assert_eq!(scale, u16::from_le_bytes([stored[0], stored[1]]), "{input} x {output}: {row}, {block}");
                let expected: Vec<i32> = stored[2..].iter().map(|&byte| i32::from(byte as i8)).collect();
                assert_eq!(found[..], expected, "{input} x {output}: {row}, {block}");
            }
        }
    }
}

/// What is gated inside a product is, bit for bit, what is gated behind it and rounded anew.
#[test]
fn gated_inside_as_behind() {
    for (rows, (input, output)) in [1, 5, 6, 13, 700].into_iter().flat_map(|rows| SHAPES.map(|shape| (rows, shape))) {
        let weights = [noise(input * output, 7919), noise(input * output, 101)];
        let Some(mut joined) = Matrix::begin((input, output), Order::InTurn) else { return };
        weights.iter().for_each(|weight| weight.chunks(3 * PANEL * input).for_each(|rows| joined.push(rows)));
        let [first, second] = weights.each_ref().map(|weight| quantise(weight, (input, output)));
        let (Some(first), Some(second)) = (first, second) else { return };
        let (x, bias) = (noise(rows * input, 5381), noise(2 * output, 31));
        for bias in [None, Some(bias.as_slice())] {
            let part = |part: usize| bias.map(|bias| &bias[part * output..][..output]);
            let (mut gate, up) = (product(&first, &x, part(0)), product(&second, &x, part(1)));
            apply(Activation::Silu, &mut gate, &up);
            let Some(next) = quantise(&noise(output, 11), (output, 1)) else { return };
            let (expected, found) =
                (next.prepare(&gate, None), gated(&joined, &joined.prepare(&x, None), bias, Activation::Silu));
            assert_eq!((found.rows, found.input), (rows, output));
            assert!(found.steps[..] == expected.steps[..], "{rows} rows, {input} x {output}");
        }
    }
}
