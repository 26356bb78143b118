//! Taking over the containers of a supervisor that was killed.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sandbar_spec::{ContainerId, ContainerState, ContainerStatus, ExitCode};
use sandbar_sys::process_lives;

use crate::log::{Log, StreamName};
use crate::member::{Phase, Running};
use crate::poll::Token;
use crate::streams::Stream;
use crate::supervisor::Supervisor;
use crate::{Error, read_record};

impl Supervisor {
    /// Learns of every container in the pod's directory, and takes over those that run.
    pub(crate) fn adopt_all(&mut self) -> Result<(), Error> {
        let Ok(entries) = std::fs::read_dir(self.directory.containers()) else { return Ok(()) };
        for entry in entries.flatten() {
            let id = entry.file_name().to_str().and_then(|name| name.parse::<ContainerId>().ok());
            if let Some(id) = id {
                // One that is half made, or half removed, is nobody's to run.
                if self.know(&id).is_ok() {
                    self.adopt(&id)?;
                }
            }
        }
        Ok(())
    }

    fn adopt(&mut self, id: &ContainerId) -> Result<(), Error> {
        // Those for whom it may stand still have lost their connection.
        self.thaw(id);
        let Some(member) = self.members.get_mut(id) else { return Ok(()) };
        match member.status.state {
            ContainerState::Created | ContainerState::Exited => return Ok(()),
            ContainerState::Restarting => {
                member.phase = Phase::Restarting(Instant::now());
                return Ok(());
            }
            ContainerState::Running => {}
        }
        let Some((pid, pidfd)) = living_process(&member.status) else {
            member.status.state = ContainerState::Exited;
            member.status.pid = None;
            member.status.pid_start = None;
            member.status.exit_code = Some(ExitCode::Unknown);
            return member.save();
        };
        self.namespaces.adopt_from(pid.as_raw_nonzero().get(), &member.config);
        member.log = Some(Log::open(&member.config.log_path)?);
        if !member.config.terminal {
            for name in [StreamName::Stdout, StreamName::Stderr] {
                let stream = Stream::open(&member.directory, name, &mut self.poll)?;
                member.streams.push(stream);
            }
        }
        let serial = self.poll.serial();
        self.poll.watch(&pidfd, Token::Adopted(serial))?;
        member.phase = Phase::Running(Running {
            pid,
            pidfd,
            since: Instant::now(),
            deadline: None,
            asked_to_end: false,
            adopted: Some(serial),
        });
        Ok(())
    }

    /// Makes sure that a container of this pod is known, reading its configuration if need be.
    pub(crate) fn know(&mut self, id: &ContainerId) -> Result<(), Error> {
        if self.members.contains_key(id) {
            return Ok(());
        }
        let directory = self.directory.container(id);
        let config = read_record(&directory.config())?
            .ok_or_else(|| Error::new(format!("there is no container {}", id.short())))?;
        let status = read_record(&directory.status())?.unwrap_or_default();
        let member = crate::member::Member::new(config, status, directory);
        self.members.insert(id.clone(), member);
        Ok(())
    }
}

/// The process that `status` records, if it lives still: by number and beginning, so never another.
fn living_process(status: &ContainerStatus) -> Option<(Pid, OwnedFd)> {
    let number = status.pid?;
    let pid = Pid::from_raw(number)?;
    // First the descriptor, then the comparison: what it refers to can't change any more.
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    process_lives(number, status.pid_start).then_some((pid, pidfd))
}
