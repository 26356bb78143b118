//! The architectures of the image, under all their names.

/// An architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Architecture {
    /// Its name in images, which is Go's `GOARCH`.
    pub(crate) name: &'static str,
    /// Which of its kind, as images have it.
    pub(crate) variant: Option<&'static str>,
    /// The compiler's name for Linux on it.
    pub(crate) target: &'static str,
    /// QEMU's name.
    pub(crate) qemu: &'static str,
}

impl Architecture {
    /// As people write it after `linux/`.
    pub(crate) fn shown(&self) -> String {
        self.variant.map_or_else(|| self.name.to_owned(), |it| format!("{}/{it}", self.name))
    }
}

const fn plain(name: &'static str, target: &'static str, qemu: &'static str) -> Architecture {
    Architecture { name, variant: None, target, qemu }
}

/// Those of Kubernetes' pause image, and riscv64.
pub(crate) const ALL: [Architecture; 6] = [
    plain("amd64", "x86_64-unknown-linux-gnu", "x86_64"),
    plain("arm64", "aarch64-unknown-linux-gnu", "aarch64"),
    Architecture {
        name: "arm",
        variant: Some("v7"),
        target: "armv7-unknown-linux-gnueabihf",
        qemu: "arm",
    },
    plain("ppc64le", "powerpc64le-unknown-linux-gnu", "ppc64le"),
    plain("s390x", "s390x-unknown-linux-gnu", "s390x"),
    plain("riscv64", "riscv64gc-unknown-linux-gnu", "riscv64"),
];
