//! A client of the change stream.

use std::collections::VecDeque;

use equilibrium_openapi::conformance;
use serde_json::Value;

use super::fixture::Server;
use super::http_client::{Connection, Response, get};

/// An event of a stream.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id; empty if it has none.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: Value,
}

/// A connection that receives events in chunks.
pub struct EventStream {
    connection: Connection,
    response: Response,
    retry_ms: u64,
    text: String,
    events: VecDeque<Event>,
}

impl EventStream {
    /// Opens a stream and reads its first field, `retry`.
    pub fn open(server: &Server, target: &str, last_event_id: Option<&str>) -> Self {
        let mut request = get(target).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let mut connection = server.connect();
        connection.send(&request.bytes()).unwrap();
        let response = connection.head().unwrap();
        assert_eq!((response.status, response.header("transfer-encoding")), (200, "chunked"));
        let retry = connection.chunk().unwrap();
        let retry_ms = retry.strip_prefix("retry: ").and_then(|text| text.trim_end().parse().ok());
        let (text, events) = (String::new(), VecDeque::new());
        Self { connection, response, retry_ms: retry_ms.unwrap(), text, events }
    }

    /// The value of a header.
    pub fn head(&self, name: &str) -> &str {
        self.response.header(name)
    }

    /// How long the server wants a client to wait before it connects again.
    pub fn retry_ms(&self) -> u64 {
        self.retry_ms
    }

    /// Waits for the next event with this name; a reload is unexpected.
    pub fn next(&mut self, name: &str) -> Event {
        loop {
            let event = self.next_of_any_name();
            assert_ne!(event.name, "reload");
            if event.name == name {
                return event;
            }
        }
    }

    /// Waits for the next event.
    pub fn next_of_any_name(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.text += &self.connection.chunk().unwrap();
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                self.events.extend(event(block));
                self.text = rest.to_owned();
            }
        }
    }

    /// Whether the server has closed the connection.
    pub fn reads_to_end(&mut self) -> bool {
        while self.connection.chunk().is_ok() {}
        true
    }
}

/// The event of a block of lines; `None` for a comment.
fn event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned)
    };
    let (name, data) = (field("event")?, serde_json::from_str(&field("data")?).unwrap());
    conformance::check_event(&name, &data).unwrap_or_else(|violation| panic!("{name}, {violation}"));
    Some(Event { id: field("id").unwrap_or_default(), name, data })
}
