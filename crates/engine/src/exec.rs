//! Further processes in running containers.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::Process;
use rustix::fs::MemfdFlags;
use sandbar_spec::ExitCode;
use sandbar_spec::control::{Reply, Request};
use sandbar_supervisor::{Client, Packet};
use sandbar_sys::During;

use crate::bundle::{console_size, merge_environment};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::options::ExecOptions;

/// A process that runs in a container.
#[derive(Debug)]
pub struct Exec {
    client: Client,
    /// Its process id, as the host numbers it.
    pub pid: i32,
    /// Fallbacks that were taken, in words.
    pub told: Vec<String>,
    /// The other end of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

impl Engine {
    /// Runs a further process in a container. It gets `stdio` itself, and no byte is passed on; with a
    /// terminal, that is handed back instead.
    ///
    /// # Errors
    /// [`Kind::NotRunning`], [`Kind::CommandNotFound`], [`Kind::CommandNotExecutable`], [`Kind::Invalid`].
    pub fn exec(
        &self,
        container: &Container,
        options: &ExecOptions,
        stdio: [BorrowedFd<'_>; 3],
    ) -> Result<Exec, Error> {
        let not_running = || {
            let message = format!("container '{}' is not running", container.config.name);
            Error::new(Kind::NotRunning, message)
        };
        if !container.is_running() {
            return Err(not_running());
        }
        let process = process(container, options)?;
        let file = rustix::fs::memfd_create("process", MemfdFlags::CLOEXEC)
            .during("memfd_create", || "the process".into())?;
        let text = serde_json::to_vec(&process)
            .map_err(|error| Error::caused(Kind::Invalid, "the process", error))?;
        std::io::Write::write_all(
            &mut std::fs::File::from(file.try_clone().during("dup", String::new)?),
            &text,
        )
        .during("write", || "the process".into())?;
        let mut descriptors = vec![file.as_fd()];
        if !options.terminal {
            descriptors.extend(stdio);
        }
        let request =
            Request::Exec { container: container.config.id.clone(), terminal: options.terminal };
        // A supervisor that is just ending, or was just killed, does not answer: the next one does.
        for _ in 0..4 {
            let client = self.find_supervisor(&container.pod)?.ok_or_else(not_running)?;
            if client.send(&request, &descriptors).is_err() {
                continue;
            }
            match client.receive()? {
                Some(Packet { message: Reply::Started { pid, told }, descriptors }) => {
                    let terminal = descriptors.into_iter().next();
                    return Ok(Exec { client, pid, told, terminal });
                }
                Some(Packet { message: Reply::Failed { kind, message, .. }, .. }) => {
                    return Err(Error::answered(kind, message));
                }
                _ => {}
            }
        }
        Err(Error::new(Kind::System, "the pod's supervisor does not answer"))
    }
}

impl Exec {
    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`Kind::System`] if its supervisor can't be asked.
    pub fn wait(self) -> Result<ExitCode, Error> {
        match self.client.receive()? {
            Some(Packet { message: Reply::Exited { code, .. }, .. }) => Ok(code),
            Some(Packet { message: Reply::Failed { kind, message, .. }, .. }) => {
                Err(Error::answered(kind, message))
            }
            // The supervisor, or the whole pod, ended: nobody saw how.
            _ => Ok(ExitCode::Unknown),
        }
    }
}

impl AsFd for Exec {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}

/// The container's own process, with what is asked in its place.
fn process(container: &Container, options: &ExecOptions) -> Result<Process, Error> {
    let spec = container.spec()?;
    let Some(mut process) = spec.process().clone() else {
        return Err(Error::new(Kind::System, "the container's bundle has no process"));
    };
    if options.command.is_empty() {
        return Err(Error::new(Kind::Invalid, "exec needs a command"));
    }
    process.set_args(Some(options.command.clone()));
    let own = process.env().clone().unwrap_or_default();
    let term = ["TERM=xterm".to_owned()];
    let term: &[String] = if options.terminal { &term } else { &[] };
    process.set_env(Some(merge_environment([term, &own, &options.environment])));
    if let Some(directory) = &options.working_directory {
        process.set_cwd(directory.clone());
    }
    if let Some(user) = &options.user {
        let mut named = process.user().clone();
        named.set_username(Some(user.clone())).set_additional_gids(None);
        process.set_user(named);
    }
    process.set_terminal(Some(options.terminal));
    if let Some(size) = options.size {
        process.set_console_size(Some(console_size(size)?));
    }
    Ok(process)
}
