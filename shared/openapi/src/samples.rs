//! The requests of `events/http`, as examples of the document.

use equilibrium_http::Request;
use equilibrium_http::body::media_type;
use serde_json::Value;

/// A request as API Gateway hands it to a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The name of its file, without the extension.
    pub(crate) name: &'static str,
    pub(crate) payload: &'static str,
}

/// The sample in a file of `events/http`.
macro_rules! sample {
    ($name:literal) => {
        $crate::samples::Sample {
            name: $name,
            payload: include_str!(concat!("../../../../events/http/", $name, ".json")),
        }
    };
}
pub(crate) use sample;

impl Sample {
    fn payload(&self) -> Value {
        serde_json::from_str(self.payload).expect("the samples are JSON, which the functions' tests read")
    }

    /// The segment of its path that is the parameter `name` of `template`.
    pub(crate) fn segment(&self, template: &str, name: &str) -> Option<String> {
        let payload = self.payload();
        let at = template.split('/').position(|part| part == format!("{{{name}}}"))?;
        payload["rawPath"].as_str()?.split('/').nth(at).map(str::to_owned)
    }

    /// The query parameter called `name`.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let payload = self.payload();
        payload["queryStringParameters"][name].as_str().map(str::to_owned)
    }

    /// The header called `name`.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.payload()["headers"][name.to_ascii_lowercase()].as_str().map(str::to_owned)
    }

    /// Its body, if it is of this media type and not compressed: in JSON the value, else the text.
    pub(crate) fn body(&self, of: &str) -> Option<Value> {
        let payload = self.payload();
        let content_type = payload["headers"]["content-type"].as_str()?;
        let headers = [("content-type".into(), content_type.into())];
        let request = Request { method: "POST", path: "/", query: "", headers: &headers, body: b"" };
        let text = payload["body"].as_str().filter(|_| payload["isBase64Encoded"] != true)?;
        if media_type(&request) != Some(of) {
            return None;
        }
        Some(if of.ends_with("json") && of != "application/x-ndjson" {
            serde_json::from_str(text).ok()?
        } else {
            text.into()
        })
    }
}
