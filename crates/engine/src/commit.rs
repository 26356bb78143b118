//! A container's changes become a layer of a new image.

use std::path::PathBuf;

use jiff::Timestamp;
use sandbar_image::{Changes, Digest, ImageId, Reference};
use sandbar_spec::control::{Reply, Request};
use sandbar_spec::{ContainerId, Rootfs};
use sandbar_supervisor::Client;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};

/// How an image is made of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// Whether the container stands still while it is read.
    pub pause: bool,
    /// The latest time in the layer.
    pub newest: Option<Timestamp>,
    /// What the image is called.
    pub reference: Option<Reference>,
}

impl Engine {
    /// Makes an image of a container's image and, above its layers, what the container wrote. Its configuration is what
    /// `configure` makes of all layers' digests, the bottom one first.
    ///
    /// Volumes are no part of it, nor are the empty files and directories that mounts are made on.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for a container without an image (`--rootfs`) or with a read-only root;
    /// [`Kind::System`] if it can't be made to stand still, or went on too early; those of the store.
    pub fn commit_container(
        &self,
        container: &Container,
        options: &CommitOptions,
        configure: impl FnOnce(&[Digest]) -> Vec<u8>,
    ) -> Result<ImageId, Error> {
        let config = &container.config;
        let refuse = |why: &str| {
            let message = format!("container '{}' {why}", config.name);
            Error::new(Kind::Unsupported, message)
        };
        let (Rootfs::Overlay { upper, .. }, Some(base)) = (&config.rootfs, &config.image_id) else {
            return Err(match config.rootfs {
                Rootfs::Overlay { .. } => {
                    refuse("was made with --rootfs: it has no image to add to")
                }
                Rootfs::ReadOnly(_) => refuse("has a read-only root: it changes nothing"),
            });
        };
        let base: ImageId = base.parse()?;
        let places = self.mounted_on(container)?;
        let changes = Changes::of(upper)?
            .no_newer_than(options.newest)
            .without_empty(places.iter().map(PathBuf::as_path));
        let mut hold = match options.pause {
            true => self.freeze(container)?,
            false => None,
        };
        let configured = |layers: &[Digest]| {
            // By now the layer is written: nobody needs to wait any longer.
            let untouched = match hold.take() {
                Some(hold) => hold.release(),
                None if options.pause => self.check_not_started(container),
                None => Ok(()),
            };
            untouched.map_err(sandbar_image::Error::given_up)?;
            Ok(configure(layers))
        };
        let reference = options.reference.as_ref();
        Ok(self.images()?.extend(Some(&base), Some(&changes), configured, reference)?)
    }

    /// Where something is mounted in a container.
    fn mounted_on(&self, container: &Container) -> Result<Vec<PathBuf>, Error> {
        let spec = container.spec()?;
        let mounts = spec.mounts().iter().flatten();
        Ok(mounts.map(|mount| mount.destination().clone()).collect())
    }

    /// Fails if a container that did not run was started since.
    fn check_not_started(&self, container: &Container) -> Result<(), Error> {
        let now = self.container(container.config.id.as_str())?;
        match now.status.started_at == container.status.started_at {
            true => Ok(()),
            false => Err(Error::new(Kind::System, "the container was started meanwhile")),
        }
    }

    /// Has a container stand still; `None` if it does not run.
    fn freeze(&self, container: &Container) -> Result<Option<Hold>, Error> {
        use sandbar_spec::control::Failure;
        let container_id = container.config.id.clone();
        let request = Request::Freeze { container: container_id.clone() };
        match self.ask(&container.pod, &request)? {
            Some((client, Reply::Done)) => Ok(Some(Hold { client, container: container_id })),
            None | Some((_, Reply::Failed { kind: Failure::NotRunning, .. })) => Ok(None),
            Some((_, Reply::Failed { kind, message, .. })) => Err(Error::answered(kind, message)),
            Some(_) => Err(Error::new(Kind::System, "the pod's supervisor answers out of turn")),
        }
    }
}

/// A container that stands still for as long as this connection lasts.
#[derive(Debug)]
struct Hold {
    client: Client,
    container: ContainerId,
}

impl Hold {
    /// Lets it go on; fails if it has already.
    fn release(self) -> Result<(), Error> {
        let ended =
            || Error::new(Kind::System, "the container, or its supervisor, ended meanwhile");
        let asked = self.client.send(&Request::Thaw { container: self.container }, &[]);
        let answer = asked.and_then(|()| self.client.receive()).map_err(|_gone| ended())?;
        match answer.map(|packet| packet.message) {
            Some(Reply::Done) => Ok(()),
            Some(Reply::Failed { kind, message, .. }) => Err(Error::answered(kind, message)),
            _ => Err(ended()),
        }
    }
}
