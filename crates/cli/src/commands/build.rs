//! `sandbar build`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sandbar_build::{ContextSource, DockerfileSource, Request, Secret};
use sandbar_engine::{PodOptions, Sharing};
use sandbar_image::{Home, Platform, Reference};
use sandbar_spec::NetworkMode;

use super::load::standard_input;
use crate::building::BuildHost;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::options::{RegistryAccess, Surroundings};
use crate::output;
use crate::values::{HostEntry, Label, Network, SecretArgument, SecretFrom, Variable};

/// Build an image from a Dockerfile, and print its id
#[derive(Debug, clap::Args)]
pub(crate) struct Build {
    /// The Dockerfile, or '-' for standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Name the image
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
    /// Set an ARG; NAME alone: from the environment
    #[arg(long, value_name = "NAME=VALUE")]
    build_arg: Vec<Variable>,
    /// Build this stage, and those it needs
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Build for another machine, as in linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Do all steps again
    #[arg(long)]
    no_cache: bool,
    /// Pull base images though they are there
    #[arg(long)]
    pull: bool,
    /// Let RUN read a secret, as in id=key,src=FILE
    #[arg(long, value_name = "id=ID,...")]
    secret: Vec<SecretArgument>,
    /// Give the image a label
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<Label>,
    /// RUN's network: bridge, a network, host, none
    #[arg(long, value_name = "MODE")]
    network: Option<Network>,
    /// Add a line to RUN's /etc/hosts
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<HostEntry>,
    /// Write the image's id to a file
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Say nothing but the image's id
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryAccess,
    /// What can be copied: a directory; '-': an archive, or a Dockerfile
    context: PathBuf,
}

impl Build {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("build {}", self.context.display());
        let (registry, quiet) = (self.registry.clone(), self.quiet);
        let iidfile = self.iidfile.clone();
        let request = self.resolve(&Surroundings::REAL)?;
        let engine = context.engine()?;
        let host = BuildHost::new(&engine, &registry, quiet);
        let built = sandbar_build::build(&engine, &request, &host);
        let image = built.map_err(|error| host.failure(&action, error))?;
        if let Some(file) = iidfile {
            let action = format!("write the image's id to {}", file.display());
            std::fs::write(&file, image.to_string()).doing(action)?;
        }
        output::line(image)?;
        Ok(Exit::SUCCESS)
    }

    fn resolve(self, around: &Surroundings) -> Result<Request> {
        let name = |name: &String| {
            Reference::parse(name, Home::Localhost).doing(format_args!("name the image {name}"))
        };
        let names = self.tag.iter().map(name).collect::<Result<_>>()?;
        let mut arguments = BTreeMap::new();
        for argument in self.build_arg {
            let argument = argument.resolve(around.variable).doing("read --build-arg")?;
            if let Some((name, value)) = argument.as_deref().and_then(|it| it.split_once('=')) {
                arguments.insert(name.to_owned(), value.to_owned());
            }
        }
        let epoch = match arguments.get("SOURCE_DATE_EPOCH") {
            Some(text) => Some(text.clone()),
            None => (around.variable)("SOURCE_DATE_EPOCH").and_then(|it| it.into_string().ok()),
        };
        let epoch = epoch.filter(|text| !text.is_empty());
        let epoch = epoch.map(|text| sandbar_build::source_date_epoch(&text)).transpose();
        let (pod, net) = network(self.network)?;
        let hosts = self.add_host.into_iter().map(|entry| (entry.name, entry.address)).collect();
        let (context, dockerfile) = sources(&self.context, self.file, around)?;
        let secrets = self.secret.into_iter().map(|secret| read(secret, around));
        Ok(Request {
            context,
            dockerfile,
            names,
            arguments,
            labels: self.label.into_iter().map(|label| (label.name, label.value)).collect(),
            target: self.target,
            platform: self.platform,
            uses_cache: !self.no_cache,
            pulls: self.pull,
            secrets: secrets.collect::<Result<_>>()?,
            pod: PodOptions { hosts, ..pod },
            net,
            epoch: epoch.doing("build at the given time")?,
        })
    }
}

/// Where the context and the Dockerfile are.
fn sources(
    context: &Path,
    file: Option<PathBuf>,
    around: &Surroundings,
) -> Result<(ContextSource, DockerfileSource)> {
    let text = context.to_string_lossy();
    let is_elsewhere = ["http://", "https://", "git://", "git@", "ssh://", "docker-image://"];
    if is_elsewhere.iter().any(|scheme| text.starts_with(scheme)) {
        let message = format!("cannot build {text}: a context is a directory or standard input");
        return Err(Failure::new(message).hint("fetch it first, as with git clone"));
    }
    let reads_file = file.as_deref() == Some(Path::new("-"));
    let context = match &*text {
        "-" if reads_file => {
            let message = "cannot build: standard input is either the context or the Dockerfile";
            return Err(Failure::new(message).hint("give a directory, or leave -f out"));
        }
        "-" => ContextSource::Stream(standard_input("build")?),
        _ => ContextSource::Directory(around.absolute(context)?),
    };
    let dockerfile = match file {
        None => DockerfileSource::Usual,
        Some(_) if reads_file => {
            let text = std::io::read_to_string(standard_input("build")?);
            DockerfileSource::Text(text.doing("read the Dockerfile")?)
        }
        Some(path) => DockerfileSource::Path(path),
    };
    Ok((context, dockerfile))
}

/// The network of `RUN`'s pods.
fn network(asked: Option<Network>) -> Result<(PodOptions, Option<Sharing>)> {
    let mut pod = PodOptions::default();
    let net = match asked {
        None => None,
        Some(Network::On(membership)) if membership.network == "default" => None,
        Some(Network::On(membership)) => {
            pod.memberships.push(membership);
            None
        }
        Some(Network::Host) => {
            pod.network = NetworkMode::Host;
            Some(Sharing::Host)
        }
        Some(Network::None) => {
            pod.network = NetworkMode::None;
            Some(Sharing::Private)
        }
        Some(Network::Path(path)) => {
            pod.network = NetworkMode::Path(path);
            None
        }
        Some(Network::Container(name) | Network::Pod(name)) => {
            let message =
                format!("cannot build in the network of '{name}': RUN has a pod of its own");
            return Err(Failure::new(message).hint("give bridge, a network's name, host or none"));
        }
    };
    Ok((pod, net))
}

/// Reads a secret.
fn read(secret: SecretArgument, around: &Surroundings) -> Result<(String, Secret)> {
    use std::os::unix::ffi::OsStringExt as _;
    let SecretArgument { id, from } = secret;
    let action = format!("read the secret '{id}'");
    let variable = |name: &str| (around.variable)(name).map(std::ffi::OsString::into_vec);
    let file =
        |path: &Path| std::fs::read(path).doing(format_args!("{action} from {}", path.display()));
    let bytes = match from {
        SecretFrom::File(path) => file(&path)?,
        SecretFrom::Variable(name) => variable(&name).ok_or_else(|| {
            Failure::new(format!("cannot {action}: the variable {name} is not set"))
        })?,
        SecretFrom::Either => match variable(&id) {
            Some(value) => value,
            None => file(Path::new(&id))?,
        },
    };
    Ok((id, Secret::new(bytes)))
}
