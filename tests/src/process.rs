//! Child processes that never outlive the test.
//!
//! Two nets: dropping a [`Running`] kills and reaps the child, and the kernel kills it when the
//! test process dies without dropping anything (`SIGKILL` from the test runner). The second is
//! Linux' parent-death signal, set by `setpriv` (util-linux), which then *becomes* the server.
//! That signal is tied to the *thread* that forked, so all children are started from one thread
//! that lives as long as the process: a tokio worker or blocking thread may go away earlier.
//!
//! Both output streams go to files: no pipe can fill up, and what a killed server said stays
//! readable.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Clock ticks a second in `/proc/PID/stat`; fixed at 100 for user space on Linux.
const TICKS: f64 = 100.0;

/// What to start.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    path: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    stdin_piped: bool,
}

impl Program {
    /// `path` is looked up in PATH when it has no slash.
    pub fn new(name: &str, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            path: path.into(),
            args: Vec::new(),
            envs: Vec::new(),
            cwd: None,
            stdin_piped: false,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs
            .push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it in that folder.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Keeps its standard input open for [`Running::say`].
    #[must_use]
    pub fn stdin_piped(mut self) -> Self {
        self.stdin_piped = true;
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .arg("--pdeathsig=KILL")
            .arg("--")
            .arg(&self.path)
            .args(&self.args)
            .envs(self.envs.iter().map(|(k, v)| (k, v)))
            .stdin(if self.stdin_piped {
                Stdio::piped()
            } else {
                Stdio::null()
            });
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        command
    }

    /// Starts it; its output goes to `{name}.out` and `{name}.err` in `dir`, appended.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(&self, dir: &Path) -> Result<Running> {
        let out = dir.join(format!("{}.out", self.name));
        let err = dir.join(format!("{}.err", self.name));
        let open = |path: &Path| {
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("opening {}", path.display()))
        };
        let out_file = open(&out)?;
        let out_from = out_file.metadata()?.len();
        let err_file = open(&err)?;
        let err_from = err_file.metadata()?.len();
        let mut command = self.command();
        command.stdout(out_file).stderr(err_file);
        let child = spawn(command).with_context(|| format!("starting {}", self.path.display()))?;
        Ok(Running {
            name: self.name.clone(),
            child,
            out,
            out_from,
            err,
            err_from,
            status: None,
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it can't be started or is still running after `limit` (then it is killed).
    pub fn run(&self, dir: &Path, limit: Duration) -> Result<Finished> {
        let mut running = self.start(dir)?;
        let status = running
            .wait_exit(limit)
            .with_context(|| format!("running {} {:?}", self.name, self.args))?;
        Ok(Finished {
            status,
            out: running.stdout(),
            err: running.stderr(),
        })
    }
}

/// What a program that ran to its end left.
#[derive(Debug)]
pub struct Finished {
    /// Exit status.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Finished {
    /// Fails with the program's own words unless it exited with 0.
    ///
    /// # Errors
    /// When it did not.
    pub fn success(self) -> Result<Self> {
        ensure!(
            self.status.success(),
            "{}\n{}\n{}",
            self.status,
            self.out,
            self.err
        );
        Ok(self)
    }
}

/// A process under the test's control.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    out: PathBuf,
    out_from: u64,
    err: PathBuf,
    err_from: u64,
    status: Option<ExitStatus>,
}

impl Running {
    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What this run has written to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        read_from(&self.out, self.out_from)
    }

    /// What this run has written to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        read_from(&self.err, self.err_from)
    }

    /// Its exit status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// `SIGKILL`, and reaps it: when this returns the process is gone.
    pub fn kill9(&mut self) {
        if self.exited().is_none() {
            // A failure here means that it has ended by itself.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }

    /// Sends `signal` (a name such as `TERM`).
    ///
    /// # Errors
    /// When `kill` fails, e.g. because the process is gone.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.pid().to_string())
            .status()?;
        ensure!(status.success(), "kill -{signal} {}: {status}", self.name);
        Ok(())
    }

    /// Waits for the end; kills it after `limit`.
    ///
    /// # Errors
    /// When it had to be killed.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exited() {
                return Ok(status);
            }
            if started.elapsed() > limit {
                self.kill9();
                bail!(
                    "{} still ran after {limit:?}; its log ends:\n{}",
                    self.name,
                    tail(&self.stderr(), 20)
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// When it does not read any more, or was not started with [`Program::stdin_piped`].
    pub fn say(&mut self, line: &str) -> Result<()> {
        use std::io::Write;
        let stdin = self.child.stdin.as_mut().context("stdin is not piped")?;
        writeln!(stdin, "{line}")?;
        stdin.flush()?;
        Ok(())
    }

    /// CPU time used so far by the process and the children that it has waited for.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> Result<Duration> {
        cpu_of(self.pid())
    }

    /// Resident memory now and its peak, in KiB (`VmRSS`, `VmHWM`).
    ///
    /// # Errors
    /// When the process is gone.
    pub fn rss_kib(&self) -> Result<(u64, u64)> {
        rss_of(self.pid())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            eprintln!(
                "--- {} ({:?}), last lines\n{}\n{}",
                self.name,
                self.status,
                tail(&self.stdout(), 10),
                tail(&self.stderr(), 40)
            );
        }
    }
}

/// CPU time of any process, with the children that it has waited for.
///
/// # Errors
/// When the process is gone.
pub fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses and may hold spaces: count from behind it.
    let after = stat.rsplit_once(')').context("odd /proc stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    // utime, stime, cutime, cstime are fields 14..=17 of the whole line, 11..=14 of this part.
    let ticks: f64 = fields
        .get(11..15)
        .context("short /proc stat")?
        .iter()
        .map(|f| f.parse::<f64>().unwrap_or(0.0))
        .sum();
    Ok(Duration::from_secs_f64(ticks / TICKS))
}

/// Resident memory of a process in KiB: now, and at its peak.
///
/// # Errors
/// When it is gone.
pub fn rss_of(pid: u32) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix(name))
            .with_context(|| format!("no {name} in /proc status"))?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// The last `lines` lines of a text.
#[must_use]
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn read_from(path: &Path, from: u64) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts a command from the one thread that lives as long as the process.
fn spawn(command: Command) -> std::io::Result<Child> {
    static NURSERY: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Nobody waits for the answer any more: then the child is dropped unstarted.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, result) = mpsc::channel();
    let gone = || std::io::Error::other("the thread that starts processes is gone");
    nursery
        .lock()
        .map_err(|_| gone())?
        .send((command, answer))
        .map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

/// A temporary folder that stays when the test fails.
#[derive(Debug)]
pub struct TestDir(Option<tempfile::TempDir>);

impl TestDir {
    /// A new folder under the system's temporary folder.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new() -> Result<Self> {
        Ok(Self(Some(
            tempfile::Builder::new().prefix("sen-test-").tempdir()?,
        )))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0
            .as_ref()
            .map_or(Path::new("/nonexistent"), |d| d.path())
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.0.take()
        {
            eprintln!("--- kept {}", dir.keep().display());
        }
    }
}
