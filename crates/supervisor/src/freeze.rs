//! Containers that stand still while a client looks at what they wrote.
//!
//! A client that asks for this is a holder. The container goes on when its last holder lets go or is gone, whatever
//! killed it: nobody can leave one standing. It goes on too when somebody wants its end or sends it a signal, for a
//! frozen process of cgroup v1 gets none; the holders are then told when they let go.

use std::time::Duration;

use sandbar_cgroup::Cgroup;
use sandbar_spec::ContainerId;
use sandbar_spec::control::{Failure, Reply};

use crate::cgroups;
use crate::poll::Serial;
use crate::supervisor::Supervisor;

/// How long the processes may take to stand still. The pod's other requests wait meanwhile.
const LONGEST: Duration = Duration::from_secs(2);

impl Supervisor {
    pub(crate) fn request_freeze(&mut self, client: Serial, id: &ContainerId) {
        let Some(member) = self.members.get(id).filter(|member| member.running().is_some()) else {
            return self.not_running(client);
        };
        if member.holders.is_empty() {
            let Some(cgroup) = self.cgroup(id) else {
                return self.fail(client, Failure::Other, "there are no cgroups to freeze it by");
            };
            if let Err(error) = cgroup.freeze(LONGEST) {
                return self.fail(client, Failure::Other, error.to_string());
            }
        }
        if let Some(member) = self.members.get_mut(id) {
            member.holders.push(client);
        }
        self.reply(client, &Reply::Done, &[]);
    }

    pub(crate) fn request_thaw(&mut self, client: Serial, id: &ContainerId) {
        let held = self.members.get(id).is_some_and(|member| member.holders.contains(&client));
        self.forget_holder(client);
        match held {
            true => self.reply(client, &Reply::Done, &[]),
            false => self.fail(client, Failure::Other, "the container went on meanwhile"),
        }
    }

    /// A client holds nothing any more.
    pub(crate) fn forget_holder(&mut self, client: Serial) {
        let mut last_of = Vec::new();
        for (id, member) in &mut self.members {
            let before = member.holders.len();
            member.holders.retain(|holder| *holder != client);
            if member.holders.is_empty() && before > 0 {
                last_of.push(id.clone());
            }
        }
        for id in last_of {
            self.thaw(&id);
        }
    }

    /// Has a container go on, whoever holds it.
    pub(crate) fn release(&mut self, id: &ContainerId) {
        if let Some(member) = self.members.get_mut(id)
            && !member.holders.is_empty()
        {
            member.holders.clear();
            self.thaw(id);
        }
    }

    /// Has a container go on.
    pub(crate) fn thaw(&self, id: &ContainerId) {
        if let Some(cgroup) = self.cgroup(id) {
            // One whose cgroup is gone has ended.
            let _thawed = cgroup.thaw();
        }
    }

    fn cgroup(&self, id: &ContainerId) -> Option<Cgroup> {
        let path = cgroups::container_cgroup(&self.config.id, id).ok()?;
        self.hierarchy.as_ref().map(|hierarchy| hierarchy.open(&path))
    }
}
