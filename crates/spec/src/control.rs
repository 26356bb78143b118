//! What a pod's supervisor is asked, and what it answers, over its control socket.
//!
//! One message is one packet of JSON (`SOCK_SEQPACKET`), with the file descriptors that belong to it. What
//! can be long (a process to execute) comes as a descriptor, so a packet is always short.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{ContainerId, ExitCode, PortMapping, SignalNumber};

/// The longest packet, in bytes.
pub const LONGEST_PACKET: usize = 4096;

/// The most descriptors of one message (the kernel's `SCM_MAX_FD` is 253).
pub const MOST_DESCRIPTORS: usize = 250;

/// What a supervisor is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Start a container. With descriptors: its standard input, if that is `given`; then, if its end is
    /// `awaited` (answered like [`Request::Wait`]), an eventfd(2) that is signalled whenever something was
    /// added to its log.
    Start {
        /// Which.
        container: ContainerId,
        /// Whether its standard input is given.
        #[serde(default)]
        given: bool,
        /// Whether a second answer is to tell how it ended.
        #[serde(default)]
        awaited: bool,
    },
    /// Send a signal to a container's first process.
    Kill {
        /// Which.
        container: ContainerId,
        /// The signal.
        signal: SignalNumber,
    },
    /// End a container: its stop signal, then SIGKILL. It is not restarted.
    Stop {
        /// Which.
        container: ContainerId,
        /// How many seconds it has; its own configured time if none.
        timeout: Option<u32>,
    },
    /// End every container of the pod, pause last, and the supervisor with them.
    StopPod {
        /// How many seconds each container has; its own configured time if none.
        timeout: Option<u32>,
    },
    /// Answer when the container has ended, at once if it has.
    Wait {
        /// Which.
        container: ContainerId,
    },
    /// Hand over the terminal of a container that has one.
    Attach {
        /// Which.
        container: ContainerId,
    },
    /// Run a further process in a container. With descriptors: the process as JSON of the OCI runtime
    /// specification, then, unless it has a terminal, its standard input, output and error.
    Exec {
        /// Where.
        container: ContainerId,
        /// Whether it gets a terminal, which is handed back.
        terminal: bool,
    },
    /// Keep the descriptors open, for as long as the pod lives: sockets that keep its host ports from others. With
    /// none it tells, if it is answered, that the supervisor has not begun to clean up after the pod.
    HoldPorts,
    /// Close the sockets that keep these ports of the host from others.
    ReleasePorts {
        /// Which.
        ports: PortMapping,
    },
    /// Relay to the pod what comes to `::1` at these ports, as far as sockets are held there.
    RelayPorts {
        /// Which.
        ports: PortMapping,
        /// The pod's address.
        to: IpAddr,
    },
    /// The pod's networks are others now: what is looked after while the pod lives may be, too.
    NetworksChanged,
    /// Have all processes of a running container stand still, until this client asks for [`Request::Thaw`], or is gone.
    Freeze {
        /// Which.
        container: ContainerId,
    },
    /// Have them go on, as far as this client is concerned; fails if they have already.
    Thaw {
        /// Which.
        container: ContainerId,
    },
    /// Forget a container that has ended, so that its directory can be removed.
    Forget {
        /// Which.
        container: ContainerId,
    },
}

/// What a supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It was done.
    Done,
    /// The process runs. With a descriptor if it has a terminal: the terminal's other end.
    Started {
        /// Its process id, as the host numbers it.
        pid: i32,
        /// Fallbacks that were taken, in words.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        told: Vec<String>,
    },
    /// The process ended.
    Exited {
        /// How.
        code: ExitCode,
        /// Whether nothing of the pod runs any more, so that its supervisor is about to end; it closes the
        /// connection when all is cleaned up.
        #[serde(default)]
        last: bool,
    },
    /// It could not be done.
    Failed {
        /// What kind of failure it is.
        kind: Failure,
        /// Why, in one line.
        message: String,
        /// As in [`Reply::Exited`].
        #[serde(default)]
        last: bool,
    },
}

/// The kinds of failure that somebody acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The program is not there (127 of a shell).
    CommandNotFound,
    /// The program can't be executed (126 of a shell).
    CommandNotExecutable,
    /// The container is not running, or not there.
    NotRunning,
    /// Anything else.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_request_fits_a_packet() {
        let container = ContainerId::from_random([0xff; 32]);
        let stop = Request::Stop { container, timeout: Some(u32::MAX) };
        let text = serde_json::to_string(&stop).unwrap();
        assert!(text.len() < LONGEST_PACKET);
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), stop);
    }
}
