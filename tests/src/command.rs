//! A command that somebody gives on the node, with a time limit, and what it comes to.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{self, Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::until;
use crate::until::Patience;

/// How long a command may take unless a test says otherwise.
const USUAL: Duration = Duration::from_secs(20);
/// How long its output may stay open after its end.
const OUTPUT: Duration = Duration::from_secs(3);

/// A command, not given yet.
#[derive(Debug, Clone)]
pub struct Command {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    input: Option<Vec<u8>>,
    within: Duration,
}

impl Command {
    pub(crate) fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(|it| it.as_ref().to_owned()).collect(),
            environment: Vec::new(),
            directory: None,
            input: None,
            within: USUAL,
        }
    }

    /// With these arguments after its others.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.arguments.extend(more.into_iter().map(|it| it.as_ref().to_owned()));
        self
    }

    /// With this on standard input, which else is empty.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// With this in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// From this directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// With nobody who reads what it prints: for what leaves something behind that would keep a pipe open.
    #[must_use]
    pub fn detached(self) -> Self {
        let Self { program, arguments, .. } = &self;
        let script = r#"exec "$0" "$@" >/dev/null 2>/run/test/said"#;
        let words = ["sh", "-c", script].map(OsString::from);
        let words = words.into_iter().chain([program.clone().into_os_string()]);
        let arguments = words.chain(arguments.iter().cloned()).collect();
        Self { program: "/bin/busybox".into(), arguments, ..self }
    }

    /// In at most this time.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// The program, then its arguments.
    pub(crate) fn words(&self) -> impl Iterator<Item = &OsStr> {
        [self.program.as_os_str()].into_iter().chain(self.arguments.iter().map(OsString::as_os_str))
    }

    /// In words, for messages.
    #[must_use]
    pub fn line(&self) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let words = self.arguments.iter().map(|it| {
            let word = it.to_string_lossy();
            if word.contains([' ', '\n', '$', '"']) {
                format!("'{word}'")
            } else {
                word.into_owned()
            }
        });
        let mut line = [name].into_iter().chain(words).collect::<Vec<_>>().join(" ");
        if line.len() > 2000 {
            line.truncate((0..2000).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0));
        }
        line
    }

    /// Begins, and does not wait for its end.
    ///
    /// # Panics
    /// If it can't be started.
    #[must_use]
    #[track_caller]
    pub fn begin(&self) -> Running {
        let mut command = process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let line = self.line();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        if let (Some(mut pipe), Some(input)) = (child.stdin.take(), self.input.clone()) {
            // It may end without reading all of it.
            thread::spawn(move || _ = pipe.write_all(&input));
        }
        let stdout = Stream::read(child.stdout.take().expect("a pipe"));
        let stderr = Stream::read(child.stderr.take().expect("a pipe"));
        Running { line, child, stdout, stderr, since: Instant::now(), within: self.within }
    }

    /// Does it, whatever it comes to.
    #[track_caller]
    pub fn run(&self) -> Output {
        self.begin().wait()
    }

    /// Does it, and it succeeds; what it printed.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.code(0).stdout()
    }

    /// Does it, and it ends with this exit code.
    #[track_caller]
    pub fn code(&self, code: i32) -> Output {
        let output = self.run();
        assert!(output.status.code() == Some(code), "not {code}: {output}");
        output
    }

    /// Does it, and it ends with this exit code and a message of one or two lines that has all of these words.
    #[track_caller]
    pub fn refused(&self, code: i32, words: &[&str]) -> Output {
        let output = self.code(code);
        let message = output.stderr();
        let lines = message.lines().count();
        assert!((1..=2).contains(&lines), "not one or two lines of message: {output}");
        assert!(message.starts_with("sandbar: "), "not Sandbar's own message: {output}");
        for word in words {
            assert!(message.contains(word), "the message lacks '{word}': {output}");
        }
        assert!(output.stdout.is_empty(), "it printed something all the same: {output}");
        output
    }
}

/// A command that was given.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    stdout: Stream,
    stderr: Stream,
    since: Instant,
    within: Duration,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a living command");
    }

    /// What it has printed so far.
    #[must_use]
    pub fn printed(&self) -> Vec<u8> {
        self.stdout.so_far()
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// If it can't be waited for.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits until it has printed `text`.
    #[track_caller]
    pub fn prints(&self, text: &str) {
        let has = || String::from_utf8_lossy(&self.printed()).contains(text).then_some(());
        until(&format!("that {} prints {text:?}", self.line), self.within, has);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end in time, or others keep its output open.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let mut patience = Patience::of(self.within);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return self.over(status);
            }
            if !patience.sleep(Duration::from_millis(1)) {
                break;
            }
        }
        _ = self.child.kill();
        let status = self.child.wait().expect("a child");
        let within = self.within;
        panic!("it was not over after {within:?}, and was killed: {}", self.so_far(status));
    }

    /// Ends it with SIGKILL.
    ///
    /// # Panics
    /// If it can't be waited for.
    pub fn kill(mut self) {
        _ = self.child.kill();
        self.child.wait().expect("a child");
    }

    #[track_caller]
    fn over(self, status: ExitStatus) -> Output {
        let elapsed = self.since.elapsed();
        let mut patience = Patience::of(OUTPUT);
        while !(self.stdout.is_over() && self.stderr.is_over()) {
            let left = "it is over, and something that it left running keeps its output open";
            let waited = patience.sleep(Duration::from_micros(200));
            assert!(waited, "{left}: {}", self.so_far(status));
        }
        Output { elapsed, ..self.so_far(status) }
    }

    fn so_far(&self, status: ExitStatus) -> Output {
        Output {
            line: self.line.clone(),
            status,
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            elapsed: self.since.elapsed(),
        }
    }
}

/// What a command came to.
#[derive(Debug)]
pub struct Output {
    line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Output {
    /// What it printed, as text.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What it said on standard error, as text.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Its exit code, or 128 and the number of the signal that ended it.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        let signal = || 128 + self.status.signal().unwrap_or_default();
        self.status.code().unwrap_or_else(signal)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| {
            let shown = &bytes[..bytes.len().min(20_000)];
            String::from_utf8_lossy(shown).into_owned()
        };
        let Self { line, status, elapsed, .. } = self;
        write!(formatter, "\n$ {line}\n{}{}", text(&self.stdout), text(&self.stderr))?;
        write!(formatter, "({status}, {elapsed:.1?})")
    }
}

/// What is read of a pipe.
#[derive(Debug)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let read = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                read.lock().expect("a healthy lock").extend_from_slice(&buffer[..length]);
            }
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().expect("a healthy lock").clone()
    }

    fn is_over(&self) -> bool {
        self.reader.is_finished()
    }
}
