//! `--device`: where tensors are computed.

use std::str::FromStr;

use anyhow::Context;
use neuro_model::Device;

use crate::error::Failure;

/// A device as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its number.
    Cuda(usize),
    /// An Apple GPU by its number.
    Metal(usize),
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, number) = text.split_once(':').unwrap_or((text, "0"));
        let number = number.parse().map_err(|_| format!("`{number}` is no device number; write cuda:0"));
        match kind {
            "cpu" if text == "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(number?)),
            "metal" => Ok(Self::Metal(number?)),
            _ => Err("the devices are cpu, cuda, cuda:N and metal".to_owned()),
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// When the binary was built without it, or the machine has none.
    pub(crate) fn open(self) -> anyhow::Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => {
                require(cfg!(feature = "cuda"), "cuda")?;
                Device::new_cuda(number).with_context(|| format!("device cuda:{number} cannot be opened"))
            }
            Self::Metal(number) => {
                require(cfg!(feature = "metal"), "metal")?;
                Device::new_metal(number).with_context(|| format!("device metal:{number} cannot be opened"))
            }
        }
    }
}

/// Every device that the binary was built for.
pub(crate) fn compiled_in() -> Vec<&'static str> {
    let devices = [("cpu", true), ("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
    devices.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
}

fn require(is_compiled: bool, name: &str) -> anyhow::Result<()> {
    if is_compiled {
        return Ok(());
    }
    let failure = Failure::new(format!("this binary was built without {name}, only for {}", compiled_in().join(", ")));
    Err(failure.hint(format!("build one with it: cargo build --release --features {name}")).into())
}
