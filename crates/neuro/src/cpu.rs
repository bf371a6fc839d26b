//! What the binary was compiled for, and what the processor has.
//!
//! `is_x86_feature_detected!` cannot tell: it answers "yes" without looking for every feature that the compiler was
//! allowed to use. So the features are read from the processor itself.

use std::io::Write;
use std::process::ExitCode;

/// A feature that the compiler may have used, and whether the processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Feature {
    /// Name as the compiler spells it.
    pub(crate) name: &'static str,
    /// Whether the binary was compiled to use it.
    pub(crate) compiled: bool,
    /// Whether the processor has it.
    pub(crate) present: bool,
}

/// The architecture that the binary was compiled for.
pub(crate) const ARCHITECTURE: &str = std::env::consts::ARCH;

/// Writes one list of features twice: as a chain of tests that stops at the first missing one, and as a table.
///
/// The chain runs before anything is known about the processor. It calls nothing, moves nothing larger than a register
/// and compares one bit at a time, so that even a compiler that may use every instruction finds no use for them.
#[cfg(target_arch = "x86_64")]
macro_rules! features {
    ($($name:tt $register:ident $bit:literal)*) => {
        /// The first feature that the binary was compiled to use and that the processor lacks.
        #[inline(never)]
        pub(crate) fn missing_feature() -> Option<&'static str> {
            $(if cfg!(target_feature = $name) && bit(Register::$register, $bit) == 0 {
                return Some($name);
            })*
            None
        }

        /// Every feature that matters here.
        pub(crate) fn features() -> Vec<Feature> {
            vec![$(Feature {
                name: $name,
                compiled: cfg!(target_feature = $name),
                present: bit(Register::$register, $bit) != 0,
            }),*]
        }
    };
}

/// Where a feature's bit is found: a leaf of `cpuid`, its sub-leaf, and one of the registers that come back.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
enum Register {
    Leaf1Ecx,
    Leaf7Ebx,
    Leaf7Ecx,
    Leaf7Edx,
    Leaf7Sub1Eax,
    ExtendedEcx,
}

// Bits as in the Intel 64 and IA-32 manual, volume 2, CPUID, and the AMD64 manual, volume 3, appendix E.
#[cfg(target_arch = "x86_64")]
features! {
    "sse3" Leaf1Ecx 0
    "pclmulqdq" Leaf1Ecx 1
    "ssse3" Leaf1Ecx 9
    "fma" Leaf1Ecx 12
    "cmpxchg16b" Leaf1Ecx 13
    "sse4.1" Leaf1Ecx 19
    "sse4.2" Leaf1Ecx 20
    "movbe" Leaf1Ecx 22
    "popcnt" Leaf1Ecx 23
    "aes" Leaf1Ecx 25
    "avx" Leaf1Ecx 28
    "f16c" Leaf1Ecx 29
    "lzcnt" ExtendedEcx 5
    "bmi1" Leaf7Ebx 3
    "avx2" Leaf7Ebx 5
    "bmi2" Leaf7Ebx 8
    "avx512f" Leaf7Ebx 16
    "avx512dq" Leaf7Ebx 17
    "adx" Leaf7Ebx 19
    "avx512ifma" Leaf7Ebx 21
    "avx512cd" Leaf7Ebx 28
    "sha" Leaf7Ebx 29
    "avx512bw" Leaf7Ebx 30
    "avx512vl" Leaf7Ebx 31
    "avx512vbmi" Leaf7Ecx 1
    "avx512vbmi2" Leaf7Ecx 6
    "gfni" Leaf7Ecx 8
    "vaes" Leaf7Ecx 9
    "vpclmulqdq" Leaf7Ecx 10
    "avx512vnni" Leaf7Ecx 11
    "avx512bitalg" Leaf7Ecx 12
    "avx512vpopcntdq" Leaf7Ecx 14
    "avx512fp16" Leaf7Edx 23
    "avxvnni" Leaf7Sub1Eax 4
    "avx512bf16" Leaf7Sub1Eax 5
}

/// One bit of `cpuid`; 0 for a leaf that the processor does not have.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
fn bit(register: Register, bit: u32) -> u32 {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    let (leaf, sub_leaf) = match register {
        Register::Leaf1Ecx => (1, 0),
        Register::Leaf7Ebx | Register::Leaf7Ecx | Register::Leaf7Edx => (7, 0),
        Register::Leaf7Sub1Eax => (7, 1),
        Register::ExtendedEcx => (0x8000_0001, 0),
    };
    if __cpuid(leaf & 0x8000_0000).eax < leaf {
        return 0;
    }
    if sub_leaf > 0 && __cpuid_count(leaf, 0).eax < sub_leaf {
        return 0;
    }
    let answer = __cpuid_count(leaf, sub_leaf);
    let word = match register {
        Register::Leaf1Ecx | Register::Leaf7Ecx | Register::ExtendedEcx => answer.ecx,
        Register::Leaf7Ebx => answer.ebx,
        Register::Leaf7Edx => answer.edx,
        Register::Leaf7Sub1Eax => answer.eax,
    };
    word & (1 << bit)
}

/// Elsewhere a program cannot ask the processor; what the compiler was told is trusted.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn missing_feature() -> Option<&'static str> {
    None
}

/// Elsewhere a program cannot ask the processor; only what the compiler was told is known.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn features() -> Vec<Feature> {
    let compiled = [
        ("neon", cfg!(target_feature = "neon")),
        ("dotprod", cfg!(target_feature = "dotprod")),
        ("fp16", cfg!(target_feature = "fp16")),
        ("i8mm", cfg!(target_feature = "i8mm")),
        ("bf16", cfg!(target_feature = "bf16")),
    ];
    compiled
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, compiled)| Feature { name, compiled, present: true })
        .collect()
}

/// Says that the binary cannot run here. Writes bytes and formats nothing, for the reason given at `features!`.
#[inline(never)]
pub(crate) fn refuse(feature: &'static str) -> ExitCode {
    let mut stderr = std::io::stderr();
    let _ = stderr.write_all(b"error: this binary was compiled for a processor with ");
    let _ = stderr.write_all(feature.as_bytes());
    let _ = stderr.write_all(
        b", which this one does not have\n\
          hint: build it on this machine with `cargo build --release`\n\
          hint: or slower, for any machine of the kind, with `RUSTFLAGS=\"-C target-cpu=x86-64-v2\"` before it\n",
    );
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_that_compiled_the_tests_can_run_them() {
        assert_eq!(missing_feature(), None);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn features_that_were_not_compiled_in_agree_with_the_standard_library() {
        let detected = [
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
            ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
            ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
            ("avx512fp16", is_x86_feature_detected!("avx512fp16")),
            ("avxvnni", is_x86_feature_detected!("avxvnni")),
            ("lzcnt", is_x86_feature_detected!("lzcnt")),
            ("sha", is_x86_feature_detected!("sha")),
        ];
        let features = features();
        for (name, expected) in detected {
            let feature = features.iter().find(|feature| feature.name == name).expect("listed");
            assert_eq!(feature.present, expected, "{name}");
        }
    }
}
