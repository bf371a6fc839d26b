//! The diverging colours of the pictures: red = better, blue = worse, white = 0, grey = not measured.

/// A colour in sRGB, one byte per channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rgb(pub(crate) u8, pub(crate) u8, pub(crate) u8);

/// Nine colours from 0 to the end of a side. Computed once in OKLab so that lightness falls by the same amount at every
/// step (1.00 to 0.36) and the two sides match; written out because trigonometry may round differently on another machine.
pub(crate) const BETTER: [Rgb; 9] = [
    Rgb(0xff, 0xff, 0xff),
    Rgb(0xff, 0xdd, 0xca),
    Rgb(0xff, 0xb7, 0x9e),
    Rgb(0xfd, 0x8d, 0x78),
    Rgb(0xf1, 0x65, 0x5a),
    Rgb(0xdb, 0x41, 0x44),
    Rgb(0xba, 0x29, 0x36),
    Rgb(0x97, 0x18, 0x2b),
    Rgb(0x72, 0x10, 0x22),
];
/// The same for worse than the baseline.
pub(crate) const WORSE: [Rgb; 9] = [
    Rgb(0xff, 0xff, 0xff),
    Rgb(0xce, 0xea, 0xf8),
    Rgb(0x9f, 0xd2, 0xf2),
    Rgb(0x75, 0xb9, 0xeb),
    Rgb(0x51, 0x9e, 0xe1),
    Rgb(0x39, 0x83, 0xcd),
    Rgb(0x2b, 0x6a, 0xb1),
    Rgb(0x22, 0x52, 0x90),
    Rgb(0x1a, 0x3c, 0x6e),
];

/// A block that was not measured.
pub(crate) const UNMEASURED: Rgb = Rgb(0xb0, 0xb0, 0xb0);
/// The ring around the best block.
pub(crate) const BEST: Rgb = Rgb(0x32, 0xe0, 0x5a);

/// The colours of a 256-colour terminal that come nearest to [`BETTER`] and [`WORSE`] while lightness still falls at every
/// step. The nearest colour by distance would repeat itself and jump in hue.
const BETTER_256: [u8; 9] = [231, 224, 217, 210, 203, 167, 160, 124, 88];
const WORSE_256: [u8; 9] = [231, 189, 153, 111, 75, 68, 26, 25, 18];

impl Rgb {
    /// `#rrggbb`.
    pub(crate) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }

    /// The colour `share` of the way to `other`; 0 is this one.
    pub(crate) fn mix(self, other: Self, share: f64) -> Self {
        let channel = |from: u8, to: u8| {
            let value = f64::from(from) + (f64::from(to) - f64::from(from)) * share;
            // A mean of two bytes is a byte.
            value.round().clamp(0.0, 255.0) as u8
        };
        Self(channel(self.0, other.0), channel(self.1, other.1), channel(self.2, other.2))
    }

    /// Whether black text on it reads better than white text.
    pub(crate) fn is_light(self) -> bool {
        // The usual weights of luma; precise enough to choose between two inks.
        299 * u32::from(self.0) + 587 * u32::from(self.1) + 114 * u32::from(self.2) > 140_000
    }

    /// The index of a 256-colour terminal's colour that comes nearest, among the 6 × 6 × 6 cube and the greys.
    pub(crate) fn nearest_256(self) -> u8 {
        const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        let nearest_level =
            |value: u8| (0..6u8).min_by_key(|&level| value.abs_diff(LEVELS[usize::from(level)])).unwrap_or_default();
        let distance = |other: Self| {
            [(self.0, other.0), (self.1, other.1), (self.2, other.2)]
                .map(|(left, right)| u32::from(left.abs_diff(right)).pow(2))
                .iter()
                .sum::<u32>()
        };
        let (red, green, blue) = (nearest_level(self.0), nearest_level(self.1), nearest_level(self.2));
        let cube = Self(LEVELS[usize::from(red)], LEVELS[usize::from(green)], LEVELS[usize::from(blue)]);
        let grey = (0..24u8)
            .min_by_key(|step| distance(Self(8 + 10 * step, 8 + 10 * step, 8 + 10 * step)))
            .unwrap_or_default();
        let shade = 8 + 10 * grey;
        if distance(Self(shade, shade, shade)) < distance(cube) { 232 + grey } else { 16 + 36 * red + 6 * green + blue }
    }
}

/// Distance from white in steps of the tables, at most 8. `min` alone would take what is not a number for the end.
fn eighths(position: f64) -> f64 {
    if position.is_nan() { 0.0 } else { position.abs().min(1.0) * 8.0 }
}

/// The colour at `position` from −1 (worst shown) through 0 (white) to 1 (best shown).
pub(crate) fn diverging(position: f64) -> Rgb {
    let side = if position < 0.0 { &WORSE } else { &BETTER };
    let place = eighths(position);
    let below = (place.floor() as usize).min(7);
    side[below].mix(side[below + 1], place - below as f64)
}

/// The same on a 256-colour terminal.
pub(crate) fn diverging_256(position: f64) -> u8 {
    let side = if position < 0.0 { &WORSE_256 } else { &BETTER_256 };
    side[(eighths(position).round() as usize).min(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lightness L of OKLab, after Björn Ottosson, "A perceptual color space for image processing" (2020).
    fn lightness(color: Rgb) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let (red, green, blue) = (linear(color.0), linear(color.1), linear(color.2));
        let long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue).cbrt();
        let medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue).cbrt();
        let short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue).cbrt();
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    }

    #[test]
    fn both_sides_darken_evenly_and_alike() {
        for step in 0..9u8 {
            let expected = 1.0 - 0.08 * f64::from(step);
            let position = f64::from(step) / 8.0;
            assert!((lightness(diverging(position)) - expected).abs() < 0.003, "better, step {step}");
            assert!((lightness(diverging(-position)) - expected).abs() < 0.003, "worse, step {step}");
        }
    }

    #[test]
    fn red_is_better_blue_is_worse_and_white_is_nothing() {
        assert_eq!(diverging(0.0), Rgb(255, 255, 255));
        let (better, worse) = (diverging(1.0), diverging(-1.0));
        assert!(better.0 > better.2 && worse.2 > worse.0);
        assert_eq!(diverging(7.0), better, "beyond the end is clipped");
        assert_eq!(diverging(f64::NAN), Rgb(255, 255, 255), "not a number has no direction");
    }

    #[test]
    fn the_256_colour_ramp_darkens_at_every_step() {
        let rgb = |index: u8| {
            let level = |value: u8| [0u8, 95, 135, 175, 215, 255][usize::from(value)];
            let index = index - 16;
            Rgb(level(index / 36), level(index / 6 % 6), level(index % 6))
        };
        for side in [&BETTER_256, &WORSE_256] {
            assert!(side.windows(2).all(|pair| lightness(rgb(pair[0])) > lightness(rgb(pair[1]))));
        }
    }

    #[test]
    fn nearest_256_knows_cube_and_greys() {
        assert_eq!(Rgb(255, 255, 255).nearest_256(), 231);
        assert_eq!(Rgb(128, 128, 128).nearest_256(), 244);
        assert_eq!(Rgb(255, 0, 0).nearest_256(), 196);
    }
}
