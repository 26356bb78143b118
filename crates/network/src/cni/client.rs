//! Attachments made, looked at and undone by a network's plugins (specification, section 3).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    Attachment, AttachmentId, CniResult, Configuration, Error, ErrorKind, Result, Version,
    attachment::absolute,
    capabilities,
    plugin::{Command, Plugins, Request, Subject},
    record::{Locked, Record, Records, bad},
    result,
};

/// How long one call of one plugin may take by default.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Whether plugins were asked what they need not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Asked {
    /// All of them, and none had anything to say.
    Answered,
    /// None: the network's configuration says not to.
    Disabled,
    /// None: the network is of a version that lacks the command.
    Unsupported,
}

/// Runs the plugins of networks, and keeps record of what they made.
#[derive(Clone, Debug)]
pub struct Client {
    plugins: Plugins,
    records: Records,
}

impl Client {
    /// With the directories that have the plugins, and the one for records, which is made when it is needed. Records
    /// are to outlive a reboot, as what plugins lease does.
    ///
    /// # Errors
    /// `InvalidInput` for no directory of plugins, a path that is not absolute, or one with a `:` in it.
    pub fn new(plugin_dirs: Vec<PathBuf>, records: PathBuf) -> Result<Self> {
        if plugin_dirs.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "no directory of CNI plugins"));
        }
        plugin_dirs.iter().try_for_each(|dir| absolute(dir, "directory of CNI plugins"))?;
        absolute(&records, "directory of attachments")?;
        std::env::join_paths(&plugin_dirs).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "directory of CNI plugins").because(error)
        })?;
        let plugins = Plugins { dirs: plugin_dirs, timeout: TIMEOUT };
        Ok(Self { plugins, records: Records { dir: records } })
    }

    /// The same with another deadline than a minute for each call of a plugin.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.plugins.timeout = timeout;
        self
    }

    /// Attaches a container to a network: `ADD` of each plugin in turn, each given the result of that before.
    ///
    /// If one fails, `DEL` of all of them follows, in reverse; if that fails, too, the record stays, for
    /// [`Client::delete`] to try again.
    ///
    /// # Errors
    /// `InvalidInput`, also where something is asked that no plugin can do; `NoPlugin`; `AlreadyAdded`; `Plugin`,
    /// `Timeout`, `BadAnswer`; `BadRecord`, `System`.
    pub fn add(&self, network: &Configuration, attachment: &Attachment) -> Result<CniResult> {
        attachment.check()?;
        let subject = Subject {
            container_id: attachment.container_id.clone(),
            interface: attachment.interface.clone(),
            netns: Some(attachment.netns.clone()),
            arguments: attachment.arguments.clone(),
            runtime: attachment.runtime.to_map(),
        };
        capabilities::check(&subject.runtime, network)?;
        self.plugins.check(network)?;
        let id = attachment.id(network);
        let mut record = Record::new(network, &self.plugins.dirs, &subject, &attachment.netns)?;
        let records = self.records.make(&id.container_id)?;
        if records.read(&id)?.is_some() {
            return Err(Error::new(ErrorKind::AlreadyAdded, format!("{id} is there already")));
        }
        if let Err(error) = records.write(&id, &record) {
            // Why it could not be recorded matters more than a directory that is left empty.
            _ = records.remove(&id);
            return Err(error);
        }
        let added = self.add_all(network, &subject).and_then(|(added, value)| {
            record.result = Some(value);
            records.write(&id, &record).map(|()| added)
        });
        added.map_err(|error| {
            let undone = delete_all(&self.plugins, network, &subject, record.result.as_ref());
            match undone.and_then(|()| records.remove(&id)) {
                Ok(()) => error,
                Err(also) => error.and([also]),
            }
        })
    }

    fn add_all(&self, network: &Configuration, subject: &Subject) -> Result<(CniResult, Value)> {
        let mut last = None;
        for plugin in &network.plugins {
            let previous = last.take().map(|(_, value)| ("prevResult", value));
            let request = Request {
                command: Command::Add,
                subject: Some(subject),
                extra: previous.as_slice(),
            };
            let answer = self.plugins.call(network, plugin, request)?;
            let read = result::read(&answer, network.version).map_err(|why| {
                let message = format!("plugin '{}' answered ADD with: {why}", plugin.program);
                Error::new(ErrorKind::BadAnswer, message)
            })?;
            last = Some(read);
        }
        last.ok_or_else(|| {
            let message = format!("network '{}' has no plugins", network.name);
            Error::new(ErrorKind::InvalidInput, message)
        })
    }

    /// Has each plugin look whether what it made is as it was, in the namespace at `netns` or else the one of the
    /// addition.
    ///
    /// # Errors
    /// `NotAdded`; `InvalidInput` where the namespace is gone; `NoPlugin`, `Plugin`, `Timeout`, `BadAnswer`,
    /// `BadRecord`, `System`.
    pub fn check(&self, id: &AttachmentId, netns: Option<&Path>) -> Result<Asked> {
        let not_added = || Error::new(ErrorKind::NotAdded, format!("{id} was not added"));
        let records = self.records.lock(&id.container_id)?.ok_or_else(not_added)?;
        let record = records.read(id)?.ok_or_else(not_added)?;
        let network = record.network(&records.file(id))?;
        let result = record.result.clone().ok_or_else(not_added)?;
        if network.disable_check {
            return Ok(Asked::Disabled);
        }
        if network.version < Version::V0_4_0 {
            return Ok(Asked::Unsupported);
        }
        let subject = subject(&record, netns)?;
        if subject.netns.is_none() {
            let message = format!("the network namespace of {id} is gone");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let extra = [("prevResult", result)];
        let request = Request { command: Command::Check, subject: Some(&subject), extra: &extra };
        let plugins = self.plugins.or_in(&record.plugin_dirs);
        for plugin in &network.plugins {
            plugins.call(&network, plugin, request)?;
        }
        Ok(Asked::Answered)
    }

    /// Undoes an attachment: `DEL` of each plugin, in reverse, with the addition's configuration and out of its
    /// directories, in the namespace at `netns` or else the addition's, if it is there still. One that is not
    /// recorded is no error.
    ///
    /// All plugins are asked, whatever others answer; after a failure the record stays, so that this can be called
    /// again.
    ///
    /// # Errors
    /// `NoPlugin`, `Plugin`, `Timeout`, `BadAnswer`, `BadRecord`, `System`: the first; see [`Error::also`].
    pub fn delete(&self, id: &AttachmentId, netns: Option<&Path>) -> Result<()> {
        let Some(records) = self.records.lock(&id.container_id)? else { return Ok(()) };
        match records.read(id)? {
            Some(record) => self.delete_recorded(id, records, &record, netns),
            None => records.remove(id),
        }
    }

    fn delete_recorded(
        &self,
        id: &AttachmentId,
        records: Locked,
        record: &Record,
        netns: Option<&Path>,
    ) -> Result<()> {
        let network = record.network(&records.file(id))?;
        let plugins = self.plugins.or_in(&record.plugin_dirs);
        delete_all(&plugins, &network, &subject(record, netns)?, record.result.as_ref())?;
        records.remove(id)
    }

    /// Asks each plugin whether it could add a container now.
    ///
    /// # Errors
    /// `Plugin` with the code 50 for not now, 51 for not now and what was added may lack its network; `NoPlugin`,
    /// `Timeout`, `BadAnswer`, `System`.
    pub fn status(&self, network: &Configuration) -> Result<Asked> {
        self.plugins.check(network)?;
        if network.version < Version::V1_1_0 {
            return Ok(Asked::Unsupported);
        }
        let request = Request { command: Command::Status, subject: None, extra: &[] };
        for plugin in &network.plugins {
            self.plugins.call(network, plugin, request)?;
        }
        Ok(Asked::Answered)
    }

    /// Has a network give back all that does not belong to one of the `valid` attachments: those recorded are
    /// deleted, then each plugin looks for what else it has.
    ///
    /// Whoever else uses this network must be asked first: their attachments are not among those recorded here, and
    /// plugins would take them for garbage unless they are among the `valid` ones.
    ///
    /// # Errors
    /// As [`Client::delete`].
    pub fn collect_garbage(
        &self,
        network: &Configuration,
        valid: &[AttachmentId],
    ) -> Result<Asked> {
        if network.disable_gc {
            return Ok(Asked::Disabled);
        }
        let of_this = |id: &&AttachmentId| id.network == network.name;
        let mut failures = Vec::new();
        for id in self.attachments()?.iter().filter(of_this).filter(|id| !valid.contains(id)) {
            failures.extend(self.delete(id, None).err());
        }
        if network.version < Version::V1_1_0 {
            return Error::first(failures).map(|()| Asked::Unsupported);
        }
        let valid: Value = valid
            .iter()
            .filter(of_this)
            .map(|id| json!({"containerID": id.container_id, "ifname": id.interface}))
            .collect();
        // The specification once called it by the second name.
        let extra = [("cni.dev/valid-attachments", valid.clone()), ("cni.dev/attachments", valid)];
        let request = Request { command: Command::CollectGarbage, subject: None, extra: &extra };
        for plugin in &network.plugins {
            failures.extend(self.plugins.call(network, plugin, request).err());
        }
        Error::first(failures).map(|()| Asked::Answered)
    }

    /// All attachments that are recorded, those too whose addition was cut short.
    ///
    /// # Errors
    /// `System`.
    pub fn attachments(&self) -> Result<Vec<AttachmentId>> {
        self.records.all()
    }

    /// What the addition of an attachment made; `None` if there is none, or it was cut short.
    ///
    /// # Errors
    /// `BadRecord`, `System`.
    pub fn result(&self, id: &AttachmentId) -> Result<Option<CniResult>> {
        let Some(records) = self.records.lock(&id.container_id)? else { return Ok(None) };
        let Some(record) = records.read(id)? else { return Ok(None) };
        let Some(value) = &record.result else { return Ok(None) };
        let network = record.network(&records.file(id))?;
        result::read(value.to_string().as_bytes(), network.version)
            .map(|(result, _)| Some(result))
            .map_err(|why| bad(&records.file(id), format!("result: {why}")))
    }
}

fn delete_all(
    plugins: &Plugins,
    network: &Configuration,
    subject: &Subject,
    result: Option<&Value>,
) -> Result<()> {
    let result = result.filter(|_| network.version >= Version::V0_4_0);
    let extra: Vec<_> = result.map(|result| ("prevResult", result.clone())).into_iter().collect();
    let request = Request { command: Command::Delete, subject: Some(subject), extra: &extra };
    let failures = network.plugins.iter().rev();
    let failures = failures.filter_map(|plugin| plugins.call(network, plugin, request).err());
    Error::first(failures.collect())
}

fn subject(record: &Record, netns: Option<&Path>) -> Result<Subject> {
    netns.map_or(Ok(()), |netns| absolute(netns, "network namespace"))?;
    Ok(record.subject(netns))
}

#[cfg(test)]
mod tests;
