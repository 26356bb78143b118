//! Huge pages, RDMA devices, network packets, and the files named outright.

use super::{Lack, Setting, Settings, Undo, or};
use crate::Controller::{self, HugeTlb, NetCls, NetPrio, Rdma};
use crate::error::Cause;
use crate::{Ceiling, Limits, Result};

impl Settings {
    pub(super) fn huge_pages(&mut self, limits: &Limits, suffix: &str, unlimited: &str) {
        for pages in &limits.huge_pages {
            let value = or(pages.ceiling(), unlimited);
            let limit = "the limit on huge pages";
            let size = pages.size();
            self.ask(limit, HugeTlb, format!("hugetlb.{size}.{suffix}"), value.clone());
            // The limit on reservations, from Linux 5.7: without it, processes that reserved too
            // much are ended by SIGBUS instead of being told.
            let file = format!("hugetlb.{size}.rsvd.{suffix}");
            self.ask(limit, HugeTlb, file, value).lack = Lack::Nothing;
        }
    }

    pub(super) fn rdma(&mut self, limits: &Limits) {
        for of in &limits.rdma {
            let device = of.device();
            let named: Vec<String> = of
                .named()
                .map(|(name, ceiling): (_, Ceiling)| format!("{name}={}", or(ceiling, "max")))
                .collect();
            if named.is_empty() {
                continue;
            }
            let value = format!("{device} {}", named.join(" "));
            self.ask("the limit on an RDMA device", Rdma, "rdma.max", value).undo = Undo::Line {
                key: device.to_owned(),
                reset: format!("{device} hca_handle=max hca_object=max"),
            };
        }
    }

    pub(super) fn network(&mut self, limits: &Limits) {
        if let Some(class) = limits.network_class {
            let limit = "the class of network packets";
            self.ask(limit, NetCls, "net_cls.classid", class.to_string());
        }
        for of in &limits.network_priorities {
            let (interface, priority) = (of.interface(), of.priority());
            let limit = "the priority of network packets";
            let value = format!("{interface} {priority}");
            self.ask(limit, NetPrio, "net_prio.ifpriomap", value).undo =
                Undo::Line { key: interface.to_owned(), reset: format!("{interface} 0") };
        }
    }

    pub(super) fn unified(&mut self, limits: &Limits) -> Result<()> {
        for of in &limits.unified {
            let name = of.file().split('.').next().unwrap_or_default();
            let controller = match name {
                "cgroup" => None,
                name => Some(Controller::from_name(name).ok_or_else(|| {
                    Cause::UnknownController { name: name.to_owned(), file: of.file().to_owned() }
                })?),
            };
            for value in of.value().lines() {
                let key = value.split_once(' ').map(|(key, _)| key).filter(|key| key.contains(':'));
                self.push(Setting {
                    controller,
                    file: of.file().to_owned().into(),
                    value: value.to_owned(),
                    instead: None,
                    undo: match key {
                        None => Undo::FirstLine,
                        Some(key) => {
                            Undo::Line { key: key.to_owned(), reset: format!("{key} default") }
                        }
                    },
                    limit: "a file of the unified hierarchy",
                    lack: Lack::Fails,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{v1, v2};
    use super::*;
    use crate::{ErrorKind, HugePages, NetworkPriority, RdmaLimit, Unified};

    fn files(settings: &[Setting]) -> Vec<(&str, &str)> {
        settings.iter().map(|s| (s.file.as_ref(), s.value.as_str())).collect()
    }

    #[test]
    fn huge_pages_and_rdma_in_the_terms_of_each_version() {
        let limits = Limits {
            huge_pages: vec![HugePages::new("2MB", Ceiling::At(4_194_304)).unwrap()],
            rdma: vec![
                RdmaLimit::new("mlx5_0", Some(Ceiling::At(2)), Some(Ceiling::Unlimited)).unwrap(),
                RdmaLimit::new("mlx5_1", None, None).unwrap(),
            ],
            ..Limits::default()
        };
        let one = v1(&limits).unwrap();
        assert_eq!(
            files(&one),
            [
                ("hugetlb.2MB.limit_in_bytes", "4194304"),
                ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304"),
                ("rdma.max", "mlx5_0 hca_handle=2 hca_object=max"),
            ]
        );
        assert_eq!(one[1].lack, Lack::Nothing);
        let two = v2(&limits).unwrap();
        assert_eq!(files(&two)[0], ("hugetlb.2MB.max", "4194304"));
        assert_eq!(files(&two)[1], ("hugetlb.2MB.rsvd.max", "4194304"));
    }

    #[test]
    fn network_packets_are_marked_in_version_1_alone() {
        let limits = Limits {
            network_class: Some(0x0010_0001),
            network_priorities: vec![NetworkPriority::new("lo", 5).unwrap()],
            ..Limits::default()
        };
        let expected = [("net_cls.classid", "1048577"), ("net_prio.ifpriomap", "lo 5")];
        assert_eq!(files(&v1(&limits).unwrap()), expected);
        assert_eq!(v2(&limits).unwrap_err().kind(), ErrorKind::NoController);
    }

    #[test]
    fn unified_files_are_written_line_by_line_in_version_2_alone() {
        let unified = |file: &str, value: &str| Limits {
            unified: vec![Unified::new(file, value).unwrap()],
            ..Limits::default()
        };
        let limits = unified("io.max", "8:0 rbps=1\n8:16 wbps=2\n");
        let two = v2(&limits).unwrap();
        assert_eq!(files(&two), [("io.max", "8:0 rbps=1"), ("io.max", "8:16 wbps=2")]);
        assert_eq!(two[0].controller, Some(Controller::Io));
        assert_eq!(v1(&limits).unwrap_err().kind(), ErrorKind::NoController);
        let core = v2(&unified("cgroup.max.depth", "3")).unwrap();
        assert_eq!(core[0].controller, None);
        let error = v2(&unified("nonsense.max", "3")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoController);
        assert_eq!(
            error.to_string(),
            r#"no cgroup controller nonsense is known, for "nonsense.max""#
        );
    }
}
