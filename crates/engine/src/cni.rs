//! Pods on networks of CNI plugins, in place of Sandbar's bridge.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use sandbar_network::cni::{
    Attachment, AttachmentId, Client, CniResult, Configuration, PortMapping, Transport,
};
use sandbar_spec::{
    Bandwidth, BitRate, CniNetwork, Connection, Connection6, Membership, NetworkId, NetworkMode,
    PodConfig, PodId, Protocol,
};
use sandbar_supervisor::replace_record;

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::etc;

/// A pod's interface, by the name that every container runtime gives it.
const IN_POD: &str = "eth0";
/// Where distributions and installers put plugins.
const USUAL_PLUGINS: [&str; 2] = ["/usr/lib/cni", "/opt/cni/bin"];

/// Where networks of CNI plugins are configured, and where the plugins are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CniDirectories {
    /// The directory of configurations: the first by file name is the pods' network. Absolute.
    pub configurations: PathBuf,
    /// The directories of plugins; the usual ones if none. Absolute.
    pub plugins: Vec<PathBuf>,
}

impl Engine {
    /// The same engine, that puts new pods which ask for a bridge on a network of CNI plugins.
    #[must_use]
    pub fn with_cni(self, directories: Option<CniDirectories>) -> Self {
        Self { cni: directories, ..self }
    }

    /// The network of CNI plugins that a new pod is to be on, if any; one that can do what the pod needs.
    pub(crate) fn cni_network(&self, pod: &PodConfig) -> Result<Option<CniNetwork>, Error> {
        let Some(directories) = self.cni.as_ref().filter(|_| pod.network == NetworkMode::Bridge)
        else {
            return Ok(None);
        };
        let configuration = Configuration::find(&directories.configurations, None)?;
        let needed =
            [("portMappings", !pod.ports.is_empty()), ("bandwidth", !pod.bandwidth.is_unlimited())];
        for (capability, _) in needed.into_iter().filter(|(_, is_needed)| *is_needed) {
            if !configuration.has_capability(capability) {
                let name = configuration.name();
                let message = format!(
                    "CNI network '{name}' has no plugin with the capability '{capability}'"
                );
                return Err(Error::new(Kind::Invalid, message));
            }
        }
        let plugins = match directories.plugins.is_empty() {
            true => USUAL_PLUGINS.map(PathBuf::from).to_vec(),
            false => directories.plugins.clone(),
        };
        Ok(Some(CniNetwork {
            name: configuration.name().to_owned(),
            configurations: directories.configurations.clone(),
            plugins,
        }))
    }

    /// Whether plugins have, or may have, attached a pod.
    pub(crate) fn is_connected_by_cni(&self, pod: &PodId) -> bool {
        self.roots.cni().join(pod.as_str()).is_dir()
    }

    /// Has the plugins of `network` attach a pod, and writes down where it then is.
    pub(crate) fn connect_by_cni(
        &self,
        pod: &PodConfig,
        network: &CniNetwork,
        netns: BorrowedFd<'_>,
    ) -> Result<(), Error> {
        sandbar_network::bring_up_loopback(netns)?;
        // What its last supervisor was killed before undoing.
        self.disconnect_by_cni(&pod.id, None)?;
        let configuration = Configuration::find(&network.configurations, Some(&network.name))?;
        let mut attachment = Attachment::new(pod.id.as_str(), IN_POD, path_of(netns))?;
        attachment.runtime.port_mappings = pod.ports.iter().flat_map(published).collect();
        attachment.runtime.bandwidth = limits(pod.bandwidth);
        let client = Client::new(network.plugins.clone(), self.roots.cni())?;
        let added = client.add(&configuration, &attachment)?;
        let connections: Vec<Connection> = connection(network, &added)?.into_iter().collect();
        let directory = self.roots.pod(&pod.id);
        replace_record(&directory.networks(), &connections)?;
        let mut known = pod.clone();
        if known.dns.is_empty() {
            known
                .dns
                .extend(added.dns.nameservers.iter().filter_map(|it| it.parse::<IpAddr>().ok()));
        }
        etc::rewrite(&directory, &known, &connections)
    }

    /// Has plugins undo what they did for a pod, if they did anything, in its namespace where that is at hand.
    pub(crate) fn disconnect_by_cni(
        &self,
        pod: &PodId,
        netns: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        if !self.is_connected_by_cni(pod) {
            return Ok(());
        }
        let netns = netns.map(path_of);
        let client = self.cni_client()?;
        for id in client.attachments()?.iter().filter(|id| id.container_id == pod.as_str()) {
            client.delete(id, netns.as_deref())?;
        }
        // Nobody's now, and left empty if its maker was killed early; the next start has another address.
        let _removed = std::fs::remove_dir(self.roots.cni().join(pod.as_str()));
        let _removed = std::fs::remove_file(self.roots.pod(pod).networks());
        Ok(())
    }

    /// Gives back what plugins leased to pods that a reboot took. What can't be given back now is the next boot's.
    pub(crate) fn sweep_cni(&self) {
        let Ok(client) = self.cni_client() else { return };
        let all: Vec<AttachmentId> = client.attachments().unwrap_or_default();
        for id in &all {
            let _deleted = client.delete(id, None);
        }
    }

    /// To undo: each record says where its plugins were, so that these are a second place to look.
    fn cni_client(&self) -> Result<Client, Error> {
        let given = self.cni.as_ref().map(|it| it.plugins.clone()).filter(|it| !it.is_empty());
        let plugins = given.unwrap_or_else(|| USUAL_PLUGINS.map(PathBuf::from).to_vec());
        Ok(Client::new(plugins, self.roots.cni())?)
    }
}

/// Checks what networks were asked for of a pod that is to be on `network`: that one, if any, and nothing that is its
/// plugins' to give.
pub(crate) fn check_asked(network: &CniNetwork, asked: &[Membership]) -> Result<(), Error> {
    let own = &network.name;
    let invalid = |message| Err(Error::new(Kind::Invalid, message));
    for membership in asked {
        let Membership { network: name, ip, ip6, mac, aliases, interface } = membership;
        let is_more = ip.is_some() || ip6.is_some() || mac.is_some() || interface.is_some();
        if is_more || !aliases.is_empty() {
            return invalid(format!(
                "on the CNI network '{own}' addresses, aliases and interface names are its plugins' to give, not \
                 asked for"
            ));
        }
        if name != own {
            let name = if name.is_empty() { "bridge" } else { name };
            return invalid(format!(
                "--network {name}: with --cni-conf-dir {} the pod is on the CNI network '{own}' \
                 and on no other; leave out one of the two options, or write --network {own}",
                network.configurations.display()
            ));
        }
    }
    Ok(())
}

/// A path to a descriptor of this process, for others.
fn path_of(netns: BorrowedFd<'_>) -> PathBuf {
    Path::new("/proc")
        .join(std::process::id().to_string())
        .join("fd")
        .join(netns.as_raw_fd().to_string())
}

/// Where the pod is, if it has an IPv4 address: as on a network of ours.
fn connection(network: &CniNetwork, added: &CniResult) -> Result<Option<Connection>, Error> {
    let mut own = added.addresses_of(IN_POD);
    let v4 = own.find_map(|it| match it.address {
        (IpAddr::V4(ip), prefix) => Some((ip, prefix, it.gateway)),
        (IpAddr::V6(_), _) => None,
    });
    let Some((ip, prefix, gateway)) = v4 else { return Ok(None) };
    let gateway = match gateway {
        Some(IpAddr::V4(gateway)) => gateway,
        _ => Ipv4Addr::UNSPECIFIED,
    };
    let ipv6 = added.addresses_of(IN_POD).find_map(|it| match (it.address, it.gateway) {
        ((IpAddr::V6(ip), prefix), Some(IpAddr::V6(gateway))) => {
            Some(Connection6 { ip, prefix, gateway })
        }
        _ => None,
    });
    let inside = added.interfaces.iter().find(|it| it.name == IN_POD && !it.sandbox.is_empty());
    let outside = added.interfaces.iter().rfind(|it| it.sandbox.is_empty());
    Ok(Some(Connection {
        network: network.name.parse()?,
        // Plugins' networks have names alone.
        network_id: NetworkId::from_random([0; 32]),
        ip,
        prefix,
        gateway,
        ipv6,
        mac: inside.map(|it| it.mac.clone()).unwrap_or_default(),
        interface: IN_POD.to_owned(),
        host_interface: outside.map(|it| it.name.clone()).unwrap_or_default(),
        aliases: Vec::new(),
        names: false,
        internal: false,
    }))
}

/// A pod's limits, with a burst as large as it goes where there is a rate, as kubelet has it.
fn limits(asked: Bandwidth) -> Option<sandbar_network::cni::Bandwidth> {
    const BURST: u64 = 0x7fff_ffff;
    let rate_and_burst = |rate: Option<BitRate>| rate.map_or((0, 0), |BitRate(rate)| (rate, BURST));
    let (ingress_rate, ingress_burst) = rate_and_burst(asked.ingress);
    let (egress_rate, egress_burst) = rate_and_burst(asked.egress);
    (!asked.is_unlimited()).then_some(sandbar_network::cni::Bandwidth {
        ingress_rate,
        ingress_burst,
        egress_rate,
        egress_burst,
    })
}

fn published(port: &sandbar_spec::PortMapping) -> impl Iterator<Item = PortMapping> + use<> {
    let host_ip = port.host_ip;
    let transport = match port.protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
        Protocol::Sctp => Transport::Sctp,
    };
    port.pairs().map(move |(host_port, container_port)| PortMapping {
        host_ip,
        host_port: host_port.get(),
        container_port: container_port.get(),
        transport,
    })
}
