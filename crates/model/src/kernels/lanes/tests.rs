use super::*;

fn exp(x: f32) -> f32 {
    let mut out = [0.0; LANES];
    Lanes::splat(x).exp().store(&mut out);
    out[7]
}

#[test]
fn error_of_exp_is_below_two_units_in_the_last_place() {
    let mut worst = 0f64;
    // Every 1,009th f32 between the ends, both signs.
    for bits in (0..=88.376f32.to_bits()).step_by(1009) {
        for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
            if x < -87.336_54 {
                continue;
            }
            let exact = f64::from(x).exp();
            let unit = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst = worst.max((f64::from(exp(x)) - exact).abs() / unit);
        }
    }
    assert!(worst < 2.0, "{worst} units");
    assert!(worst > 0.4, "{worst} units is better than rounding: nothing was compared");
}

#[test]
fn ends_of_exp() {
    assert_eq!([exp(f32::NEG_INFINITY), exp(-1e9), exp(-88.0)], [0.0; 3]);
    assert_eq!([exp(0.0), exp(-0.0)], [1.0; 2]);
    assert_eq!([exp(88.4), exp(f32::INFINITY)], [f32::INFINITY; 2]);
    assert!(exp(88.37).is_finite() && exp(-87.3) > 0.0);
    assert!(exp(f32::NAN).is_nan());
}

#[test]
fn parts_and_ranges() {
    let counted: [f32; LANES] = std::array::from_fn(|lane| lane as f32);
    let mut part = [0.0; 5];
    Lanes::load_part(&counted[1..6]).store_part(&mut part);
    assert_eq!(part, [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!((Lanes::load(&counted).sum(), Lanes::load(&counted).largest()), (120.0, 15.0));
    for lanes in [0..0, 0..16, 3..5, 15..16, 2..99] {
        let mut out = [0.0; LANES];
        Lanes::load(&counted).within(lanes.clone(), Lanes::splat(-1.0)).store(&mut out);
        let expected = counted.map(|lane| if lanes.contains(&(lane as usize)) { lane } else { -1.0 });
        assert_eq!(out, expected);
    }
}

#[test]
fn columns_are_rows() {
    let value = |row: usize, column: usize| (row * LANES + column) as f32;
    let line = |of: &dyn Fn(usize) -> f32| std::array::from_fn::<f32, LANES, _>(of);
    let rows = std::array::from_fn(|row| Lanes::load(&line(&|column| value(row, column))));
    for (column, lanes) in Lanes::transpose(rows).into_iter().enumerate() {
        let mut out = [0.0; LANES];
        lanes.store(&mut out);
        assert_eq!(out, line(&|row| value(row, column)));
    }
}

#[test]
fn largest_passes_over_nan() {
    let (number, nan) = (Lanes::splat(1.0), Lanes::splat(f32::NAN));
    assert_eq!(number.max(nan).largest(), 1.0);
    assert_eq!(nan.largest(), f32::NEG_INFINITY);
}
