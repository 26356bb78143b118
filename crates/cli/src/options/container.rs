//! A new container: all its options, and the image and the command after them.

use std::path::PathBuf;

use sandbar_engine::{ContainerOptions, Source};

use super::{
    Exposing, Joining, Life, Process, Publishing, Resources, Security, Storage, Surroundings,
};
use crate::failure::{Failure, Result};

/// What a new container is asked to be.
#[derive(Debug, clap::Args)]
pub(crate) struct ContainerArguments {
    /// The image, unless --rootfs is given, then the command
    // One list: what follows the image is the command's own, options included.
    #[arg(
        value_name = "IMAGE [COMMAND]",
        required_unless_present = "rootfs",
        trailing_var_arg = true
    )]
    words: Vec<String>,
    #[command(flatten)]
    life: Life,
    #[command(flatten)]
    process: Process,
    #[command(flatten, next_help_heading = "Namespaces and network")]
    joining: Joining,
    #[command(flatten, next_help_heading = "Namespaces and network")]
    publishing: Publishing,
    #[command(flatten, next_help_heading = "Namespaces and network")]
    exposing: Exposing,
    #[command(flatten, next_help_heading = "Storage")]
    storage: Storage,
    #[command(flatten, next_help_heading = "Limits")]
    resources: Resources,
    #[command(flatten, next_help_heading = "Privileges")]
    security: Security,
    /// Run in a directory in place of an image
    #[arg(long, value_name = "DIR", help_heading = "Storage")]
    rootfs: Option<PathBuf>,
}

impl ContainerArguments {
    /// Whether standard input is kept open.
    pub(crate) fn is_interactive(&self) -> bool {
        self.process.interactive
    }

    /// The engine's options.
    pub(crate) fn resolve(self, around: &Surroundings) -> Result<ContainerOptions> {
        let mut words = self.words.into_iter();
        let source = match self.rootfs {
            Some(directory) => Source::Rootfs(around.absolute(&directory)?),
            None => match words.next() {
                Some(image) if !image.is_empty() => Source::Image(image),
                _ => return Err(Failure::new("an image is needed").hint("see 'sandbar images'")),
            },
        };
        let mut options = ContainerOptions::new(source);
        options.command = words.collect();
        self.life.resolve(&mut options)?;
        self.process.resolve(&mut options, around)?;
        self.joining.resolve(&mut options)?;
        self.publishing.resolve_for_container(&mut options)?;
        self.exposing.resolve(&mut options)?;
        self.storage.resolve(&mut options, around)?;
        self.resources.resolve(&mut options)?;
        self.security.resolve(&mut options);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use sandbar_engine::{Sharing, VolumeSource};
    use sandbar_spec::{Bytes, NetworkMode, RestartPolicy, SignalNumber};
    use std::path::Path;

    #[derive(Parser)]
    struct Create {
        #[command(flatten)]
        container: ContainerArguments,
    }

    fn resolve(line: &str) -> Result<ContainerOptions> {
        let words = ["create"].into_iter().chain(line.split(' '));
        Create::try_parse_from(words).unwrap().container.resolve(&Surroundings::OF_TEST)
    }

    fn refused(line: &str) -> String {
        resolve(line).unwrap_err().lines()
    }

    #[test]
    fn what_follows_the_image_is_the_commands_own() {
        let options = resolve("--name web nginx -d --rm -- x").unwrap();
        assert_eq!(options.source, Source::Image("nginx".into()));
        assert_eq!(options.command, ["-d", "--rm", "--", "x"]);
        assert!(!options.auto_remove);
        assert!(Create::try_parse_from(["create", "--nope", "nginx"]).is_err());
        assert!(Create::try_parse_from(["create"]).is_err());
    }

    #[test]
    fn a_directory_takes_the_images_place() {
        let options = resolve("--rootfs ./root sh -c true").unwrap();
        assert_eq!(options.source, Source::Rootfs("/srv/root".into()));
        assert_eq!(options.command, ["sh", "-c", "true"]);
    }

    #[test]
    fn the_environment_is_the_files_then_the_options() {
        let options = resolve("-e A=option --env-file vars -e NOT_SET -e SHELL x").unwrap();
        let expected = ["A=file", "SHELL=/bin/ash", "A=option", "SHELL=/bin/ash"];
        assert_eq!(options.environment, expected);
        assert!(refused("--env-file missing x").contains("environment file missing"));
    }

    #[test]
    fn processes() {
        let options = resolve("-it -w /srv -u 1:2 --entrypoint /bin/sh x").unwrap();
        assert!(options.interactive && options.terminal);
        assert_eq!(options.working_directory.as_deref(), Some(Path::new("/srv")));
        assert_eq!(options.user.as_deref(), Some("1:2"));
        assert_eq!(options.entrypoint, Some(vec!["/bin/sh".to_owned()]));
        assert!(refused("-w srv x").contains("not absolute"));
    }

    #[test]
    fn volumes_are_made_absolute() {
        let options = resolve("-v ./a:/a:ro -v db:/b -v /c:/c:z --tmpfs /d:size=1m x").unwrap();
        let sources: Vec<_> = options.volumes.iter().map(|volume| &volume.source).collect();
        assert_eq!(
            sources,
            [
                &VolumeSource::Path("/srv/a".into()),
                &VolumeSource::Named("db".into()),
                &VolumeSource::Path("/c".into()),
                &VolumeSource::Tmpfs(vec!["size=1m".into()]),
            ]
        );
        assert!(options.volumes[0].read_only && !options.volumes[1].read_only);
        assert!(refused("-v /a:/x -v /b:/x x").contains("two volumes"));
    }

    #[test]
    fn a_relabel_is_refused_where_it_would_be_ignored() {
        let words = ["create", "-v", "/a:/a:Z", "x"];
        let around = Surroundings { has_selinux: || true, ..Surroundings::OF_TEST };
        let container = Create::try_parse_from(words).unwrap().container;
        assert!(container.resolve(&around).unwrap_err().lines().contains("SELinux"));
    }

    #[test]
    fn networks_are_of_the_container_and_of_the_pod_made_for_it() {
        for (line, net, own) in [
            ("x", None, NetworkMode::Bridge),
            ("--net bridge x", None, NetworkMode::Bridge),
            ("--net=host x", Some(Sharing::Host), NetworkMode::Host),
            ("--network none x", Some(Sharing::Private), NetworkMode::None),
            ("--net container:a x", Some(Sharing::Container("a".into())), NetworkMode::Bridge),
            ("--net pod:a x", Some(Sharing::Pod("a".into())), NetworkMode::Bridge),
        ] {
            let options = resolve(line).unwrap();
            assert_eq!((options.net, options.own_pod.network), (net, own), "{line}");
        }
        let options = resolve("--pod p --ipc private --uts host --pid container:a x").unwrap();
        assert_eq!(options.pod.as_deref(), Some("p"));
        assert_eq!(options.ipc, Some(Sharing::Private));
        assert_eq!(options.uts, Some(Sharing::Host));
        assert_eq!(options.pid, Some(Sharing::Container("a".into())));
        assert!(refused("--pod p --net bridge x").contains("network of its own"));
    }

    #[test]
    fn what_is_a_matter_of_the_pod_is_refused_in_a_pod_that_is_there() {
        for option in ["-p 80:80", "--hostname h", "--add-host a:1.2.3.4", "--dns 1.1.1.1"] {
            for join in ["--pod p", "--net container:a", "--ipc pod:p"] {
                let lines = refused(&format!("{join} {option} x"));
                assert!(lines.contains("whole pod"), "{lines}");
                assert!(lines.contains("sandbar pod create"), "{lines}");
            }
            resolve(&format!("{option} x")).unwrap();
        }
        assert!(refused("--pod p -P x").contains("whole pod"));
        for option in ["-p 80:80", "-P"] {
            assert!(refused(&format!("--net host {option} x")).contains("ports"));
        }
        assert!(refused("--uts host --hostname h x").contains("host's own name"));
        assert!(refused("--hostname a/b x").contains("a/b"));
    }

    #[test]
    fn ports_are_published_and_exposed() {
        let options = resolve("-p 80:80 -p 80:80/udp -p 81:80 x").unwrap();
        assert_eq!(options.own_pod.ports.len(), 3);
        let options = resolve("-P --expose 7000-7009/udp x").unwrap();
        assert!(options.publish_all && options.exposed[0].count.get() == 10);
    }

    #[test]
    fn limits() {
        let line = "-m 512m --memory-swap 1g --cpus 1.5 --cpu-shares 2 --pids-limit -1 \
                    --ulimit nofile=1:2 --oom-score-adj -500 x";
        let options = resolve(line).unwrap();
        assert_eq!(options.limits.memory, Some(Bytes(512 << 20)));
        assert_eq!(options.limits.memory_swap, Some(Bytes(1 << 30)));
        assert_eq!(options.limits.nano_cpus, Some(1_500_000_000));
        assert_eq!(options.limits.cpu_shares, Some(2));
        assert_eq!(options.limits.pids, Some(0));
        assert_eq!(options.ulimits[0].hard, 2);
        assert_eq!(options.oom_score, -500);
        let options = resolve("-m 0 --memory-swap -1 --cpus 0 x").unwrap();
        assert_eq!(options.limits, sandbar_spec::Limits::default());
        assert!(refused("--memory-swap 1g x").contains("needs --memory"));
        assert!(refused("-m 2g --memory-swap 1g x").contains("less than"));
    }

    #[test]
    fn privileges() {
        let line = "--cap-add NET_ADMIN,SYS_TIME --cap-drop ALL --security-opt no-new-privileges x";
        let options = resolve(line).unwrap();
        assert_eq!(options.cap_add, ["NET_ADMIN", "SYS_TIME"]);
        assert_eq!(options.cap_drop, ["ALL"]);
        assert!(options.no_new_privileges);
    }

    #[test]
    fn life_and_end() {
        let line = "--restart on-failure:3 --stop-signal INT --stop-timeout 3 -l a=b x";
        let options = resolve(line).unwrap();
        assert_eq!(options.restart, RestartPolicy::OnFailure(Some(3)));
        assert_eq!(options.stop_signal.map(SignalNumber::get), Some(2));
        assert_eq!(options.stop_timeout, 3);
        assert_eq!(options.labels.get("a").map(String::as_str), Some("b"));
        assert!(refused("--rm --restart always x").contains("--restart"));
    }
}
