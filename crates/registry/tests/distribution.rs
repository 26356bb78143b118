//! The registry that most run, distribution's, as Debian packages it (`docker-registry`): with TLS from an authority
//! of the test's own, passwords, and certificates of clients.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod server;

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sandbar_registry::{
    Client, Configuration, Content, Credentials, Digest, Error, ErrorKind, Keyring, Location,
    Pushed,
};
use server::{MANIFEST, access, manifest};

/// A registry that runs until it is dropped.
struct Distribution {
    directory: tempfile::TempDir,
    name: String,
    child: Child,
}

impl Distribution {
    /// Starts one, or says that it can't be.
    fn start(test: &str, more: &str) -> Option<Self> {
        for (program, option) in
            [("docker-registry", "--version"), ("htpasswd", "-nbB"), ("openssl", "version")]
        {
            if Command::new(program).arg(option).output().is_err() {
                eprintln!("skipped: {test}: no `{program}`");
                return None;
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        certificates(at);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let name = format!("127.0.0.1:{port}");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/store}}}}\n\
             http:\n  addr: {name}\n  tls:\n    certificate: {at}/server.crt\n    key: {at}/server.key\n{more}",
            at = at.display()
        )
        .replace("DIRECTORY", &at.display().to_string());
        fs::write(at.join("config.yml"), text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(at.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(at.join("log")).unwrap())
            .spawn()
            .unwrap();
        let registry = Self { directory, name, child };
        for _ in 0..1000 {
            if TcpStream::connect(&registry.name).is_ok() {
                return Some(registry);
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{}", fs::read_to_string(registry.directory.path().join("log")).unwrap());
    }

    fn image(&self) -> Location {
        format!("{}/team/app:1", self.name).parse().unwrap()
    }

    /// Makes a directory of certificates with these of the test's files under other names.
    fn trust(&self, files: &[(&str, &str)]) -> PathBuf {
        let all = self.directory.path().join(format!("certs{}.d", files.len()));
        let own = all.join(&self.name);
        fs::create_dir_all(&own).unwrap();
        for (from, to) in files {
            fs::copy(self.directory.path().join(from), own.join(to)).unwrap();
        }
        all
    }

    /// A client that insists on TLS.
    fn client(&self, certificates: PathBuf, keyring: Keyring) -> Client {
        let mut access = access(None);
        access.tls_verify = Some(true);
        access.certificates = vec![certificates];
        access.keyring = keyring;
        access.patience.stall = Duration::from_secs(20);
        Client::new(&Configuration::default(), access)
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority, and certificates of a server at 127.0.0.1 and of a client.
fn certificates(at: &Path) {
    let openssl = |arguments: &str| {
        let done = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(at)
            .stderr(Stdio::null())
            .status();
        assert!(done.unwrap().success(), "openssl {arguments}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=authority -days 2"));
    for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
        openssl(&format!(
            "req -x509 {key} -CA ca.crt -CAkey ca.key -keyout {name}.key -out {name}.crt -subj /CN={name} \
             -days 2 -addext subjectAltName=IP:127.0.0.1 -addext extendedKeyUsage={usage} \
             -addext basicConstraints=critical,CA:FALSE"
        ));
    }
}

fn layer() -> Vec<u8> {
    (0..300_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn push(client: &Client, to: &Location, also_in: Option<&str>) -> Result<Pushed, Error> {
    let layer = layer();
    let content = Content {
        digest: Digest::of(&layer),
        size: layer.len() as u64,
        also_in,
        open: &|| Ok(Box::new(layer.as_slice()) as Box<dyn Read>),
    };
    client.push_blob(to, &content)
}

#[test]
fn what_is_pushed_is_pulled_by_who_has_logged_in() {
    let auth = "auth: {htpasswd: {realm: x, path: DIRECTORY/passwords}}\n";
    let Some(registry) = Distribution::start("distribution", auth) else { return };
    let passwords = registry.directory.path().join("passwords");
    let made = Command::new("htpasswd").arg("-cbB").arg(&passwords).args(["me", "secret"]).output();
    assert!(made.unwrap().status.success());

    let nowhere = registry.directory.path().join("none");
    let keyring = Keyring::file(&registry.directory.path().join("auth.json"));
    let image = registry.image();
    let stranger = registry.client(nowhere, keyring.clone());
    let kind = stranger.manifest(&image).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Tls, "nobody vouches for the registry");

    let client = registry.client(registry.trust(&[("ca.crt", "ca.crt")]), keyring);
    assert_eq!(client.manifest(&image).unwrap_err().kind(), ErrorKind::Unauthorized);
    let login = |password: &str| {
        let credentials = Credentials::password("me", password).unwrap();
        client.login(&registry.name, &credentials).map(drop).map_err(|e| e.kind())
    };
    assert_eq!(login("wrong"), Err(ErrorKind::Unauthorized));
    assert_eq!(login("secret"), Ok(()));

    assert_eq!(client.manifest(&image).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(push(&client, &image, None).unwrap(), Pushed::Sent);
    assert_eq!(push(&client, &image, None).unwrap(), Pushed::Present);
    let other = format!("{}/other:1", registry.name).parse().unwrap();
    assert_eq!(push(&client, &other, Some("team/app")).unwrap(), Pushed::Mounted);
    let bytes = schema_two();
    let digest = client.push_manifest(&image, &bytes, DOCKER).unwrap();

    let found = client.manifest(&image).unwrap();
    assert_eq!((found.bytes, found.digest, found.media_type.as_str()), (bytes, digest, DOCKER));
    assert_eq!(client.manifest(&image.at(digest)).unwrap().digest, digest);
    let layer = layer();
    for from in [0, 1_000_000] {
        let size = layer.len() as u64;
        let mut blob = client.blob(&image, Digest::of(&layer), size, from as u64).unwrap();
        assert_eq!(blob.begins_at(), from as u64);
        let mut rest = Vec::new();
        blob.read_to_end(&mut rest).unwrap();
        assert!(rest == layer[from..]);
    }
    assert_eq!(client.tags(&image).unwrap(), ["1"]);
    let found = client.search(&registry.name, "app", 10).unwrap();
    assert_eq!(found[0].name, format!("{}/team/app", registry.name));
    assert_eq!(
        client.push_manifest(&image, &manifest(), MANIFEST).unwrap_err().kind(),
        ErrorKind::Protocol
    );
}

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A manifest whose configuration is its layer too: the registry looks only for whether it has them.
fn schema_two() -> Vec<u8> {
    let (digest, size) = (Digest::of(&layer()), layer().len());
    let blob =
        format!(r#"{{"mediaType":"application/octet-stream","size":{size},"digest":"{digest}"}}"#);
    format!(r#"{{"schemaVersion":2,"mediaType":"{DOCKER}","config":{blob},"layers":[{blob}]}}"#)
        .into()
}

#[test]
fn a_client_shows_the_certificate_that_it_has_for_the_registry() {
    let more = "    clientcas: [DIRECTORY/ca.crt]\n";
    let Some(registry) = Distribution::start("client certificates", more) else { return };
    let without = registry.trust(&[("ca.crt", "ca.crt")]);
    let error = push(&registry.client(without, Keyring::default()), &registry.image(), None);
    assert!(matches!(error.unwrap_err().kind(), ErrorKind::Tls | ErrorKind::Io));
    let with = [("ca.crt", "ca.crt"), ("client.crt", "me.cert"), ("client.key", "me.key")];
    let client = registry.client(registry.trust(&with), Keyring::default());
    assert_eq!(push(&client, &registry.image(), None).unwrap(), Pushed::Sent);
    let unfit = [("ca.crt", "ca.crt"), ("client.crt", "me.cert"), ("ca.key", "me.key")];
    let client = registry.client(registry.trust(&unfit), Keyring::default());
    let error = push(&client, &registry.image(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("me.cert"), "{error}");
}

#[test]
fn an_insecure_registry_is_used_whoever_vouches_for_it() {
    let Some(registry) = Distribution::start("insecure", "") else { return };
    let mut access = access(None);
    access.tls_verify = Some(false);
    let client = Client::new(&Configuration::default(), access);
    assert_eq!(push(&client, &registry.image(), None).unwrap(), Pushed::Sent);
}
