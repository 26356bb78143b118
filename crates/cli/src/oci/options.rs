//! What several commands are told.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::failure::{Doing, Failure, Result};

/// How a container is created.
#[derive(Debug, clap::Args)]
pub(super) struct Creation {
    /// The directory of config.json
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(super) bundle: PathBuf,
    #[command(flatten)]
    pub(super) process: ProcessOptions,
    /// Cover the host's root and do not leave it
    #[arg(long)]
    pub(super) no_pivot: bool,
    /// Keep the session keyring, and make no new one
    #[arg(long)]
    pub(super) no_new_keyring: bool,
}

/// How a process is started.
#[derive(Debug, clap::Args)]
pub(super) struct ProcessOptions {
    /// Send the terminal's other end to this socket
    #[arg(long, value_name = "SOCKET")]
    pub(super) console_socket: Option<PathBuf>,
    /// Write the process's number to this file
    #[arg(long, value_name = "FILE")]
    pub(super) pid_file: Option<PathBuf>,
    /// Pass so many descriptors from 3 on
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(super) preserve_fds: u32,
}

impl ProcessOptions {
    /// Refuses what contradicts itself. `detached`: nobody stays to show a terminal.
    pub(super) fn check(&self, terminal: bool, detached: bool) -> Result<()> {
        match (&self.console_socket, terminal) {
            (Some(_), false) => {
                return Err(Failure::new("--console-socket without process.terminal"));
            }
            (None, true) if detached => {
                return Err(Failure::new(
                    "process.terminal needs --console-socket when nobody stays to show it",
                ));
            }
            _ => {}
        }
        for number in (3..).take(usize::try_from(self.preserve_fds).unwrap_or(usize::MAX)) {
            if !sandbar_sys::is_open(number) {
                let count = self.preserve_fds;
                return Err(Failure::new(format!(
                    "--preserve-fds {count}: descriptor {number} is not open"
                )));
            }
        }
        Ok(())
    }

    /// Writes the number of the process, whole or not at all.
    pub(super) fn write_pid(&self, pid: i32) -> Result<()> {
        let Some(path) = &self.pid_file else { return Ok(()) };
        // A name that nobody else's command has, so that none replaces what another one writes.
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let beside = path.with_file_name(name);
        let action = format!("write {}", path.display());
        // Whatever is there of that name, a link perhaps, is not what is written to (`O_EXCL`).
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&beside)
            .doing(&action)?;
        let written = file
            .write_all(pid.to_string().as_bytes())
            .and_then(|()| std::fs::rename(&beside, path));
        if written.is_err() {
            let _gone = std::fs::remove_file(&beside);
        }
        written.doing(action)
    }

    /// Hands a terminal over, if there is one and somebody to take it.
    pub(super) fn send_terminal(&self, terminal: Option<BorrowedFd<'_>>) -> Result<()> {
        match (&self.console_socket, terminal) {
            (Some(socket), Some(terminal)) => super::console::send(socket, terminal.as_fd()),
            _ => Ok(()),
        }
    }
}
