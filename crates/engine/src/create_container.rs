//! Making containers: a directory in their pod's, then what it names.

use std::path::PathBuf;

use jiff::Timestamp;
use oci_spec::runtime::Spec;
use sandbar_spec::{
    ContainerConfig, ContainerId, ContainerName, ContainerStatus, Limits, NamespaceMode,
    Namespaces, NetworkMode, PodConfig, PodId, PortRequest, RestartPolicy, Rootfs, SignalNumber,
};
use sandbar_supervisor::replace_record;

use crate::bundle::{self, ImageDefaults};
use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::options::{ContainerOptions, Source};
use crate::sharing::Placed;
use crate::{directories, names, pause_image, pod};

/// What a container is made from.
struct Material {
    image: String,
    image_id: Option<String>,
    layers: Vec<PathBuf>,
    defaults: ImageDefaults,
    is_pause: bool,
}

impl Engine {
    /// Makes a container, and a pod around it if it joins none; nothing of it runs yet.
    ///
    /// # Errors
    /// [`Kind::NotFound`] (image, pod, joined container), [`Kind::NameTaken`], [`Kind::PortTaken`],
    /// [`Kind::NotRunning`] (joined container), [`Kind::Invalid`], [`Kind::NoNetwork`]; nothing is left behind.
    pub fn create_container(&self, options: &ContainerOptions) -> Result<Container, Error> {
        check(options)?;
        self.prepare()?;
        let placed = self.place(options)?;
        let random = names::random()?;
        let id = ContainerId::from_random(random);
        let name = match options.name.clone() {
            Some(name) => name,
            None => names::made_up(&random).parse()?,
        };
        let store = self.images()?;
        let (material, image) = match &options.source {
            Source::Image(name) => {
                let image = store.find(name)?;
                (Material::of_image(name, &image)?, Some(image))
            }
            Source::Rootfs(directory) => (Material::of_directory(directory)?, None),
        };
        let mut material = material;
        // Pause told to do something else (`-v`) holds no pod open.
        material.is_pause &= options.command.is_empty() && options.entrypoint.is_none();
        let made = match &placed.pod {
            Some(pod) => {
                let lock = directories::lock(&self.roots.pod(&pod.config.id).lock())?;
                let made =
                    self.make_container(options, &placed, &material, &pod.config, (id, name));
                drop(lock);
                made
            }
            None => self.make_with_pod(options, &placed, &material, (id, name)),
        };
        // The image can't be removed until its use is on record.
        drop(image);
        made
    }

    /// Makes a pod for one container, and the container in it.
    fn make_with_pod(
        &self,
        options: &ContainerOptions,
        placed: &Placed,
        material: &Material,
        (id, name): (ContainerId, ContainerName),
    ) -> Result<Container, Error> {
        let pause = material.is_pause.then(|| id.clone());
        let pod_id = PodId::from_random(names::random()?);
        let mut pod_options = options.own_pod.clone();
        pod_options.hostname.get_or_insert_with(|| id.short().to_owned());
        pod_options.shared.pid = material.is_pause;
        // Its pod is called what it is called; where that name is another pod's, what its id is.
        let taken = names::owner_of(&self.roots.pod_names(), name.as_str()).is_some();
        let pod_name = if taken { pod_id.short().parse()? } else { name.as_str().parse()? };
        // A container's name that is taken is told before a pod is made for it.
        if names::owner_of(&self.roots.container_names(), name.as_str()).is_some() {
            let directory = self.roots.pod(&pod_id).container(&id);
            let names = self.roots.container_names();
            names::claim(&names, "container", name.as_str(), directory.path())?;
        }
        if options.publish_all {
            // What is published already, as one asked for it, is not published once more.
            for exposed in material.defaults.exposed(options)? {
                if !pod_options.ports.iter().any(|port| port.container.overlaps(&exposed)) {
                    pod_options.ports.push(PortRequest::at_random(exposed));
                }
            }
        }
        let ports = pod_options.ports.clone();
        let (pod, memberships) = self.configuration(pod_id, pod_name, pod_options, pause, true)?;
        let pod = self.make_pod(pod, &memberships, &ports)?;
        let made = self.make_container(options, placed, material, &pod, (id, name));
        if made.is_err() {
            self.unmake_pod(&pod);
        }
        made
    }

    /// Makes a container in `pod`. What was made goes again on failure.
    fn make_container(
        &self,
        options: &ContainerOptions,
        placed: &Placed,
        material: &Material,
        pod: &PodConfig,
        (id, name): (ContainerId, ContainerName),
    ) -> Result<Container, Error> {
        let explicit = options.pod.is_some() || placed.pod.is_none();
        let mut namespaces = placed.namespaces(pod, explicit);
        if material.is_pause && placed.pod.is_none() {
            namespaces.pid = NamespaceMode::Private;
        }
        if placed.pod.is_none() && pod.network == NetworkMode::None {
            // Its pod's network is what it asked for.
            namespaces.net = NamespaceMode::Pod;
        }
        let storage = self.roots.storage_of(&id);
        let directory = self.roots.pod(&pod.id);
        let mut spec = self.bundle(options, &material.defaults, (pod, &directory), &namespaces)?;
        if material.is_pause {
            bundle::bare(&mut spec);
        }
        let arguments = spec.process().as_ref().and_then(|process| process.args().clone());
        let stop_signal = match (options.stop_signal, &material.defaults.stop_signal) {
            (Some(signal), _) => signal,
            (None, Some(signal)) => signal.parse()?,
            (None, None) => SignalNumber::TERM,
        };
        let config = ContainerConfig {
            id,
            name,
            pod: pod.id.clone(),
            created_at: Timestamp::now(),
            image: material.image.clone(),
            image_id: material.image_id.clone(),
            command: arguments.unwrap_or_default(),
            namespaces,
            joined: placed.joined.clone(),
            rootfs: Rootfs::Overlay {
                lower: material.layers.clone(),
                upper: storage.join("upper"),
                work: storage.join("work"),
            },
            terminal: options.terminal,
            restart: options.restart,
            stop_signal,
            stop_timeout: options.stop_timeout,
            limits: options.limits,
            exposed: material.defaults.exposed(options)?,
            auto_remove: options.auto_remove,
            labels: options.labels.clone(),
            log_path: storage.join("ctr.log"),
        };
        self.write_container(pod, &config, &spec)
    }

    /// Makes the pause of a pod that was asked for as one.
    pub(crate) fn make_pause(&self, pod: &PodConfig) -> Result<(), Error> {
        let Some(id) = pod.pause.clone() else { return Ok(()) };
        let store = self.images()?;
        let image = store.find(pause_image::NAME)?;
        let layer = image.layers.first().cloned().ok_or_else(|| {
            Error::new(Kind::System, "the built-in image localhost/pause has no layer")
        })?;
        let storage = self.roots.storage_of(&id);
        let mode = |shared| if shared { NamespaceMode::Pod } else { NamespaceMode::Private };
        let net = match pod.network {
            NetworkMode::Host => NamespaceMode::Host,
            _ => mode(pod.shared.net),
        };
        let config = ContainerConfig {
            name: format!("{}-pause", pod.id.short()).parse()?,
            id,
            pod: pod.id.clone(),
            created_at: pod.created_at,
            image: pause_image::NAME.to_owned(),
            image_id: Some(image.id.to_string()),
            command: vec!["/pause".to_owned()],
            namespaces: Namespaces {
                net,
                ipc: mode(pod.shared.ipc),
                uts: mode(pod.shared.uts),
                pid: NamespaceMode::Private,
            },
            joined: Vec::new(),
            rootfs: Rootfs::ReadOnly(layer),
            terminal: false,
            restart: RestartPolicy::No,
            stop_signal: SignalNumber::TERM,
            stop_timeout: 10,
            limits: Limits::default(),
            exposed: Vec::new(),
            auto_remove: false,
            labels: std::collections::BTreeMap::new(),
            log_path: storage.join("ctr.log"),
        };
        self.write_container(pod, &config, &bundle::pause()?).map(|_container| ())
    }

    /// Claims the name and writes the directories of a container.
    fn write_container(
        &self,
        pod: &PodConfig,
        config: &ContainerConfig,
        spec: &Spec,
    ) -> Result<Container, Error> {
        let directory = self.roots.pod(&pod.id).container(&config.id);
        let storage = self.roots.storage_of(&config.id);
        directories::make(directory.path())?;
        let write = || -> Result<(), Error> {
            directories::make(&directory.mount_point())?;
            directories::ensure(&self.roots.storage())?;
            directories::make(&storage)?;
            if let Rootfs::Overlay { upper, work, .. } = &config.rootfs {
                // The upper directory is the container's root: its mode is what a user there meets.
                directories::make_with(upper, 0o755)?;
                directories::make(work)?;
            }
            directories::make_file(&config.log_path)?;
            replace_record(&directory.bundle(), spec)?;
            replace_record(&directory.config(), config)?;
            // Last, so that whoever has a name can be found by it.
            let names = self.roots.container_names();
            names::claim(&names, "container", config.name.as_str(), directory.path())?.keep();
            Ok(())
        };
        match write() {
            Ok(()) => {
                self.refresh_names(pod)?;
                let connections = match config.shares_pod_network() {
                    true => pod::connections(&self.roots.pod(&pod.id))?,
                    false => Vec::new(),
                };
                Ok(Container {
                    connections,
                    config: config.clone(),
                    status: ContainerStatus::default(),
                    pod: pod.clone(),
                    directory,
                })
            }
            Err(error) => {
                self.unmake_container(config);
                Err(error)
            }
        }
    }

    /// Removes what a container has on disk. It must not run.
    pub(crate) fn unmake_container(&self, config: &ContainerConfig) {
        let directory = self.roots.pod(&config.pod).container(&config.id);
        // An undoing that fails leaves what `rm -f` clears.
        let _removed = directories::remove(&self.roots.storage_of(&config.id));
        names::release(&self.roots.container_names(), config.name.as_str(), directory.path());
        let _removed = directories::remove(directory.path());
    }
}

impl Material {
    fn of_image(name: &str, image: &sandbar_image::Image) -> Result<Self, Error> {
        let reference = image.reference.as_ref().map(ToString::to_string);
        let pause = format!("{}:latest", pause_image::NAME);
        Ok(Self {
            is_pause: reference.as_ref() == Some(&pause),
            image: reference.unwrap_or_else(|| name.to_owned()),
            image_id: Some(image.id.to_string()),
            layers: image.layers.clone(),
            defaults: ImageDefaults::of(image.config.config().as_ref()),
        })
    }

    fn of_directory(directory: &std::path::Path) -> Result<Self, Error> {
        let directory = directory.canonicalize().map_err(|error| {
            let message = format!("--rootfs {}", directory.display());
            Error::caused(Kind::NotFound, message, error)
        })?;
        if !directory.is_dir() {
            let message = format!("--rootfs {}: it is not a directory", directory.display());
            return Err(Error::new(Kind::Invalid, message));
        }
        Ok(Self {
            image: directory.display().to_string(),
            image_id: None,
            layers: vec![directory],
            defaults: ImageDefaults::default(),
            is_pause: false,
        })
    }
}

/// What contradicts itself is told before anything is made.
fn check(options: &ContainerOptions) -> Result<(), Error> {
    let wrong = |message: &str| Err(Error::new(Kind::Invalid, message));
    if options.auto_remove && options.restart != RestartPolicy::No {
        return wrong("--rm and --restart contradict each other");
    }
    let joins = options.pod.is_some()
        || [&options.net, &options.ipc, &options.uts, &options.pid].into_iter().flatten().any(
            |sharing| {
                use crate::options::Sharing;
                matches!(sharing, Sharing::Container(_) | Sharing::Pod(_))
            },
        );
    if joins && (!options.own_pod.ports.is_empty() || options.publish_all) {
        return wrong("ports are published by the pod: give -p where the pod is made");
    }
    if joins && (options.own_pod.hostname.is_some() || !options.own_pod.hosts.is_empty()) {
        return wrong("--hostname and --add-host belong to the pod: give them where it is made");
    }
    for (index, volume) in options.volumes.iter().enumerate() {
        if options.volumes.iter().take(index).any(|other| other.target == volume.target) {
            let message = format!("two volumes are to be seen at {}", volume.target.display());
            return Err(Error::new(Kind::Invalid, message));
        }
    }
    if !(-1000..=1000).contains(&options.oom_score) {
        return wrong("the OOM score must be from -1000 to 1000");
    }
    if let (Some(memory), Some(swap)) = (options.limits.memory, options.limits.memory_swap)
        && swap < memory
    {
        return wrong("--memory-swap counts memory too: it can't be below --memory");
    }
    if options.limits.memory_swap.is_some() && options.limits.memory.is_none() {
        return wrong("--memory-swap needs --memory");
    }
    Ok(())
}
