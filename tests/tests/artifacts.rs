//! What a registry keeps that is no image is told, and not run.

use std::path::Path;

use sandbar_tests::{Command, Node, Running, SOON, get, tests, until};
use serde_json::{Value, json};

tests! {
    artifacts_are_told_by_their_type [Registry, Curl],
    a_layer_that_is_elsewhere_is_told [Registry, Curl],
}

const REGISTRY: &str = "127.0.0.1:5000";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn registry(node: &Node) -> Running {
    let configuration = node.file(
        "registry.yml",
        format!(
            "version: 0.1\nhttp: {{ addr: '{REGISTRY}' }}\n\
             validation: {{ manifests: {{ urls: {{ allow: ['.*'] }} }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: '/run/test/registry' }} }}\n"
        ),
    );
    let registry = node.run("docker-registry", ["serve".into(), configuration]).begin();
    until("the registry", SOON, || get(REGISTRY, "/v2/").filter(|it| it.status == 200));
    registry
}

fn curl(node: &Node, words: &[&str]) -> Command {
    node.run("curl", ["-sS", "--fail-with-body"]).with(words)
}

/// The descriptor of a blob, without its being anywhere.
fn described(node: &Node, media_type: &str, bytes: &[u8]) -> Value {
    let file = node.file("blob", bytes);
    let sum = node.run("/bin/busybox", ["sha256sum"]).with([file]).ok();
    let digest = format!("sha256:{}", sum.split(' ').next().unwrap_or_default());
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// Gives the registry a blob.
fn blob(node: &Node, media_type: &str, bytes: &[u8]) -> Value {
    let descriptor = described(node, media_type, bytes);
    let uploads = format!("http://{REGISTRY}/v2/some/thing/blobs/uploads/");
    let headers = curl(node, &["-i", "-X", "POST", &uploads]).ok();
    let place = headers.lines().find_map(|line| line.strip_prefix("Location: "));
    let place = place.expect("a place for the blob").trim();
    let digest = descriptor["digest"].as_str().expect("a digest");
    let to = format!("{place}&digest={digest}");
    // Else the registry takes it for a form.
    let kind = "Content-Type: application/octet-stream";
    curl(node, &["-X", "PUT", "-H", kind, "--data-binary", "@/run/test/blob", &to]).ok();
    descriptor
}

fn manifest(node: &Node, tag: &str, manifest: &Value) {
    let file = node.file("manifest", manifest.to_string());
    let data = format!("@{}", Path::new(&file).display());
    let kind = format!("Content-Type: {MANIFEST}");
    let to = format!("http://{REGISTRY}/v2/some/thing/manifests/{tag}");
    curl(node, &["-X", "PUT", "-H", &kind, "--data-binary", &data, &to]).ok();
}

fn artifacts_are_told_by_their_type(node: &Node) {
    let registry = registry(node);
    let pulled = |tag: &str, words: &[&str]| {
        node.says(&format!("pull {REGISTRY}/some/thing:{tag}")).refused(1, words);
    };
    let empty = blob(node, "application/vnd.oci.empty.v1+json", b"{}");
    let sbom = blob(node, "application/spdx+json", b"{\"spdxVersion\": \"SPDX-2.3\"}");
    let of = "application/spdx+json";
    let base = json!({ "schemaVersion": 2, "mediaType": MANIFEST });
    let with = |config: &Value, layer: &Value| {
        let mut made = base.clone();
        made["config"] = config.clone();
        made["layers"] = json!([layer]);
        made
    };
    let mut artifact = with(&empty, &sbom);
    artifact["artifactType"] = json!(of);
    manifest(node, "sbom", &artifact);
    pulled("sbom", &["no image that can run", of]);
    let helm = "application/vnd.cncf.helm.config.v1+json";
    let config = blob(node, helm, b"{\"name\": \"chart\"}");
    let chart = blob(node, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"chart");
    manifest(node, "chart", &with(&config, &chart));
    pulled("chart", &["no image that can run", helm]);
    // Cosign's has the configuration of an image.
    let simple = "application/vnd.dev.cosign.simplesigning.v1+json";
    let payload = blob(node, simple, b"{\"critical\": {}}");
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [payload["digest"]] },
    });
    let config = blob(node, CONFIG, config.to_string().as_bytes());
    manifest(node, "sha256-1.sig", &with(&config, &payload));
    pulled("sha256-1.sig", &["no image that can run", simple]);
    registry.kill();
}

fn a_layer_that_is_elsewhere_is_told(node: &Node) {
    let registry = registry(node);
    let kind = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let mut layer = described(node, kind, &[0; 1024]);
    layer["urls"] = json!(["https://example.com/layer"]);
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = blob(node, CONFIG, config.to_string().as_bytes());
    let image = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
    });
    manifest(node, "elsewhere", &image);
    let pull = node.says(&format!("pull {REGISTRY}/some/thing:elsewhere"));
    pull.refused(1, &["fetch from elsewhere", "not supported"]);
    // A registry that keeps it all the same is as good as any.
    blob(node, kind, &[0; 1024]);
    assert!(pull.ok().starts_with("sha256:"));
    registry.kill();
}
