//! Problem documents (RFC 9457), and the codes that they have.

use serde_json::Value;

use crate::codes::{CODES, Code};
use crate::schema::{Member, array, constant, object, one_of, reference, text, within};

pub(super) fn schemas() -> Vec<Member> {
    vec![("Problem", problem()), ("ProblemCode", code()), ("FieldError", field_error())]
}

fn problem() -> Value {
    object(
        "What is wrong with a request (RFC 9457). Programs read `code`; the other texts are for people and may change.",
        [
            ("type", constant("about:blank")),
            ("title", text("The reason phrase of the status.")),
            ("status", within(400, 599, "The status of the answer.")),
            ("detail", text("The explanation.")),
            ("code", reference("ProblemCode")),
        ],
        [
            ("id", text("The id of the resource that prevents what is requested.")),
            ("parameter", text("The query parameter at fault.")),
            ("errors", array(reference("FieldError"), "Every field of the body at fault.")),
        ],
    )
}

fn code() -> Value {
    let codes: Vec<&str> = CODES.iter().map(|code| code.code).collect();
    let mut description = "The code of a problem:\n".to_owned();
    for Code { status, code, meaning, .. } in CODES {
        description.extend(["\n* `", code, "` (", &status.to_string(), "): ", meaning]);
    }
    one_of(&codes, &description)
}

fn field_error() -> Value {
    object(
        "A field of a body, and its fault.",
        [
            ("pointer", text("The field, as a JSON pointer (RFC 6901); an empty text is the whole body.")),
            ("message", text("The fault, for people.")),
        ],
        [],
    )
}
