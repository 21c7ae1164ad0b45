//! What the document says of an operation: its request and its answers.

use std::collections::BTreeMap;

use equilibrium_http::reason_phrase;
use equilibrium_http::routes::{ROUTES, Route, STREAM};
use serde_json::{Map, Value, json};

use crate::codes::{self, CODES, Code};
use crate::samples::Sample;
use crate::schema::reference;

/// Each route: those of a deployment, then that of the local host alone.
pub(crate) fn routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain([&STREAM])
}

/// What the document says of a route of the table.
pub(crate) struct Operation {
    /// Method and path of the route.
    pub(crate) route: (&'static str, &'static str),
    /// The `operationId`: the name of a generated client's function.
    pub(crate) id: &'static str,
    /// The group that it belongs to.
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    /// The answers that are not problems.
    pub(crate) answers: Vec<Answer>,
    /// The codes of its problems, beside those of every request of its kind.
    pub(crate) codes: &'static [&'static str],
    /// Requests of `events/http`, from which examples are taken.
    pub(crate) samples: &'static [Sample],
}

/// A parameter of a request.
pub(crate) struct Parameter {
    place: &'static str,
    pub(crate) name: &'static str,
    description: &'static str,
    schema: Value,
    is_required: bool,
}

/// A parameter of the path.
pub(crate) fn path(name: &'static str, description: &'static str, schema: Value) -> Parameter {
    Parameter { place: "path", name, description, schema, is_required: true }
}

/// A parameter of the query.
pub(crate) fn query(name: &'static str, description: &'static str, schema: Value) -> Parameter {
    Parameter { place: "query", name, description, schema, is_required: false }
}

/// A header of a request.
pub(crate) fn header(name: &'static str, description: &'static str) -> Parameter {
    Parameter { place: "header", name, description, schema: json!({"type": "string"}), is_required: false }
}

impl Parameter {
    pub(crate) fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// Limits the values.
    pub(crate) fn with(mut self, keyword: &str, value: Value) -> Self {
        self.schema[keyword] = value;
        self
    }

    pub(crate) fn is_in(&self, place: &str) -> bool {
        self.place == place
    }

    fn write(&self, samples: &[Sample], path: &str) -> Value {
        let Self { place, name, description, schema, is_required } = self;
        let mut parameter = json!({
            "name": name, "in": place, "description": description, "required": is_required, "schema": schema,
        });
        let example = |sample: &Sample| match *place {
            "path" => sample.segment(path, name),
            "query" => sample.parameter(name),
            _ => sample.header(name),
        };
        if let Some(text) = samples.iter().find_map(example) {
            parameter["example"] = typed(&text);
        }
        parameter
    }
}

/// A number or boolean of a path or query, or else its text.
fn typed(text: &str) -> Value {
    let value = serde_json::from_str::<Value>(text).ok();
    value.filter(|value| value.is_number() || value.is_boolean()).unwrap_or_else(|| text.into())
}

/// The body of a request.
pub(crate) struct Body {
    pub(crate) description: &'static str,
    pub(crate) is_required: bool,
    /// Media types, each with its schema.
    pub(crate) content: Vec<(&'static str, Value)>,
}

impl Body {
    fn write(&self, samples: &[Sample]) -> Value {
        let mut content = Map::new();
        for (media_type, schema) in &self.content {
            let mut media = json!({"schema": schema});
            let examples: Map<String, Value> = samples
                .iter()
                .filter_map(|sample| {
                    Some((sample.name.to_owned(), json!({"value": sample.body(media_type)?})))
                })
                .collect();
            if !examples.is_empty() {
                media["examples"] = examples.into();
            }
            content.insert((*media_type).to_owned(), media);
        }
        json!({"description": self.description, "required": self.is_required, "content": content})
    }
}

/// An answer that is not a problem.
pub(crate) struct Answer {
    status: u16,
    description: &'static str,
    /// Names of headers, each with its component of the document.
    headers: Vec<(&'static str, &'static str)>,
    content: Vec<(&'static str, Value)>,
    links: Vec<(&'static str, Value)>,
}

/// An answer without content.
pub(crate) fn answer(status: u16, description: &'static str) -> Answer {
    Answer { status, description, headers: Vec::new(), content: Vec::new(), links: Vec::new() }
}

/// An answer in JSON.
pub(crate) fn json_answer(status: u16, description: &'static str, schema: &str) -> Answer {
    answer(status, description).content("application/json", reference(schema))
}

/// The answer to a conditional request whose entity tag matches.
pub(crate) fn not_modified() -> Answer {
    answer(304, "`If-None-Match` lists the entity tag.").header("ETag")
}

impl Answer {
    pub(crate) fn content(mut self, media_type: &'static str, schema: Value) -> Self {
        self.content.push((media_type, schema));
        self
    }

    pub(crate) fn header(self, name: &'static str) -> Self {
        self.header_of(name, name)
    }

    /// Adds a header, as the component says.
    pub(crate) fn header_of(mut self, name: &'static str, component: &'static str) -> Self {
        self.headers.push((name, component));
        self
    }

    /// A request that follows this answer: the parameters of the operation `id` from values of the answer.
    pub(crate) fn link(mut self, name: &'static str, id: &str, parameters: Value) -> Self {
        let mut link = json!({"operationId": id});
        link["parameters"] = parameters;
        self.links.push((name, link));
        self
    }

    fn write(&self) -> Value {
        let mut written = json!({"description": self.description});
        if !self.headers.is_empty() {
            let headers = self.headers.iter();
            let headers = headers.map(|(name, component)| ((*name).to_owned(), header_reference(component)));
            written["headers"] = Value::Object(headers.collect());
        }
        if !self.content.is_empty() {
            let content = self.content.iter();
            let content =
                content.map(|(media_type, schema)| ((*media_type).to_owned(), json!({"schema": schema})));
            written["content"] = Value::Object(content.collect());
        }
        if !self.links.is_empty() {
            let links = self.links.iter().map(|(name, link)| ((*name).to_owned(), link.clone()));
            written["links"] = Value::Object(links.collect());
        }
        written
    }
}

fn header_reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

impl Operation {
    /// The operation as the document has it.
    pub(crate) fn write(&self) -> Value {
        let (_, path) = self.route;
        let parameters = self.parameters.iter().map(|parameter| parameter.write(self.samples, path));
        let mut written = json!({
            "operationId": self.id, "tags": [self.tag], "summary": self.summary, "description": self.description,
            "parameters": parameters.collect::<Value>(), "responses": self.responses(),
        });
        if let Some(body) = &self.body {
            written["requestBody"] = body.write(self.samples);
        }
        written
    }

    fn responses(&self) -> Value {
        let mut responses = Map::new();
        for answer in &self.answers {
            responses.insert(answer.status.to_string(), answer.write());
        }
        for (status, codes) in self.problems() {
            let is_shared = codes.iter().all(|code| codes::SHARED.contains(&code.code));
            let response = if is_shared {
                json!({"$ref": format!("#/components/responses/{}", shared_name(status))})
            } else {
                problem_response(status, &codes)
            };
            responses.insert(status.to_string(), response);
        }
        responses.into()
    }

    fn needs_scope(&self) -> bool {
        routes().any(|route| (route.method, route.path) == self.route && route.scope.is_some())
    }

    /// Every code of its problems, by status.
    pub(crate) fn problems(&self) -> BTreeMap<u16, Vec<Code>> {
        let has = |place| self.parameters.iter().any(|parameter| parameter.is_in(place));
        let mut own: Vec<&str> = codes::OF_EVERY_OPERATION.to_vec();
        own.extend(self.codes);
        for (applies, codes) in [
            (self.needs_scope(), &codes::OF_A_SCOPE[..]),
            (has("path"), &codes::OF_A_PATH[..]),
            (has("query"), &codes::OF_A_QUERY[..]),
            (self.body.is_some(), &codes::OF_A_BODY[..]),
        ] {
            own.extend(codes.iter().filter(|_| applies));
        }
        let mut problems: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in CODES.iter().filter(|code| own.contains(&code.code)) {
            problems.entry(code.status).or_default().push(*code);
        }
        problems
    }
}

/// The name of the answer with the shared problem of a status, among the document's components.
pub(crate) fn shared_name(status: u16) -> String {
    reason_phrase(status).replace(' ', "")
}

/// The answer with one of these problems.
pub(crate) fn problem_response(status: u16, codes: &[Code]) -> Value {
    let mut description = reason_phrase(status).to_owned();
    for (number, Code { code, meaning, .. }) in codes.iter().enumerate() {
        let before = if number == 0 { ": " } else { "; " };
        description.extend([before, "`", code, "`: ", meaning]);
    }
    description.push('.');
    let names: Vec<&str> = codes.iter().map(|code| code.code).collect();
    let narrowed = json!({"properties": {"status": {"const": status}, "code": {"enum": names}}});
    let schema = json!({"allOf": [reference("Problem"), narrowed]});
    let mut response =
        json!({"description": description, "content": {"application/problem+json": {"schema": schema}}});
    let header = match status {
        401 | 403 => Some(("WWW-Authenticate", "WWW-Authenticate")),
        405 => Some(("Allow", "Allow")),
        412 => Some(("ETag", "CurrentETag")),
        429 | 503 => Some(("Retry-After", "Retry-After")),
        _ => None,
    };
    if let Some((name, component)) = header {
        response["headers"] = json!({name: header_reference(component)});
    }
    response
}
