//! The emulated board: the firmware's image in QEMU, its flash in a file, its network the host's loopback.
//!
//! Images come from `scripts/firmware-boards.sh`. What the board replays is read here from the recording itself, so that the
//! image's table is under test too.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sen_sim::Source;
use sen_wire::provision::{Gateway, Hidden, KEY_BYTES, PAGE, Provision, Tls};
use sen_wire::{Channel, Quantity, Value};

use crate::herd::What;
use crate::process::{Program, Running, tail};
use crate::sen::{Dumped, password};
use crate::wait;

/// Its name, as the firmware says it.
pub const NAME: &str = "qemu-mps2";
/// What QEMU's user network calls the host's loopback.
const HOST: &str = "10.0.2.2";
/// Flash pages: node configuration, settings, outbox.
const PAGES: usize = 1 + 2 + 64;
/// What the image holds of the recording; then it begins again.
pub const ROWS: usize = 240;
/// Channels, in the order of the image's rows.
pub const CHANNELS: [Quantity; 6] = [
    Quantity::WaterTemperature,
    Quantity::Salinity,
    Quantity::DissolvedOxygen,
    Quantity::WaterLevel,
    Quantity::Ph,
    Quantity::Turbidity,
];

/// How the board reaches the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Its Ethernet controller, on QEMU's user network.
    Ethernet,
    /// PPP over its second UART, to a socket of ours.
    Ppp,
}

/// A board with its flash. It dies with the test.
#[derive(Debug)]
pub struct Board {
    dir: PathBuf,
    wire: Wire,
    options: Vec<String>,
    process: Option<Running>,
}

impl Board {
    /// A board that was flashed for `node`, to reach the gateway at that port of this machine.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn flashed(dir: &Path, wire: Wire, node: &str, port: u16, tls: Tls<'_>) -> Result<Self> {
        let board = Self {
            dir: dir.to_owned(),
            wire,
            options: Vec::new(),
            process: None,
        };
        fs::write(board.flash_file(), vec![0xff; PAGES * PAGE])?;
        fs::write(board.cut_file(), "")?;
        board.configure(node, &password(node), port, tls)?;
        Ok(board)
    }

    /// Writes another node configuration over the one it has; the rest of its flash stays.
    ///
    /// # Errors
    /// When the file can't be written, or the configuration is none.
    pub fn configure(&self, node: &str, password: &str, port: u16, tls: Tls<'_>) -> Result<()> {
        let gateway = Gateway {
            host: HOST,
            port,
            tls,
        };
        let mut flash = fs::read(self.flash_file())?;
        let (page, _) = flash.split_at_mut_checked(PAGE).context("no flash")?;
        page.fill(0xff);
        let mut provision = Provision::new(node, "", gateway, NAME);
        provision.password = Hidden(password);
        provision.encode(page)?;
        fs::write(self.flash_file(), flash)?;
        Ok(())
    }

    /// Samples the first `rows` rows of the recording one every `pace`, then as the schedule says.
    #[must_use]
    pub fn quick(mut self, rows: usize, pace: Duration) -> Self {
        self.options = vec![
            format!("rows={rows}"),
            format!("pace_ms={}", pace.as_millis()),
        ];
        self
    }

    fn flash_file(&self) -> PathBuf {
        self.dir.join("flash.bin")
    }

    fn cut_file(&self) -> PathBuf {
        self.dir.join("cut.txt")
    }

    /// Where QEMU listens for who speaks PPP with the board.
    #[must_use]
    pub fn modem_file(&self) -> PathBuf {
        self.dir.join("modem.sock")
    }

    /// Powers it up.
    ///
    /// # Errors
    /// When there is no QEMU or no image.
    pub fn power_on(&mut self) -> Result<()> {
        let image = image(match self.wire {
            Wire::Ethernet => "qemu-mps2-ethernet",
            Wire::Ppp => "qemu-mps2-ppp",
        })?;
        let mut semihosting = format!(
            "enable=on,target=native,arg=sen,arg=flash={},arg=cut={}",
            self.flash_file().display(),
            self.cut_file().display()
        );
        for option in &self.options {
            semihosting += ",arg=";
            semihosting += option;
        }
        let mut qemu = Program::new("board", "qemu-system-arm")
            .args(["-M", "mps2-an385", "-display", "none", "-monitor", "none"])
            .args(["-serial", "stdio", "-semihosting-config", &semihosting])
            .arg("-kernel")
            .arg(image);
        qemu = match self.wire {
            Wire::Ethernet => qemu.args(["-nic", "user,model=lan9118"]),
            Wire::Ppp => {
                let socket = self.modem_file();
                let socket = format!(
                    "socket,id=modem,path={},server=on,wait=off",
                    socket.display()
                );
                qemu.args(["-nic", "none", "-chardev", &socket])
                    .args(["-serial", "chardev:modem"])
            }
        };
        self.process = Some(qemu.start(&self.dir)?);
        Ok(())
    }

    /// Cuts its power.
    pub fn power_off(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// Cuts the wires of these channels' probes, and mends all others.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn cut(&self, quantities: &[Quantity]) -> Result<()> {
        let codes = quantities.iter().map(|q| Channel::first(*q).code());
        let text: String = codes.map(|code| format!("{code}\n")).collect();
        // At once: the board must not read half of it.
        let new = self.dir.join("cut.new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, self.cut_file())?)
    }

    /// What it has written to its console since it was powered up.
    ///
    /// # Errors
    /// When it is off, or has ended by itself: a panic or a fault.
    pub fn console(&mut self) -> Result<String> {
        let process = self.process.as_mut().context("the board is off")?;
        let text = process.stdout();
        if let Some(status) = process.exited() {
            anyhow::bail!("the board ended ({status}):\n{}", tail(&text, 20));
        }
        Ok(text)
    }

    /// Waits until a line that begins so stands on its console.
    ///
    /// # Errors
    /// When it ends or takes too long; with the end of its console.
    pub async fn says(&mut self, start: &str) -> Result<String> {
        let what = format!("the board to say `{start}`");
        let found = wait::until(&what, wait::PATIENCE, || {
            let text = self.console();
            async {
                let text = text?;
                let line = text.lines().find(|line| line.starts_with(start));
                let line = line.with_context(|| format!("its console:\n{}", tail(&text, 20)))?;
                Ok(Some(line.to_owned()))
            }
        });
        found.await
    }

    /// The deepest stack it has told of and the room for it, bytes.
    ///
    /// # Errors
    /// When it has told none.
    pub fn stack(&mut self) -> Result<(u32, u32)> {
        let text = self.console()?;
        let line = text.lines().rfind(|line| line.starts_with("sen stack="));
        let words = line.and_then(|line| line.strip_prefix("sen stack=")?.split_once(" of="));
        let (used, room) = words.with_context(|| format!("no stack in {text}"))?;
        Ok((used.parse()?, room.parse()?))
    }
}

fn image(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let found = test
        .ancestors()
        .map(|dir| dir.join("boards").join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("no image {name}: run scripts/firmware-boards.sh"))
}

/// The pinned key of a gateway whose key file is given.
///
/// # Errors
/// When there is none.
pub fn public_key(file: &Path) -> Result<[u8; KEY_BYTES]> {
    let pem = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let key = rcgen::KeyPair::from_pem(&pem)?;
    let point = key.public_key_raw();
    point.try_into().context("not an uncompressed point")
}

/// What the board measures: row by row and channel by channel, from the recording itself.
///
/// # Errors
/// When the recording is not as it was.
pub fn replay(rows: usize) -> Result<Vec<(String, What)>> {
    let series = Source::EstuaryWater.load()?;
    let mut readings = Vec::new();
    for row in 0..rows {
        for quantity in CHANNELS {
            let channel = Channel::first(quantity);
            let value = series.values(row % ROWS).find(|(c, _)| *c == channel);
            if let Some((_, Value::Number(number))) = value {
                let what = What::Value(number.to_string().parse()?);
                readings.push((channel.to_string(), what));
            }
        }
    }
    Ok(readings)
}

/// Fails unless what the journal holds of one boot is that, place by place: none lost, none twice, none changed.
///
/// # Errors
/// With the first difference.
pub fn compare(expected: &[(String, What)], dump: &[Dumped], boot: u64) -> Result<()> {
    let mut found: Vec<&Dumped> = dump.iter().filter(|d| d.boot == Some(boot)).collect();
    found.sort_by_key(|d| d.seq);
    for (seq, ((channel, what), d)) in expected.iter().zip(&found).enumerate() {
        let same = match what {
            What::Value(value) => d.value == Some(*value) && d.fault.is_none(),
            What::Fault(fault) => d.fault.as_ref().and_then(|f| f.as_str()) == Some(fault),
        };
        ensure!(
            d.seq == u32::try_from(seq).ok() && d.channel == *channel && same,
            "at {seq}: {channel} {what:?}, the journal has {d:?}"
        );
    }
    ensure!(
        found.len() == expected.len(),
        "{} readings in the journal, {} measured",
        found.len(),
        expected.len()
    );
    Ok(())
}

/// The one boot that the journal knows, or the newest of several.
///
/// # Errors
/// When it holds nothing.
pub fn newest_boot(dump: &[Dumped]) -> Result<u64> {
    dump.iter().filter_map(|d| d.boot).max().context("no boot")
}
