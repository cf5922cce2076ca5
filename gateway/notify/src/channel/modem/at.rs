//! The conversation with a modem: commands, answers, and what it says unasked in between.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serial2_tokio::SerialPort;
use tokio::time::{Instant, timeout_at};

use super::pdu::{self, Part};
use super::{Failure, Patience, Retry};

/// A modem that talks without a line's end is out of order.
const LONGEST_LINE: usize = 1024;

/// An open line.
#[derive(Debug)]
pub(super) struct Session {
    port: SerialPort,
    buffer: Vec<u8>,
    reports: BTreeMap<u8, bool>,
    set_up: bool,
    in_order: bool,
    /// The next line is the PDU of a `+CDS`.
    report_follows: bool,
}

/// How a command ended.
enum End {
    Ok,
    Refused(String),
}

fn later(why: impl Into<String>) -> Failure {
    Failure {
        retry: Retry::Later,
        why: why.into(),
    }
}

fn broken(e: &std::io::Error) -> Failure {
    later(format!("the modem's line is broken: {e}"))
}

impl Session {
    pub(super) fn new(port: SerialPort) -> Self {
        Self {
            port,
            buffer: Vec::new(),
            reports: BTreeMap::new(),
            set_up: false,
            in_order: true,
            report_follows: false,
        }
    }

    pub(super) fn open(path: &Path, baud: u32) -> Result<Self, Failure> {
        let port = SerialPort::open(path, baud);
        Ok(Self::new(port.map_err(|e| {
            later(format!(
                "the modem at {} can't be opened: {e}",
                path.display()
            ))
        })?))
    }

    /// Whether the last command was answered.
    pub(super) fn in_order(&self) -> bool {
        self.in_order
    }

    pub(super) fn take_reports(&mut self) -> BTreeMap<u8, bool> {
        std::mem::take(&mut self.reports)
    }

    /// Brings the modem into the state that is needed, whatever an earlier conversation left.
    pub(super) async fn begin(&mut self, p: Patience) -> Result<(), Failure> {
        if self.set_up {
            return Ok(());
        }
        // ESC leaves a prompt that was waiting for a message; a modem that sees none ignores it.
        self.write(b"\x1b\r").await?;
        self.drain(p.command / 20).await?;
        // Echo off, PDU mode, numbers of errors, reports of delivery straight to us. The last two are not worth a failure.
        for (command, needed) in [
            ("ATE0", true),
            ("AT+CMGF=0", true),
            ("AT+CMEE=1", false),
            ("AT+CNMI=2,1,0,1,0", false),
        ] {
            match self.command(command, p.command).await? {
                End::Ok => {}
                End::Refused(why) if needed => {
                    return Err(later(format!("the modem refused {command}: {why}")));
                }
                End::Refused(_) => {}
            }
        }
        self.set_up = true;
        Ok(())
    }

    /// Sends one part: the reference that the network's report will have.
    pub(super) async fn submit(&mut self, part: &Part, p: Patience) -> Result<u8, Failure> {
        self.in_order = false;
        self.write(format!("AT+CMGS={}\r", part.length).as_bytes())
            .await?;
        if let Some(why) = self.prompt(Instant::now() + p.command).await? {
            self.in_order = true;
            return Err(refusal(&why));
        }
        self.write(format!("{}\x1a", part.hex).as_bytes()).await?;
        let until = Instant::now() + p.network;
        let mut reference = None;
        loop {
            let line = self.line(until).await?.ok_or_else(|| {
                later("the modem did not say whether the network took the message")
            })?;
            if let Some(mr) = line.strip_prefix("+CMGS:") {
                reference = mr
                    .trim()
                    .split(',')
                    .next()
                    .and_then(|n| n.trim().parse().ok());
            } else if let Some(end) = ending(&line) {
                self.in_order = true;
                return match (end, reference) {
                    (End::Ok, Some(mr)) => Ok(mr),
                    (End::Ok, None) => Err(later("the modem said OK and no +CMGS")),
                    (End::Refused(why), _) => Err(refusal(&why)),
                };
            }
        }
    }

    /// Reads what has arrived by itself.
    pub(super) async fn drain(&mut self, for_: Duration) -> Result<(), Failure> {
        let until = Instant::now() + for_;
        while self.line(until).await?.is_some() {}
        Ok(())
    }

    async fn command(&mut self, command: &str, patience: Duration) -> Result<End, Failure> {
        self.write(format!("{command}\r").as_bytes()).await?;
        let until = Instant::now() + patience;
        loop {
            let line = self
                .line(until)
                .await?
                .ok_or_else(|| later(format!("the modem does not answer {command}")))?;
            if let Some(end) = ending(&line) {
                return Ok(end);
            }
        }
    }

    /// Waits for `>`, which no line's end follows. The words if the modem refuses instead.
    async fn prompt(&mut self, until: Instant) -> Result<Option<String>, Failure> {
        loop {
            let blank = self
                .buffer
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            if self.buffer.get(blank) == Some(&b'>') {
                self.buffer.drain(..=blank);
                return Ok(None);
            }
            if let Some(line) = self.buffered_line() {
                if let Some(line) = self.sort(line)
                    && let Some(End::Refused(why)) = ending(&line)
                {
                    return Ok(Some(why));
                }
                continue;
            }
            if !self.read(until).await? {
                return Err(later("the modem gives no prompt for the message"));
            }
        }
    }

    /// The next line that belongs to the conversation; `None` when the time is over.
    async fn line(&mut self, until: Instant) -> Result<Option<String>, Failure> {
        loop {
            while let Some(line) = self.buffered_line() {
                if let Some(line) = self.sort(line) {
                    return Ok(Some(line));
                }
            }
            if !self.read(until).await? {
                return Ok(None);
            }
        }
    }

    /// Sets aside what the modem says unasked: reports of delivery are kept, everything else is let pass to whoever knows better.
    fn sort(&mut self, line: String) -> Option<String> {
        if self.report_follows {
            self.report_follows = false;
            // A report that is cut off by something else is lost, and so is that line only if it was none.
            if let Some(r) = pdu::report(&line) {
                if let Some(delivered) = r.delivered {
                    self.reports.insert(r.reference, delivered);
                }
                return None;
            }
        }
        if line.starts_with("+CDS:") {
            self.report_follows = true;
            return None;
        }
        Some(line)
    }

    fn buffered_line(&mut self) -> Option<String> {
        loop {
            let end = self
                .buffer
                .iter()
                .position(|b| matches!(b, b'\r' | b'\n'))?;
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            if !line.is_empty() {
                return Some(line);
            }
        }
    }

    /// Reads some more; `false` when the time is over.
    async fn read(&mut self, until: Instant) -> Result<bool, Failure> {
        if self.buffer.len() > LONGEST_LINE {
            if self.set_up {
                return Err(later("the modem sends something that is no answer"));
            }
            // What an earlier conversation left on the line; the answer is behind it.
            self.buffer.clear();
        }
        let mut chunk = [0; 256];
        match timeout_at(until, self.port.read(&mut chunk)).await {
            Err(_) => Ok(false),
            Ok(Ok(0)) => Err(later("the modem has gone")),
            Ok(Ok(n)) => {
                self.buffer.extend(chunk.iter().take(n));
                Ok(true)
            }
            Ok(Err(e)) => Err(broken(&e)),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.port.write_all(bytes).await.map_err(|e| broken(&e))
    }
}

/// Whether a line ends a command. An echo of the command, or `+CREG: 1` in between, does not.
fn ending(line: &str) -> Option<End> {
    match line {
        "OK" => Some(End::Ok),
        "ERROR" => Some(End::Refused(line.to_owned())),
        _ if line.starts_with("+CMS ERROR:") || line.starts_with("+CME ERROR:") => {
            Some(End::Refused(line.to_owned()))
        }
        _ => None,
    }
}

/// What a refusal means (3GPP TS 24.011 annex E, TS 27.005 section 3.2.5): a number that can't be reached for ever, or something
/// that may pass.
fn refusal(why: &str) -> Failure {
    let code = why
        .strip_prefix("+CMS ERROR:")
        .and_then(|n| n.trim().parse::<u16>().ok());
    // Unassigned number, barred by the operator, barred by the subscriber, rejected, unidentified, unknown subscriber.
    let never = matches!(code, Some(1 | 8 | 10 | 21 | 28 | 30));
    Failure {
        retry: if never { Retry::Never } else { Retry::Later },
        why: format!("the modem refused the message: {why}"),
    }
}
