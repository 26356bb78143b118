//! The configuration of an image that is another with one more layer and a few changes
//! ([image configuration](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md)).

use jiff::Timestamp;
use sandbar_image::Digest;
use serde_json::{Map, Value, json};

use crate::values::Change;

/// Everything that a new configuration is made of but its layers.
pub(crate) struct Amended<'a> {
    /// The configuration that it is made of, with whatever is in there.
    pub(crate) base: Map<String, Value>,
    pub(crate) changes: &'a [Change],
    pub(crate) message: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) created: Timestamp,
}

impl Amended<'_> {
    /// The configuration of these layers, as the bytes that are its digest.
    pub(crate) fn configuration(mut self, layers: &[Digest]) -> Vec<u8> {
        let before = self.base["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len);
        let created = self.created.to_string();
        let mut entry = json!({ "created": created, "created_by": "sandbar commit" });
        if let Some(author) = &self.author {
            entry["author"] = json!(author);
            self.base.insert("author".to_owned(), json!(author));
        }
        if let Some(message) = &self.message {
            entry["comment"] = json!(message);
        }
        if layers.len() == before {
            entry["empty_layer"] = json!(true);
        }
        let mut history = self.base.remove("history").unwrap_or_default();
        match &mut history {
            Value::Array(entries) => entries.push(entry),
            none => *none = json!([entry]),
        }
        let diff_ids: Vec<_> = layers.iter().map(ToString::to_string).collect();
        let mut config = match self.base.remove("config") {
            Some(Value::Object(config)) => config,
            _ => Map::new(),
        };
        // Whose program it is, the command given to another is not for.
        let is_command = |change: &Change| matches!(change, Change::Command(_));
        if self.changes.iter().any(|change| matches!(change, Change::Entrypoint(_)))
            && !self.changes.iter().any(is_command)
        {
            config.remove("Cmd");
        }
        self.changes.iter().for_each(|change| change.amend(&mut config));
        self.base.insert("created".to_owned(), json!(created));
        self.base.insert("config".to_owned(), Value::Object(config));
        self.base.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": diff_ids }));
        self.base.insert("history".to_owned(), history);
        // What Docker once said of the container that an image was made of.
        for key in ["container", "container_config", "docker_version", "id", "parent"] {
            self.base.remove(key);
        }
        // In order, so that the same is the same bytes.
        let mut value = Value::Object(self.base);
        value.sort_all_objects();
        value.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amended(base: Value, changes: &[&str], layers: &[Digest]) -> Value {
        let Value::Object(base) = base else { panic!("no configuration") };
        let changes: Vec<Change> = changes.iter().map(|line| line.parse().unwrap()).collect();
        let created = Timestamp::from_second(1_000_000_000).unwrap();
        let (message, author) = (Some("why".to_owned()), Some("me".to_owned()));
        let amended = Amended { base, changes: &changes, message, author, created };
        serde_json::from_slice(&amended.configuration(layers)).unwrap()
    }

    #[test]
    fn what_is_not_changed_stays_and_the_history_goes_on() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let base = json!({
            "architecture": "s390x", "os": "linux", "os.features": ["x"], "container": "gone",
            "config": { "Cmd": ["sh"], "Env": ["PATH=/bin", "A=1"], "Healthcheck": { "Test": [] } },
            "rootfs": { "type": "layers", "diff_ids": [one.to_string()] },
            "history": [{ "created_by": "FROM" }],
        });
        let changes = ["ENV A=2 B=3", "LABEL k=v q=\"s t\"", "EXPOSE 80", "VOLUME /data"];
        let made = amended(base.clone(), &changes, &[one, two]);
        assert_eq!(made["architecture"], "s390x");
        assert_eq!(made["os.features"], json!(["x"]));
        assert_eq!(made.get("container"), None);
        assert_eq!(made["created"], "2001-09-09T01:46:40Z");
        assert_eq!(made["author"], "me");
        let config = &made["config"];
        assert_eq!(config["Env"], json!(["PATH=/bin", "A=2", "B=3"]));
        assert_eq!(config["Cmd"], json!(["sh"]));
        assert_eq!(config["Healthcheck"], json!({ "Test": [] }));
        assert_eq!(config["Labels"], json!({ "k": "v", "q": "s t" }));
        assert_eq!(config["ExposedPorts"], json!({ "80/tcp": {} }));
        assert_eq!(config["Volumes"], json!({ "/data": {} }));
        assert_eq!(made["rootfs"]["diff_ids"], json!([one.to_string(), two.to_string()]));
        let last = json!({
            "created": "2001-09-09T01:46:40Z", "created_by": "sandbar commit", "author": "me",
            "comment": "why",
        });
        assert_eq!(made["history"], json!([{ "created_by": "FROM" }, last]));
        let same = amended(base, &["ENTRYPOINT [\"/init\"]", "ONBUILD RUN x"], &[one]);
        assert_eq!(same["history"][1]["empty_layer"], true);
        assert_eq!(same["config"]["Entrypoint"], json!(["/init"]));
        assert_eq!(same["config"].get("Cmd"), None);
        assert_eq!(same["config"]["OnBuild"], json!(["RUN x"]));
    }
}
