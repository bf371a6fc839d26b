use neuro_checkpoint::Activation;

use super::super::product::{Added, gated, multiply};
use super::*;

fn noise(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * step) % 1013) as f32 / 500.0 - 1.0).collect()
}

/// Also where the tensor library's kernel is used instead.
fn pack(weight: &[f32], (input, output): (usize, usize)) -> Matrix {
    let mut matrix = Matrix::empty((input, output), Order::Behind);
    weight.chunks(2 * PANEL * input).for_each(|rows| matrix.push(rows));
    assert_eq!(size_of_val(matrix.panels.all()), Matrix::bytes_of(input, output));
    matrix
}

fn product(matrix: &Matrix, x: &[f32], added: Added) -> Vec<f32> {
    multiply(&matrix.prepare(x, None), &[(matrix, added)]).remove(0)
}

/// Of the last a core keeps not all rows in its own cache.
const SHAPES: [(usize, usize, usize); 7] =
    [(1, 5, 3), (2, 33, 48), (7, 64, 50), (9, 300, 33), (65, 20, 200), (300, 96, 64), (300, 900, 100)];

#[test]
fn agrees_with_the_formula_and_rows_do_not_meet() {
    for (rows, input, output) in SHAPES {
        let (weight, x, bias) = (noise(input * output, 7919), noise(rows * input, 5381), noise(output, 31));
        let matrix = pack(&weight, (input, output));
        let out = product(&matrix, &x, Added { bias: Some(&bias), rows: None });
        assert_eq!(out.len(), rows * output);
        for row in 0..rows {
            let x = &x[row * input..][..input];
            let alone = product(&matrix, x, Added::default());
            for (column, (alone, found)) in alone.iter().zip(&out[row * output..]).enumerate() {
                assert_eq!(alone + bias[column], *found, "{rows} {input} {output}");
                let pairs = x.iter().zip(&weight[column * input..][..input]);
                let exact: f64 = pairs.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                assert!((f64::from(*alone) - exact).abs() < 1e-4, "{rows} {input} {output}: {alone} {exact}");
            }
        }
    }
}

/// Several products of the same rows at once are the products alone, and what is added to them is added last.
#[test]
fn together_as_alone() {
    for (rows, input, output) in SHAPES {
        let (x, bias, more) = (noise(rows * input, 5381), noise(output, 31), noise(rows * output, 17));
        let matrices = [7919, 101].map(|step| pack(&noise(input * output, step), (input, output)));
        let [first, second] = &matrices;
        let added = Added { bias: Some(&bias), rows: Some(&more) };
        let together = multiply(&first.prepare(&x, None), &[(first, added), (second, Added::default())]);
        let with_bias = product(first, &x, Added { bias: Some(&bias), rows: None });
        let with_more: Vec<f32> = with_bias.iter().zip(&more).map(|(product, more)| product + more).collect();
        assert_eq!(together, [with_more, product(second, &x, Added::default())], "{rows} {input} {output}");
    }
}

/// What is gated inside a product is, bit for bit, what is gated behind it and brought into order anew.
#[test]
fn gated_inside_as_behind() {
    for (rows, input, output) in SHAPES {
        let (x, bias) = (noise(rows * input, 5381), noise(2 * output, 31));
        let weights = [noise(input * output, 7919), noise(input * output, 101)];
        let mut joined = Matrix::empty((input, output), Order::InTurn);
        weights.iter().for_each(|weight| weight.chunks(2 * PANEL * input).for_each(|rows| joined.push(rows)));
        let alone = weights.each_ref().map(|weight| pack(weight, (input, output)));
        for bias in [None, Some(bias.as_slice())] {
            let part = |part: usize| bias.map(|bias| &bias[part * output..][..output]);
            let [mut gate, up] =
                [0, 1].map(|which| product(&alone[which], &x, Added { bias: part(which), rows: None }));
            crate::kernels::gated::apply(Activation::Silu, &mut gate, &up);
            let next = pack(&noise(output, 11), (output, 1));
            let (expected, found) =
                (next.prepare(&gate, None), gated(&joined, &joined.prepare(&x, None), bias, Activation::Silu));
            assert_eq!((found.rows, found.input), (rows, output));
            assert!(found.steps[..] == expected.steps[..], "{rows} {input} {output}");
        }
    }
}

#[test]
fn nothing_to_multiply() {
    let matrix = pack(&noise(12, 7919), (3, 4));
    assert!(product(&matrix, &[], Added::default()).is_empty());
}
