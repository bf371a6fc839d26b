use std::collections::HashMap;

use super::*;

fn noise(rows: usize, columns: usize, seed: usize) -> Tensor {
    // The finaliser of splitmix64.
    let mix = |i: usize| {
        let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed as u64);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
    };
    let values = (0..rows * columns).map(|i| mix(i) as f32 / (1 << 23) as f32 - 1.0).collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
}

fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.to_vec2().unwrap()
}

/// Whether a row comes out the same, bit for bit, among others and with fewer: what ties of greedy decoding rest on.
/// Dense products of one row and sometimes of two go another way in the tensor library and are only close.
#[test]
fn a_row_does_not_depend_on_how_many_there_are() {
    for kind in WeightType::ALL {
        for (input, output) in [(896, 300), (300, 96), (64, 48)] {
            let linear = Linear::from_weight(noise(output, input, 7919), kind).unwrap();
            let x = noise(700, input, 5381);
            let whole = rows(&linear.forward(&x).unwrap());
            for count in [1, 2, 7, 64, 65, 512] {
                let some = rows(&linear.forward(&x.narrow(0, 0, count).unwrap()).unwrap());
                if Weight::is_packed(kind) || kind == WeightType::Q4K || count > 2 {
                    assert_eq!(some, whole[..count], "{kind:?}, {input} x {output}, {count} rows");
                }
                let both = some.iter().flatten().zip(whole.iter().flatten());
                let worst = both.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
                assert!(worst < 1e-4, "{kind:?}, {input} x {output}, {count} rows: {worst}");
            }
        }
    }
}

/// Quantised products are those of the weights that the blocks stand for, but for the rounding of activations.
#[test]
fn products_agree_with_the_formula() {
    for (kind, bound) in [(WeightType::F32, 1e-6), (WeightType::Q8_0, 0.01), (WeightType::Q4K, 0.1)] {
        for (input, output) in [(896, 128), (100, 33)] {
            let (weight, x) = (noise(output, input, 7919), noise(5, input, 5381));
            let found = rows(&Linear::from_weight(weight.clone(), kind).unwrap().forward(&x).unwrap());
            let (mut difference, mut size) = (0.0, 0.0);
            for (x, found) in rows(&x).iter().zip(found) {
                for (weight, found) in rows(&weight).iter().zip(found) {
                    let pairs = x.iter().zip(weight);
                    let exact: f64 = pairs.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    difference += (f64::from(found) - exact).powi(2);
                    size += exact.powi(2);
                }
            }
            let relative = (difference / size).sqrt();
            assert!(relative < bound, "{kind:?}, {input} x {output}: {relative}");
            assert!(kind == WeightType::F32 || relative > bound / 30.0, "{kind:?} was not quantised: {relative}");
        }
    }
}

#[test]
fn joined_projections_lie_behind_one_another() {
    let mut source = HashMap::new();
    for (name, output) in [("a", 48), ("b", 16)] {
        source.insert(format!("{name}.weight"), noise(output, 40, 7919 + output));
        source.insert(format!("{name}.bias"), noise(1, output, 31).squeeze(0).unwrap());
    }
    let x = noise(9, 40, 5381);
    let one = |name, output| Linear::load(&source, name, (40, output), true).unwrap().forward(&x).unwrap();
    let joined = Linear::load_joined(&source, &[("a", 48), ("b", 16)], 40, true).unwrap();
    let both = Tensor::cat(&[one("a", 48), one("b", 16)], 1).unwrap();
    for (found, expected) in rows(&joined.forward(&x).unwrap()).iter().zip(rows(&both)) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    let weight = Linear::bytes_of(40, 48 + 16, WeightType::F32) as usize;
    assert_eq!(joined.bytes(), weight + (48 + 16) * 4);
}

fn random(parts: &[(&str, usize)], input: usize) -> HashMap<String, Tensor> {
    let mut source = HashMap::new();
    for (name, output) in parts {
        source.insert(format!("{name}.weight"), noise(*output, input, 7919 + output));
        source.insert(format!("{name}.bias"), noise(1, *output, 31).squeeze(0).unwrap());
    }
    source
}

/// Several products of the same rows in one go are, bit for bit, those alone; what they are added to is added last.
#[test]
fn together_as_alone() {
    let parts = [("a", 300), ("b", 48), ("c", 16)];
    let source = random(&parts, 96);
    let all = parts.map(|(name, output)| Linear::load(&source, name, (96, output), true).unwrap());
    for count in [1, 9, 400] {
        let x = noise(count, 96, 5381);
        let together = Linear::apply_all(all.each_ref(), &Input::new(&x)).unwrap();
        for (linear, found) in all.iter().zip(&together) {
            assert_eq!(rows(found), rows(&linear.forward(&x).unwrap()));
            let onto = noise(count, linear.output, 11);
            let expected = (&onto + found).unwrap();
            assert_eq!(rows(&linear.apply_onto(&Input::new(&x), &onto).unwrap()), rows(&expected));
        }
    }
}

/// What gates inside a product gives, bit for bit, what is gated behind it, whatever reads it next.
#[test]
fn gated_as_behind_a_joined_product() {
    use neuro_checkpoint::Activation;

    for (input, output) in [(96, 100), (40, 33)] {
        let source = random(&[("gate", output), ("up", output), ("down", input)], input);
        let down = Linear::from_weight(noise(24, output, 3), WeightType::F32).unwrap();
        let names = ["gate".to_owned(), "up".to_owned()];
        let gated = Gated::load(&source, &names, (input, output), true, Activation::Silu).unwrap();
        assert_eq!(gated.is_some(), down.is_packed());
        let Some(gated) = gated else { continue };
        let joined = Linear::load_joined(&source, &[("gate", output), ("up", output)], input, true).unwrap();
        assert_eq!(gated.bytes() - 2 * output * 4, Gated::bytes_of(input, output, WeightType::F32) as usize);
        let x = noise(70, input, 5381);
        let mut expected = vec![0.0; 70 * output];
        let both = joined.forward(&x).unwrap();
        crate::kernels::gated::gated_joined(Values::of(&both).unwrap().get(), output, Activation::Silu, &mut expected);
        let expected = down.forward(&Tensor::from_vec(expected, (70, output), &Device::Cpu).unwrap()).unwrap();
        let found = gated.forward(&Input::new(&x)).unwrap();
        assert_eq!(rows(&down.apply(&found).unwrap()), rows(&expected), "{input} x {output}");
        // Another width, or weights in another order, cannot read it.
        assert!(joined.apply(&found).is_err() || input == output);
        let dense = Linear::sharing(noise(24, output, 3), WeightType::F32).unwrap();
        assert!(dense.apply(&found).is_err());
    }
}

/// Whatever weights are held as, what is not finite spoils its row, all of it, and no other.
#[test]
fn what_is_not_finite_spoils_its_row_alone() {
    for kind in WeightType::ALL {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for bias in [None, Some(noise(1, 33, 31).squeeze(0).unwrap())] {
                let linear = Linear { bias, ..Linear::from_weight(noise(33, 300, 7919), kind).unwrap() };
                let mut x = rows(&noise(300, 300, 5381));
                let whole = rows(&linear.forward(&Tensor::new(x.clone(), &Device::Cpu).unwrap()).unwrap());
                x[7][260] = bad;
                x[299].fill(bad);
                let found = rows(&linear.forward(&Tensor::new(x, &Device::Cpu).unwrap()).unwrap());
                for (row, (found, whole)) in found.iter().zip(&whole).enumerate() {
                    match row {
                        7 | 299 => assert!(found.iter().all(|value| !value.is_finite()), "{kind:?} {bad} {row}"),
                        _ => assert_eq!(found, whole, "{kind:?} {bad} {row}"),
                    }
                }
            }
        }
    }
}

/// Rows that are normed on their way into a product give, bit for bit, what normed rows give; so do some of them.
#[test]
fn normed_in_passing_as_before() {
    use neuro_checkpoint::NormKind;

    use crate::norm::Norm;
    use crate::source::Kernels;

    for (input, output) in [(96, 100), (37, 33)] {
        let mut source = random(&[("w", output)], input);
        source.insert("norm.weight".to_owned(), noise(1, input, 77).squeeze(0).unwrap());
        source.insert("norm.bias".to_owned(), noise(1, input, 78).squeeze(0).unwrap());
        for kind in WeightType::ALL {
            let linear = Linear::from_weight(source["w.weight"].clone(), kind).unwrap();
            for norm_kind in [NormKind::Rms, NormKind::RmsAroundOne, NormKind::Layer] {
                for kernels in [Kernels::Fused, Kernels::Differentiable] {
                    let norm = Norm::load(&source, "norm", input, (norm_kind, 1e-5), kernels).unwrap();
                    let x = noise(400, input, 5381);
                    let expected = rows(&linear.forward(&norm.forward(&x).unwrap()).unwrap());
                    let passing = Input::normed(Some(&norm), &x);
                    let some = passing.select(&[3, 399, 8]).unwrap();
                    let found = rows(&linear.apply(&passing).unwrap());
                    assert_eq!(found, expected, "{kind:?} {norm_kind:?} {input} x {output}");
                    let found = rows(&linear.apply(&some).unwrap());
                    let expected: Vec<Vec<f32>> = [3, 399, 8].map(|row: usize| expected[row].clone()).to_vec();
                    match linear.is_packed() || kind == WeightType::Q4K {
                        true => assert_eq!(found, expected, "{kind:?} {norm_kind:?}, some rows"),
                        false => assert_eq!(found.len(), expected.len()),
                    }
                    // Rows that somebody has wanted as they are serve products as well.
                    let asked = Input::normed(Some(&norm), &x);
                    assert_eq!(rows(asked.tensor().unwrap()), rows(&norm.forward(&x).unwrap()));
                    assert_eq!(rows(&linear.apply(&asked).unwrap())[399], expected[1]);
                }
            }
        }
    }
}
