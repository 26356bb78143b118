//! The system's systemd, asked over D-Bus (`org.freedesktop.systemd1(5)`).

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use rustix::process::Pid;
use zbus::MatchRule;
use zbus::blocking::{Connection, MessageIterator, connection};
use zbus::message::Type;
use zbus::zvariant::{OwnedObjectPath, Value as BusValue};

use super::{Property, Unit, Value};
use crate::error::Cause;
use crate::{Error, Result};

/// Where systemd says that it is the machine's init (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
const NAME: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// How long an answer, and a job, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether systemd is this machine's init.
#[must_use]
pub fn is_running() -> bool {
    access(BOOTED, Access::EXISTS).is_ok()
}

/// A connection to the system's systemd. It has threads.
#[derive(Debug)]
pub struct Manager(Connection);

impl Manager {
    /// Connects over the system's bus.
    ///
    /// # Errors
    /// [`Systemd`](crate::ErrorKind::Systemd) when systemd can't be reached.
    pub fn connect() -> Result<Self> {
        let action = "reach systemd over D-Bus";
        let manager = Self(within(action, || build(connection::Builder::system()?))?);
        // Without, systemd tells a bus nothing of its jobs.
        manager.call("Subscribe", &()).map_err(|error| bus(action, error))?;
        Ok(manager)
    }

    /// Starts `unit` with these properties and waits until it is there; a scope with `process` in it, and its cgroup
    /// for whoever made it. One of this name that has failed makes room.
    ///
    /// # Errors
    /// [`Systemd`](crate::ErrorKind::Systemd) when it exists already, when systemd refuses a property, or the unit
    /// was not started in time.
    pub fn start(&self, unit: &Unit, process: Pid, properties: &[Property]) -> Result<()> {
        let action = format!("start systemd's unit {}", unit.name());
        let own = own_properties(unit, process);
        let all: Vec<(&str, BusValue<'_>)> =
            own.iter().chain(properties).map(Property::to_bus).collect();
        let none: [(&str, Vec<(&str, BusValue<'_>)>); 0] = [];
        let body = (unit.name(), "fail", all, none.as_slice());
        let start = || self.job(&action, "StartTransientUnit", &body);
        match start() {
            Err(error) if is_named(&error, "UnitExists") => {
                // Ignored: that it is not one that has failed is seen next.
                let _ = self.reset_failed(unit);
                start().map_err(|error| match is_named(&error, "UnitExists") {
                    true => failed(&action, "there is a unit of this name already"),
                    false => error,
                })
            }
            started => started,
        }
    }

    /// Sets properties of a unit that exists, until it ends. When this returns, they are in the cgroup's files.
    ///
    /// # Errors
    /// [`Systemd`](crate::ErrorKind::Systemd).
    pub fn set(&self, unit: &Unit, properties: &[Property]) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        let all: Vec<(&str, BusValue<'_>)> = properties.iter().map(Property::to_bus).collect();
        let action = format!("set properties of systemd's unit {}", unit.name());
        // systemd writes the files after it has answered, and before it answers what it is asked next.
        self.call("SetUnitProperties", &(unit.name(), true, all))
            .and_then(|_set| self.call("GetUnit", &(unit.name(),)))
            .map(|_unit| ())
            .map_err(|error| bus(&action, error))
    }

    /// Stops a unit, with what runs in it, and forgets that it failed; one that is not there is stopped already.
    ///
    /// # Errors
    /// [`Systemd`](crate::ErrorKind::Systemd).
    pub fn stop(&self, unit: &Unit) -> Result<()> {
        let action = format!("stop systemd's unit {}", unit.name());
        match self.job(&action, "StopUnit", &(unit.name(), "replace")) {
            Err(error) if is_named(&error, "NoSuchUnit") => return Ok(()),
            stopped => stopped?,
        }
        match self.reset_failed(unit) {
            Err(error) if !is_named(&error, "NoSuchUnit") => Err(error),
            _ => Ok(()),
        }
    }

    fn reset_failed(&self, unit: &Unit) -> Result<()> {
        self.call("ResetFailedUnit", &(unit.name(),))
            .map(|_reply| ())
            .map_err(|error| bus(&format!("reset systemd's unit {}", unit.name()), error))
    }

    /// Makes a call that begins a job, and waits for its end.
    fn job<B>(&self, action: &str, method: &str, body: &B) -> Result<()>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let ended = self.ended_jobs().map_err(|error| bus(action, error))?;
        let reply = self.call(method, body).map_err(|error| bus(action, error))?;
        let job: OwnedObjectPath =
            reply.body().deserialize().map_err(|error| bus(action, error))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match ended.recv_timeout(left) {
                Ok((which, result)) if which == job => {
                    return match result.as_str() {
                        "done" => Ok(()),
                        result => Err(failed(action, &format!("its job ended with {result:?}"))),
                    };
                }
                Ok(_another) => {}
                Err(_late) => {
                    return Err(failed(action, &format!("its job is not over after {PATIENCE:?}")));
                }
            }
        }
    }

    /// What jobs have ended from now on, and how. Who drops it lets a thread wait for one more, until this process
    /// ends.
    fn ended_jobs(&self) -> zbus::Result<mpsc::Receiver<(OwnedObjectPath, String)>> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .interface(MANAGER)?
            .member("JobRemoved")?
            .path(OBJECT)?
            .build();
        let signals = MessageIterator::for_match_rule(rule, &self.0, None)?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for signal in signals.flatten() {
                let body = signal.body();
                let Ok((_, job, _, result)) =
                    body.deserialize::<(u32, OwnedObjectPath, String, String)>()
                else {
                    continue;
                };
                if sender.send((job, result)).is_err() {
                    break;
                }
            }
        });
        Ok(receiver)
    }

    fn call<B>(&self, method: &str, body: &B) -> zbus::Result<zbus::Message>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.0.call_method(Some(NAME), OBJECT, Some(MANAGER), method, body)
    }
}

/// What every unit of ours has: counters, and a scope its first process and its cgroup for itself.
fn own_properties(unit: &Unit, process: Pid) -> Vec<Property> {
    let on = ["CPUAccounting", "IOAccounting", "MemoryAccounting", "TasksAccounting"];
    let mut all: Vec<Property> = on.map(|name| Property::new(name, true)).into();
    all.push(Property::new("DefaultDependencies", false));
    if unit.is_slice() {
        return all;
    }
    let number = process.as_raw_nonzero().get().unsigned_abs();
    all.push(Property::new("Slice", unit.slice()));
    all.push(Property::new("Delegate", true));
    all.push(Property { name: "PIDs".into(), value: Value::Numbers(vec![number]) });
    all
}

fn build(builder: connection::Builder<'_>) -> zbus::Result<Connection> {
    builder.method_timeout(PATIENCE).build()
}

/// Does what has no time-out of its own, in another thread.
fn within<T: Send + 'static>(
    action: &str,
    what: impl FnOnce() -> zbus::Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    // Nobody may be there any more to take it.
    thread::spawn(move || drop(sender.send(what())));
    match receiver.recv_timeout(PATIENCE) {
        Ok(done) => done.map_err(|error| bus(action, error)),
        Err(_late) => Err(failed(action, &format!("no answer within {PATIENCE:?}"))),
    }
}

fn bus(action: &str, source: zbus::Error) -> Error {
    Cause::Bus { action: action.to_owned(), source: Box::new(source) }.into()
}

fn failed(action: &str, why: &str) -> Error {
    Cause::Systemd { action: action.to_owned(), why: why.to_owned() }.into()
}

/// Whether systemd gave the error `org.freedesktop.systemd1.NAME`.
fn is_named(error: &Error, name: &str) -> bool {
    error
        .bus_error()
        .is_some_and(|given| given.strip_prefix("org.freedesktop.systemd1.") == Some(name))
}
