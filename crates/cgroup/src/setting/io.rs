//! Block device input and output.

use super::{Settings, Undo};
use crate::Controller::Io;
use crate::error::Cause;
use crate::{IoLimits, IoThrottle, Result, Throttled};

const WEIGHT: &str = "the I/O weight";
const LEAF_WEIGHT: &str = "the I/O leaf weight";

impl Settings {
    pub(super) fn io_v1(&mut self, io: &IoLimits) -> Result<()> {
        if let Some(weight) = check_weight(io.weight)? {
            let value = weight.to_string();
            // CFQ's file, up to Linux 4.20, and then BFQ's.
            self.ask(WEIGHT, Io, "blkio.weight", value).instead =
                Some(("blkio.bfq.weight", weight.to_string()));
        }
        if let Some(weight) = check_weight(io.leaf_weight)? {
            self.ask(LEAF_WEIGHT, Io, "blkio.leaf_weight", weight.to_string());
        }
        for of in &io.devices {
            let undo = Undo::Line { key: of.device.to_string(), reset: format!("{} 0", of.device) };
            if let Some(weight) = check_weight(of.weight)? {
                let value = format!("{} {weight}", of.device);
                let setting = self.ask(WEIGHT, Io, "blkio.weight_device", value.clone());
                setting.instead = Some(("blkio.bfq.weight_device", value));
                setting.undo = undo.clone();
            }
            if let Some(weight) = check_weight(of.leaf_weight)? {
                let value = format!("{} {weight}", of.device);
                self.ask(LEAF_WEIGHT, Io, "blkio.leaf_weight_device", value).undo = undo;
            }
        }
        for IoThrottle { device, what, rate } in &io.throttles {
            let file = match what {
                Throttled::ReadBytes => "blkio.throttle.read_bps_device",
                Throttled::WriteBytes => "blkio.throttle.write_bps_device",
                Throttled::Reads => "blkio.throttle.read_iops_device",
                Throttled::Writes => "blkio.throttle.write_iops_device",
            };
            self.ask("an I/O limit", Io, file, format!("{device} {rate}")).undo =
                Undo::Line { key: device.to_string(), reset: format!("{device} 0") };
        }
        Ok(())
    }

    pub(super) fn io_v2(&mut self, io: &IoLimits) -> Result<()> {
        if io.leaf_weight.is_some() || io.devices.iter().any(|of| of.leaf_weight.is_some()) {
            return Err(Cause::OnlyIn { limit: LEAF_WEIGHT, version: 1 }.into());
        }
        if let Some(weight) = check_weight(io.weight)? {
            self.ask(WEIGHT, Io, "io.bfq.weight", weight.to_string()).instead =
                Some(("io.weight", cost_weight(weight).to_string()));
        }
        for of in &io.devices {
            if let Some(weight) = check_weight(of.weight)? {
                let device = of.device;
                let value = format!("{device} {weight}");
                let setting = self.ask(WEIGHT, Io, "io.bfq.weight", value);
                setting.instead = Some(("io.weight", format!("{device} {}", cost_weight(weight))));
                setting.undo =
                    Undo::Line { key: device.to_string(), reset: format!("{device} default") };
            }
        }
        for IoThrottle { device, what, rate } in &io.throttles {
            let key = match what {
                Throttled::ReadBytes => "rbps",
                Throttled::WriteBytes => "wbps",
                Throttled::Reads => "riops",
                Throttled::Writes => "wiops",
            };
            let rate = if *rate == 0 { "max".to_owned() } else { rate.to_string() };
            self.ask("an I/O limit", Io, "io.max", format!("{device} {key}={rate}")).undo =
                Undo::Line {
                    key: device.to_string(),
                    reset: format!("{device} rbps=max wbps=max riops=max wiops=max"),
                };
        }
        Ok(())
    }
}

fn check_weight(weight: Option<u16>) -> Result<Option<u16>> {
    match weight {
        Some(weight) if !(10..=1_000).contains(&weight) => {
            let (limit, value) = ("I/O weight".into(), weight.to_string());
            Err(Cause::InvalidLimit { limit, value, why: "it must be 10 to 1,000" }.into())
        }
        weight => Ok(weight),
    }
}

/// A weight of 10 to 1,000 in the terms of `io.weight`, which has 1 to 10,000, as runc and crun
/// convert it.
fn cost_weight(weight: u16) -> u32 {
    1 + (u32::from(weight) - 10) * 9_999 / 990
}

#[cfg(test)]
mod tests {
    use super::super::{Setting, v1, v2};
    use super::*;
    use crate::{BlockDevice, IoWeight, Limits};

    fn files(settings: &[Setting]) -> Vec<(&str, &str)> {
        settings.iter().map(|s| (s.file.as_ref(), s.value.as_str())).collect()
    }

    fn limits() -> Limits {
        let device = BlockDevice { major: 8, minor: 16 };
        let io = IoLimits {
            weight: Some(500),
            devices: vec![IoWeight { device, weight: Some(10), leaf_weight: None }],
            throttles: vec![
                IoThrottle { device, what: Throttled::ReadBytes, rate: 1_048_576 },
                IoThrottle { device, what: Throttled::Writes, rate: 0 },
            ],
            ..IoLimits::default()
        };
        Limits { io, ..Limits::default() }
    }

    #[test]
    fn weights_and_throttles_in_the_terms_of_each_version() {
        assert_eq!(
            files(&v1(&limits()).unwrap()),
            [
                ("blkio.weight", "500"),
                ("blkio.weight_device", "8:16 10"),
                ("blkio.throttle.read_bps_device", "8:16 1048576"),
                ("blkio.throttle.write_iops_device", "8:16 0"),
            ]
        );
        let two = v2(&limits()).unwrap();
        assert_eq!(
            files(&two),
            [
                ("io.bfq.weight", "500"),
                ("io.bfq.weight", "8:16 10"),
                ("io.max", "8:16 rbps=1048576"),
                ("io.max", "8:16 wiops=max"),
            ]
        );
        assert_eq!(two[0].instead, Some(("io.weight", "4950".into())));
        assert_eq!(two[1].instead, Some(("io.weight", "8:16 1".into())));
        assert_eq!(cost_weight(1_000), 10_000);
    }

    #[test]
    fn weights_out_of_range_and_leaf_weights_of_version_2_are_refused() {
        for weight in [0, 9, 1_001] {
            let io = IoLimits { weight: Some(weight), ..IoLimits::default() };
            let limits = Limits { io, ..Limits::default() };
            assert!(v1(&limits).is_err() && v2(&limits).is_err(), "{weight}");
        }
        let io = IoLimits { leaf_weight: Some(10), ..IoLimits::default() };
        let limits = Limits { io, ..Limits::default() };
        assert_eq!(files(&v1(&limits).unwrap()), [("blkio.leaf_weight", "10")]);
        assert!(v2(&limits).is_err());
    }
}
