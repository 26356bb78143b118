//! Somebody at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

use crate::{Command, until};

/// How long what is waited for may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command on a terminal of its own, which is its controlling one, 24 rows by 80 columns.
#[derive(Debug)]
pub struct Terminal {
    line: String,
    master: File,
    slave: File,
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub(crate) fn start(command: &Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("openpt");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("ptsname");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = File::from(rustix::fs::open(name, flags, Mode::empty()).expect("the slave"));
        let master = File::from(master);
        let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
        // A session of its own, with this as its controlling terminal.
        let mut setsid = std::process::Command::new("setsid");
        setsid.arg("--ctty").args(command.words()).stdin(end()).stdout(end()).stderr(end());
        set_size(&master, 24, 80);
        let child = setsid.spawn().expect("setsid");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, read) = (master.try_clone().expect("a descriptor"), Arc::clone(&shown));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                read.lock().expect("a healthy lock").extend_from_slice(&buffer[..length]);
            }
        });
        Self { line: command.line(), master, slave, child, shown }
    }

    /// Types something.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Makes the window another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.master, rows, columns);
    }

    /// Whether what is typed is shown by the terminal itself: not while a program has it raw.
    ///
    /// # Panics
    /// If the terminal is gone.
    #[must_use]
    pub fn echoes(&self) -> bool {
        let settings = rustix::termios::tcgetattr(&self.slave).expect("a terminal");
        settings.local_modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// The window's rows and columns.
    ///
    /// # Panics
    /// If the terminal is gone.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        let size = tcgetwinsize(&self.master).expect("a terminal");
        (size.ws_row, size.ws_col)
    }

    /// What it has shown so far.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("a healthy lock")).into_owned()
    }

    /// Waits until this is shown.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        let what = format!("that {} shows {text:?}", self.line);
        let seen = || self.shown().contains(text).then_some(());
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until(&what, PATIENCE, seen);
        }));
        assert!(found.is_ok(), "what it shows:\n{}", self.shown());
    }

    /// Waits for the command's end; its exit code.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let (line, child) = (self.line.clone(), &mut self.child);
        let status =
            until(&format!("that {line} ends"), PATIENCE, || child.try_wait().expect("a child"));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that ended is as good.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn set_size(master: &File, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("a terminal");
}
