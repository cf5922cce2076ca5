//! The programs that bring bytes onto a board: espflash over a serial line, probe-rs over a debug probe. They are found on
//! the PATH; the gateway carries neither.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// How a board is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// espflash, for an ESP32.
    Espflash {
        /// The chip, such as `esp32c3`.
        chip: String,
        /// The serial port; `None`: espflash looks for one.
        port: Option<String>,
    },
    /// probe-rs, for everything with a debug port.
    ProbeRs {
        /// The chip, as probe-rs calls it.
        chip: String,
        /// The address of the flash's first byte.
        base: u32,
    },
}

/// The tool is not there.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} is not on the PATH: install it with `cargo install {package}`, or write the file of --out with another tool"
)]
pub struct Missing {
    name: &'static str,
    package: &'static str,
}

impl Tool {
    /// The program's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Espflash { .. } => "espflash",
            Self::ProbeRs { .. } => "probe-rs",
        }
    }

    /// The program's file.
    ///
    /// # Errors
    /// [`Missing`], with what to install.
    pub fn find(&self) -> Result<PathBuf, Missing> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|dir| dir.join(self.name()))
            .find(|file| file.is_file())
            .ok_or(Missing {
                name: self.name(),
                package: match self {
                    Self::Espflash { .. } => "espflash",
                    Self::ProbeRs { .. } => "probe-rs-tools",
                },
            })
    }

    /// Its arguments for writing `file` at `offset` from the flash's first byte.
    #[must_use]
    pub fn arguments(&self, file: &Path, offset: u32) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        match self {
            Self::Espflash { chip, port } => {
                words.extend(["write-bin", "--chip", chip].map(OsString::from));
                if let Some(port) = port {
                    words.extend(["--port", port].map(OsString::from));
                }
                words.push(format!("{offset:#x}").into());
                words.push(file.into());
            }
            Self::ProbeRs { chip, base } => {
                words.extend(
                    ["download", "--chip", chip, "--binary-format", "bin"].map(OsString::from),
                );
                words.push("--base-address".into());
                words.push(format!("{:#x}", base.wrapping_add(offset)).into());
                words.push(file.into());
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_to_write() {
        let words = |tool: &Tool, offset| {
            tool.arguments(Path::new("a.bin"), offset)
                .join(&OsString::from(" "))
                .into_string()
                .unwrap()
        };
        let esp = Tool::Espflash {
            chip: "esp32c3".to_owned(),
            port: Some("/dev/ttyACM0".to_owned()),
        };
        assert_eq!(
            words(&esp, 0xb000),
            "write-bin --chip esp32c3 --port /dev/ttyACM0 0xb000 a.bin"
        );
        let stm = Tool::ProbeRs {
            chip: "STM32F405RG".to_owned(),
            base: 0x0800_0000,
        };
        assert_eq!(
            words(&stm, 0x7f000),
            "download --chip STM32F405RG --binary-format bin --base-address 0x807f000 a.bin"
        );
    }
}
