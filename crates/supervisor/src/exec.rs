//! Further processes in running containers.

use std::os::fd::{AsFd, OwnedFd};

use oci_spec::runtime::Process as ProcessSpec;
use rustix::fs::SeekFrom;
use rustix::process::Pid;
use sandbar_runtime::{Event, Kind, Process, Starting, Stdio};
use sandbar_spec::control::{Failure, Reply};
use sandbar_spec::{ContainerId, ExitCode};
use sandbar_sys::During;

use crate::member::Member;
use crate::poll::{Serial, Token};
use crate::supervisor::Supervisor;
use crate::{Error, cgroups, limits};

/// A further process in a container.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) serial: Serial,
    pub(crate) pid: Pid,
    client: Serial,
    starting: Option<Starting>,
    told: Vec<String>,
    terminal: Option<OwnedFd>,
}

impl Supervisor {
    pub(crate) fn request_exec(
        &mut self,
        client: Serial,
        id: &ContainerId,
        terminal: bool,
        fds: Vec<OwnedFd>,
    ) {
        if self.members.get(id).and_then(Member::running).is_none() {
            return self.not_running(client);
        }
        if let Err(error) = self.begin_exec(client, id, terminal, fds) {
            self.fail(client, Failure::Other, error.one_line());
        }
    }

    fn begin_exec(
        &mut self,
        client: Serial,
        id: &ContainerId,
        terminal: bool,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        let Some(running) = self.members.get(id).and_then(Member::running) else {
            return Err(Error::new("the container is not running"));
        };
        let mut fds = fds.into_iter();
        let (Some(process), rest) = (fds.next(), fds.collect::<Vec<_>>()) else {
            return Err(Error::new("exec: no process was sent"));
        };
        let stdio = if terminal {
            Stdio::Terminal
        } else {
            let given = <[OwnedFd; 3]>::try_from(rest);
            Stdio::Descriptors(
                given.map_err(|_other| Error::new("exec: three descriptors are needed"))?,
            )
        };
        let entry = match &self.hierarchy {
            Some(hierarchy) => {
                let path = cgroups::container_cgroup(&self.config.id, id)?;
                Some(hierarchy.open(&path).entry()?)
            }
            None => None,
        };
        let into_cgroup = entry.as_ref().and_then(|entry| entry.clone_into.as_ref());
        let into_cgroup = into_cgroup.map(AsFd::as_fd);
        let tasks = entry.iter().flat_map(|entry| entry.tasks.iter().map(AsFd::as_fd)).collect();
        let container = running.pidfd.as_fd();
        let starting = sandbar_runtime::start_in(container, into_cgroup, tasks, || {
            read_process(process, stdio, self.descriptors)
                .map_err(|error| sandbar_runtime::Error::preparation(error.one_line()))
        })?;
        let serial = self.poll.serial();
        rustix::io::ioctl_fionbio(&starting, true).during("ioctl", || "FIONBIO".into())?;
        self.poll.watch(&starting, Token::Starting(serial))?;
        let pid = starting.pid;
        let (told, terminal) = (Vec::new(), None);
        let exec = Exec { serial, pid, client, starting: Some(starting), told, terminal };
        self.execs.push(exec);
        Ok(())
    }

    /// Follows the start of the process watched under `serial` as far as it has come.
    pub(crate) fn follow_exec(&mut self, serial: Serial) {
        loop {
            let Some(exec) = self.execs.iter_mut().find(|exec| exec.serial == serial) else {
                return;
            };
            let Some(starting) = &mut exec.starting else { return };
            let client = exec.client;
            let event = starting.next_event();
            exec.pid = starting.pid;
            match event {
                Err(failure) if failure.errno() == rustix::io::Errno::AGAIN => return,
                Ok(Event::Told(text)) => exec.told.push(text),
                Ok(Event::Terminal(terminal)) => exec.terminal = Some(terminal),
                // Of a container with a gate.
                Ok(Event::Prepared | Event::Created) => {}
                Ok(Event::Running) => {
                    self.poll.forget(starting);
                    exec.starting = None;
                    let told = std::mem::take(&mut exec.told);
                    let terminal = exec.terminal.take();
                    let pid = exec.pid.as_raw_nonzero().get();
                    let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
                    return self.reply(client, &Reply::Started { pid, told }, &terminal);
                }
                Ok(Event::Failed(error)) => {
                    let kind = match error.kind() {
                        Kind::CommandNotFound => Failure::CommandNotFound,
                        Kind::CommandNotExecutable => Failure::CommandNotExecutable,
                        _ => Failure::Other,
                    };
                    self.forget_exec(serial);
                    return self.fail(client, kind, error.one_line());
                }
                Err(failure) => {
                    self.forget_exec(serial);
                    return self.fail(client, Failure::Other, failure.to_string());
                }
            }
        }
    }

    /// Tells who asked how a further process ended. False if `pid` is none.
    pub(crate) fn exec_ended(&mut self, pid: Pid, code: ExitCode) -> bool {
        // Which process a start has gone on in may not have been heard of yet.
        let starting = self.execs.iter().filter(|exec| exec.starting.is_some());
        for serial in starting.map(|exec| exec.serial).collect::<Vec<_>>() {
            self.follow_exec(serial);
        }
        let Some(exec) = self.execs.iter().find(|exec| exec.pid == pid) else { return false };
        let serial = exec.serial;
        if let Some(exec) = self.forget_exec(serial) {
            self.reply(exec.client, &Reply::Exited { code, last: false }, &[]);
        }
        true
    }

    fn forget_exec(&mut self, serial: Serial) -> Option<Exec> {
        let index = self.execs.iter().position(|exec| exec.serial == serial)?;
        let mut exec = self.execs.swap_remove(index);
        exec.starting.take().into_iter().for_each(|starting| self.poll.close(starting));
        Some(exec)
    }
}

/// Reads the process to execute; runs in the child.
fn read_process(file: OwnedFd, stdio: Stdio, descriptors: Option<u64>) -> Result<Process, Error> {
    rustix::fs::seek(&file, SeekFrom::Start(0)).during("lseek", || "the process".into())?;
    let text = std::io::read_to_string(std::fs::File::from(file))
        .during("read", || "the process".into())?;
    let mut spec: ProcessSpec =
        serde_json::from_str(&text).map_err(|error| Error::json("the process".as_ref(), error))?;
    limits::of_descriptors(&mut spec, descriptors)?;
    // No container of a pod has a profile of its own, nor an agent that wants its state.
    let (profile, state) = (None, None);
    Ok(Process {
        spec,
        stdio,
        seccomp: true,
        profile,
        state,
        preserved_descriptors: 0,
        new_keyring: true,
    })
}
