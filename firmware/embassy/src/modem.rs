//! The dialogue with a 4G modem until it speaks PPP: 3GPP TS 27.007 and V.250, as SIM7600 and A7670 understand them.
//!
//! ```text
//! +++        ends a connection that an earlier start left open
//! AT         until it answers; ATE0: no echo
//! AT+CPIN?   READY, or there is no SIM, or it wants a PIN
//! AT+CEREG?  or AT+CGREG?: 1 (home) or 5 (roaming), else wait
//! AT+CSQ     signal, if it says
//! AT+CGDCONT=1,"IP","<APN>"
//! ATD*99#    CONNECT: what follows is PPP
//! ```
//! Nothing is read past the line of CONNECT. Lines that nobody asked for are passed over.

use core::fmt;

use embassy_time::{Duration, Instant, Timer, with_timeout};
use embedded_io_async::{BufRead, Write};

/// How long things may take. [`Pace::MODEM`] is what a modem needs; tests are quicker.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Silence before and after `+++` (V.250 section 2.1: a second).
    pub guard: Duration,
    /// Silence after which a line is over.
    pub gap: Duration,
    /// For the answer to a command.
    pub answer: Duration,
    /// For a modem that was just switched on to answer at all.
    pub wake: Duration,
    /// For a network to be found.
    pub register: Duration,
    /// For a connection once dialled.
    pub connect: Duration,
}

impl Pace {
    /// SIM7600 and A7670 answer some ten seconds after power and may search for a network for minutes.
    pub const MODEM: Self = Self {
        guard: Duration::from_millis(1_100),
        gap: Duration::from_millis(100),
        answer: Duration::from_secs(2),
        wake: Duration::from_secs(20),
        register: Duration::from_secs(120),
        connect: Duration::from_secs(30),
    };
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialError {
    /// The modem does not answer: power, wires, speed.
    Silent,
    /// No SIM, or one that wants a PIN.
    NoSim,
    /// No network lets the SIM in: antenna, coverage, unpaid bill.
    NoNetwork,
    /// The APN has characters that can't be dialled.
    Apn,
    /// The network refuses the connection: most often the APN is wrong.
    Refused,
    /// The serial line failed.
    Serial,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "the modem does not answer: check its power and wires",
            Self::NoSim => "no SIM, or it wants a PIN: take the PIN off in a phone",
            Self::NoNetwork => "no mobile network: check antenna, coverage and the SIM's plan",
            Self::Apn => "the APN has characters that can't be dialled",
            Self::Refused => "the mobile network refuses the connection: check the APN",
            Self::Serial => "the serial line to the modem fails",
        })
    }
}

impl core::error::Error for DialError {}

/// What the modem said on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialled {
    /// Received signal strength, dBm.
    pub rssi_dbm: Option<i16>,
}

/// Brings the modem to where it speaks PPP. May be called again whenever the connection is gone.
///
/// # Errors
/// A [`DialError`] for each step that does not go well.
pub async fn dial<S: BufRead + Write>(
    serial: &mut S,
    apn: &str,
    pace: &Pace,
) -> Result<Dialled, DialError> {
    // Within the quotes of a command: another quote would end them, a line's end the command.
    if !apn
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'"')
    {
        return Err(DialError::Apn);
    }
    let mut modem = Modem { serial, pace };
    modem.hang_up().await?;
    modem.wake().await?;
    modem.command(&["ATE0"], |_| {}).await?;
    let mut ready = false;
    let sim = |line: &[u8]| ready |= line == b"+CPIN: READY";
    // A modem without a SIM answers with an error.
    modem.command(&["AT+CPIN?"], sim).await?;
    if !ready {
        return Err(DialError::NoSim);
    }
    modem.register().await?;
    let mut dialled = Dialled::default();
    let signal = |line: &[u8]| dialled.rssi_dbm = rssi_dbm(line).or(dialled.rssi_dbm);
    modem.command(&["AT+CSQ"], signal).await?;
    let context = modem
        .command(&["AT+CGDCONT=1,\"IP\",\"", apn, "\""], |_| {})
        .await?;
    if context != Answer::Ok {
        return Err(DialError::Refused);
    }
    modem.send(&["ATD*99#"]).await?;
    match modem.answer(pace.connect, |_| {}).await {
        Ok(Answer::Connect) => Ok(dialled),
        Ok(_) | Err(DialError::Silent) => Err(DialError::Refused),
        Err(error) => Err(error),
    }
}

/// What a board does for its modem.
pub trait Attendant {
    /// Switches the modem's supply. A board that can't does nothing.
    fn supply(&mut self, on: bool);

    /// Is told how each attempt to dial went.
    fn dialled(&mut self, dialled: Result<Dialled, DialError>);
}

/// Attempts in a row that fail before the modem is switched off and on: it may hang, or hold on to a cell that is gone.
#[cfg(feature = "ppp")]
const STRIKES: u32 = 3;
/// So long it stays off: its capacitors hold it up for a while.
#[cfg(feature = "ppp")]
const OFF: Duration = Duration::from_secs(5);

/// Dials, and dials again whenever the connection falls, for ever.
#[cfg(feature = "ppp")]
pub async fn keep_up<S: BufRead + Write>(
    mut runner: embassy_net_ppp::Runner<'_>,
    mut serial: S,
    mobile: &sen_wire::provision::Mobile<'_>,
    stack: embassy_net::Stack<'_>,
    attendant: &mut impl Attendant,
) -> ! {
    use crate::ppp;
    let user = mobile.user.unwrap_or_default().as_bytes();
    let password = mobile.password.map_or("", |password| password.0).as_bytes();
    let mut strikes = 0;
    loop {
        let dialled = dial(&mut serial, mobile.apn, &Pace::MODEM).await;
        attendant.dialled(dialled);
        if dialled.is_ok() {
            strikes = 0;
            ppp::once(&mut runner, &mut serial, user, password, stack).await;
        } else {
            strikes += 1;
        }
        if strikes == STRIKES {
            strikes = 0;
            attendant.supply(false);
            Timer::after(OFF).await;
            attendant.supply(true);
        }
        Timer::after(ppp::PAUSE).await;
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ok,
    Connect,
    Error,
}

impl Answer {
    fn of(line: &[u8]) -> Option<Self> {
        match line {
            b"OK" => Some(Self::Ok),
            b"ERROR" | b"NO CARRIER" | b"NO DIALTONE" | b"NO ANSWER" | b"BUSY" => Some(Self::Error),
            _ if line.starts_with(b"CONNECT") => Some(Self::Connect),
            _ if line.starts_with(b"+CME ERROR") => Some(Self::Error),
            _ => None,
        }
    }
}

/// The longest line that matters, and some.
const LINE: usize = 64;

struct Modem<'s, S> {
    serial: &'s mut S,
    pace: &'s Pace,
}

impl<S: BufRead + Write> Modem<'_, S> {
    /// Ends a connection that is still open. A modem without one takes this for noise.
    async fn hang_up(&mut self) -> Result<(), DialError> {
        Timer::after(self.pace.guard).await;
        self.write(b"+++").await?;
        Timer::after(self.pace.guard).await;
        match self.command(&["ATH"], |_| {}).await {
            Ok(_) | Err(DialError::Silent) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn wake(&mut self) -> Result<(), DialError> {
        let end = Instant::now() + self.pace.wake;
        loop {
            match self.command(&["AT"], |_| {}).await {
                Ok(Answer::Ok) => return Ok(()),
                Err(DialError::Serial) => return Err(DialError::Serial),
                _ if Instant::now() >= end => return Err(DialError::Silent),
                _ => {}
            }
        }
    }

    async fn register(&mut self) -> Result<(), DialError> {
        let end = Instant::now() + self.pace.register;
        loop {
            let mut found = false;
            for command in ["AT+CEREG?", "AT+CGREG?"] {
                self.command(&[command], |line| found |= registered(line))
                    .await?;
            }
            if found {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(DialError::NoNetwork);
            }
            Timer::after(self.pace.answer).await;
        }
    }

    /// Sends a command and hands what comes before its end to `line`.
    async fn command(
        &mut self,
        parts: &[&str],
        line: impl FnMut(&[u8]),
    ) -> Result<Answer, DialError> {
        self.send(parts).await?;
        self.answer(self.pace.answer, line).await
    }

    /// Sends a command, after whatever the modem still had to say.
    async fn send(&mut self, parts: &[&str]) -> Result<(), DialError> {
        let pace = self.pace;
        // One that never falls silent is asked nevertheless.
        let _ = with_timeout(pace.answer, async {
            while let Ok(said) = with_timeout(pace.gap, self.serial.fill_buf()).await {
                let length = said.map_err(|_| DialError::Serial)?.len();
                self.serial.consume(length);
                if length == 0 {
                    break;
                }
            }
            Ok::<(), DialError>(())
        })
        .await;
        for part in parts {
            self.write(part.as_bytes()).await?;
        }
        self.write(b"\r").await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), DialError> {
        let written = async {
            self.serial.write_all(bytes).await?;
            self.serial.flush().await
        };
        written.await.map_err(|_: S::Error| DialError::Serial)
    }

    /// Waits for the line that ends a command.
    async fn answer(
        &mut self,
        wait: Duration,
        mut line: impl FnMut(&[u8]),
    ) -> Result<Answer, DialError> {
        let read = async {
            loop {
                let mut buffer = [0; LINE];
                let said = self.line(&mut buffer).await?;
                match Answer::of(said) {
                    Some(answer) => return Ok(answer),
                    None => line(said),
                }
            }
        };
        with_timeout(wait, read)
            .await
            .unwrap_or(Err(DialError::Silent))
    }

    /// The next line, without its end; what does not fit is left out.
    async fn line<'b>(&mut self, buffer: &'b mut [u8; LINE]) -> Result<&'b [u8], DialError> {
        let mut length = 0;
        loop {
            let said = self
                .serial
                .fill_buf()
                .await
                .map_err(|_| DialError::Serial)?;
            // The end of a stream that has none: a driver that is gone.
            let &byte = said.first().ok_or(DialError::Serial)?;
            self.serial.consume(1);
            match byte {
                b'\n' if length > 0 => return Ok(buffer.get(..length).unwrap_or_default()),
                b'\r' | b'\n' => {}
                byte => {
                    if let Some(place) = buffer.get_mut(length) {
                        *place = byte;
                        length += 1;
                    }
                }
            }
        }
    }
}

/// `+CEREG: 0,1`: the second number says whether the SIM is let in (TS 27.007 section 10.1.22).
fn registered(line: &[u8]) -> bool {
    let Some((name, numbers)) = core::str::from_utf8(line)
        .ok()
        .and_then(|line| line.split_once(": "))
    else {
        return false;
    };
    let state = numbers.split(',').nth(1).map(str::trim);
    matches!(name, "+CEREG" | "+CGREG") && matches!(state, Some("1" | "5"))
}

/// `+CSQ: 17,99`: 0 to 31 stand for -113 to -51 dBm (TS 27.007 section 8.5).
fn rssi_dbm(line: &[u8]) -> Option<i16> {
    let text = core::str::from_utf8(line).ok()?.strip_prefix("+CSQ: ")?;
    let step: i16 = text.split(',').next()?.trim().parse().ok()?;
    (0..=31).contains(&step).then_some(-113 + 2 * step)
}

#[cfg(test)]
mod tests;
