//! A request, and how a function reads it: headers, path segments, query parameters, method.

use std::borrow::Cow;

use crate::negotiation::Codings;
use crate::problem::Problem;
use crate::response::Response;

/// The longest path, in bytes: a quote's token, the longest segment, takes 1 000.
pub const MAX_PATH_BYTES: usize = 2_048;

/// The longest query, in bytes: as long as API Gateway takes a request line and headers. The cells of a stream are hundreds.
pub const MAX_QUERY_BYTES: usize = 10_240;

/// The most parameters of a query. No operation has ten.
pub const MAX_PARAMETERS: usize = 50;

/// The most bytes of all headers together, with their names. API Gateway takes 10 240, the request line among them ("Quotas
/// for HTTP APIs").
pub const MAX_HEADERS_BYTES: usize = 16 << 10;

/// A header's name and value; the values of a repeated header are joined by commas.
pub type Header<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A path's decoded segments, and how many of the array are used.
pub type Segments<'a, const N: usize> = ([Cow<'a, str>; N], usize);

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, case-sensitive: `GET`.
    pub method: &'a str,
    /// The path with its leading slash, percent-encoded.
    pub path: &'a str,
    /// The query without its question mark, percent-encoded.
    pub query: &'a str,
    /// The headers, with names in any case.
    pub headers: &'a [Header<'a>],
    /// The content as sent.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&header.1)
    }

    /// The path's decoded segments; `None` if there are more than `N`.
    ///
    /// # Errors
    /// 400 `malformed_path` if one of the first `N` cannot be decoded.
    pub fn segments<const N: usize>(&self) -> Result<Option<Segments<'a, N>>, Problem> {
        let mut segments = [const { Cow::Borrowed("") }; N];
        let mut count = 0;
        for segment in self.path.strip_prefix('/').unwrap_or(self.path).split('/') {
            if count == N {
                return Ok(None);
            }
            let malformed = || Problem::new(400, "malformed_path", "the path is not percent-encoded UTF-8");
            segments[count] = decode_segment(segment).ok_or_else(malformed)?;
            count += 1;
        }
        Ok(Some((segments, count)))
    }

    /// The values of the query parameters called `names`; other parameters are ignored.
    ///
    /// # Errors
    /// 400 `malformed_query` if one cannot be decoded, 400 `repeated_parameter` if one is given twice.
    pub fn parameters<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Option<Cow<'a, str>>; N], Problem> {
        let mut values = [const { None }; N];
        let malformed = || Problem::new(400, "malformed_query", "the query is not percent-encoded UTF-8");
        for pair in self.query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, true).ok_or_else(malformed)?;
            let Some(at) = names.iter().position(|known| *known == name) else { continue };
            let value = decode(value, true).ok_or_else(malformed)?;
            if values[at].replace(value).is_some() {
                let problem = Problem::new(400, "repeated_parameter", "is given more than once");
                return Err(problem.for_parameter(names[at]));
            }
        }
        Ok(values)
    }

    /// Checks the bounds of a request's head, before anything of it is read. A host may have lower ones.
    ///
    /// # Errors
    /// 414 `target_too_long`, 400 `too_many_parameters`, 431 `headers_too_large`.
    pub fn require_bounds(&self) -> Result<(), Problem> {
        if self.path.len() > MAX_PATH_BYTES || self.query.len() > MAX_QUERY_BYTES {
            let detail = format!("a path has at most {MAX_PATH_BYTES} bytes, and a query {MAX_QUERY_BYTES}");
            return Err(Problem::new(414, "target_too_long", detail));
        }
        if self.query.split('&').count() > MAX_PARAMETERS {
            let detail = format!("a query has at most {MAX_PARAMETERS} parameters");
            return Err(Problem::new(400, "too_many_parameters", detail));
        }
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if headers > MAX_HEADERS_BYTES {
            let detail = format!("the headers have at most {MAX_HEADERS_BYTES} bytes");
            return Err(Problem::new(431, "headers_too_large", detail));
        }
        Ok(())
    }

    /// Checks that the method is `method`, or `HEAD` if that is `GET`.
    ///
    /// # Errors
    /// 405 `method_not_allowed`.
    pub fn require_method(&self, method: &'static str) -> Result<(), Problem> {
        match (method, self.method) {
            ("GET", "HEAD") => Ok(()),
            (required, given) if required == given => Ok(()),
            ("GET", _) => Err(Problem::method_not_allowed("GET, HEAD")),
            (required, _) => Err(Problem::method_not_allowed(required)),
        }
    }

    /// Checks that the client accepts content without a coding, or with gzip. A handler checks this before it does
    /// anything that it could not take back.
    ///
    /// # Errors
    /// 406 `not_acceptable`, with the codings that there are.
    pub fn require_coding(&self) -> Result<(), Problem> {
        let codings = Codings::of(self.header("accept-encoding"));
        if codings.gzip || codings.identity {
            return Ok(());
        }
        let detail = "accept-encoding excludes gzip and identity, the only codings";
        Err(Problem::new(406, "not_acceptable", detail).with("accept-encoding", "gzip, identity"))
    }

    /// The response to this request, from what its handler returned. It is compressed if the client accepts nothing
    /// else; a response to `HEAD` has no content (RFC 9110 §9.3.2).
    #[must_use]
    pub fn respond(&self, result: Result<Response, Problem>) -> Response {
        let mut response = result.unwrap_or_else(Response::from);
        let accept_encoding = self.header("accept-encoding");
        if !Codings::of(accept_encoding).identity {
            response = response.compressed_for(accept_encoding);
        }
        if self.method == "HEAD" {
            response.body.clear();
        }
        response
    }
}

/// Percent-decodes a segment of a path; `None` if it is not percent-encoded UTF-8.
pub(crate) fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    decode(segment, false)
}

/// Percent-decodes `text`, in a query a plus to a space; `None` if it is not percent-encoded UTF-8.
fn decode(text: &str, in_query: bool) -> Option<Cow<'_, str>> {
    let is_special = |byte: u8| byte == b'%' || in_query && byte == b'+';
    if !text.bytes().any(is_special) {
        return Some(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' if in_query => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    let digit = char::from(digit).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(path: &'a str, query: &'a str) -> Request<'a> {
        Request { method: "GET", path, query, headers: &[], body: b"" }
    }

    #[test]
    fn a_path_is_decoded_segment_by_segment() {
        for (path, expected) in [
            ("/v1/price", vec!["v1", "price"]),
            ("/v1/%6Eyc", vec!["v1", "nyc"]),
            ("/v1/a%2Fb", vec!["v1", "a/b"]),
            ("/v1/a+b", vec!["v1", "a+b"]),
            ("/v1/%C3%A9", vec!["v1", "é"]),
            ("/v1/", vec!["v1", ""]),
            ("//v1", vec!["", "v1"]),
            ("/", vec![""]),
        ] {
            let (segments, count) = get(path, "").segments::<3>().unwrap().unwrap();
            assert_eq!(segments[..count], expected, "{path}");
        }
        assert_eq!(get("/a/b/c/d", "").segments::<3>().unwrap(), None);
        for malformed in ["/v1/%", "/v1/%4", "/v1/%G0", "/v1/%4G", "/v1/%FF", "/v1/%+1", "/%/b/c/d"] {
            let problem = get(malformed, "").segments::<3>().unwrap_err();
            assert_eq!((problem.status, problem.code), (400, "malformed_path"), "{malformed}");
        }
    }

    #[test]
    fn a_parameter_is_found_among_others_and_decoded() {
        for (query, lat, lng) in [
            ("lat=1&lng=2", Some("1"), Some("2")),
            ("x=1&lng=%322&&y", None, Some("22")),
            ("l%61t=1+2%2B3", Some("1 2+3"), None),
            ("lat", Some(""), None),
            ("lat=a=b", Some("a=b"), None),
            ("x=%GG&x=1", None, None),
            ("", None, None),
        ] {
            let [found_lat, found_lng] = get("/", query).parameters(["lat", "lng"]).unwrap();
            assert_eq!((found_lat.as_deref(), found_lng.as_deref()), (lat, lng), "{query}");
        }
    }

    #[test]
    fn a_repeated_or_malformed_parameter_is_refused() {
        for (query, code, parameter) in [
            ("lat=1&lat=1", "repeated_parameter", Some("lat")),
            ("lat&l%61t=2", "repeated_parameter", Some("lat")),
            ("lat=%", "malformed_query", None),
            ("lat=%FF", "malformed_query", None),
            ("%FF=1", "malformed_query", None),
        ] {
            let problem = get("/", query).parameters(["lat"]).unwrap_err();
            assert_eq!((problem.status, problem.code, problem.parameter), (400, code, parameter), "{query}");
        }
    }

    #[test]
    fn a_head_has_bounds() {
        let problem = |request: Request<'_>| request.require_bounds().err().map(|it| (it.status, it.code));
        let (path, query) = ("/".repeat(MAX_PATH_BYTES), "a".repeat(MAX_QUERY_BYTES));
        assert_eq!(problem(get(&path, &query)), None);
        assert_eq!(problem(get(&(path + "a"), "")), Some((414, "target_too_long")));
        assert_eq!(problem(get("/", &(query + "a"))), Some((414, "target_too_long")));
        let parameters = |count: usize| vec!["a=1"; count].join("&");
        assert_eq!(problem(get("/", &parameters(MAX_PARAMETERS))), None);
        assert_eq!(problem(get("/", &parameters(MAX_PARAMETERS + 1))), Some((400, "too_many_parameters")));
        let header = |bytes: usize| [("x".into(), "a".repeat(bytes - 1).into())];
        let headers = header(MAX_HEADERS_BYTES);
        assert_eq!(problem(Request { headers: &headers, ..get("/", "") }), None);
        let headers = header(MAX_HEADERS_BYTES + 1);
        assert_eq!(problem(Request { headers: &headers, ..get("/", "") }), Some((431, "headers_too_large")));
    }

    #[test]
    fn another_method_is_answered_with_the_allowed_ones() {
        for (required, method, allow) in [
            ("GET", "GET", None),
            ("GET", "HEAD", None),
            ("GET", "get", Some("GET, HEAD")),
            ("GET", "", Some("GET, HEAD")),
            ("POST", "POST", None),
            ("POST", "GET", Some("POST")),
            ("POST", "HEAD", Some("POST")),
        ] {
            let request = Request { method, ..get("/", "") };
            let problem = request.require_method(required).err().map(Response::from);
            let found = problem.as_ref().and_then(|response| response.header("allow"));
            assert_eq!(found, allow, "{method} where {required} is required");
        }
    }

    #[test]
    fn a_client_that_excludes_every_coding_is_refused_and_one_that_excludes_identity_gets_gzip() {
        let asking = |accept_encoding: &'static str| [("Accept-Encoding".into(), accept_encoding.into())];
        for (accept_encoding, coding) in
            [("gzip, identity;q=0", Ok(Some("gzip"))), ("br", Ok(None)), ("br, *;q=0", Err(406))]
        {
            let headers = asking(accept_encoding);
            let request = Request { headers: &headers, ..get("/", "") };
            let answered = request.require_coding().map(|()| Response::of(200, "application/json", &"x"));
            let refused = answered.as_ref().err().map(|problem| problem.status);
            let response = request.respond(answered);
            let found = refused.map_or_else(|| Ok(response.header("content-encoding")), Err);
            assert_eq!(found, coding, "{accept_encoding}");
        }
    }

    #[test]
    fn a_response_to_head_has_the_headers_of_get_and_no_content() {
        let results = || [Ok(Response::of(200, "application/json", &"x")), Err(Problem::not_found())];
        for (head, get) in results().into_iter().zip(results()) {
            let request = self::get("/", "");
            let get = request.respond(get);
            let head = Request { method: "HEAD", ..request }.respond(head);
            assert_eq!((head.status, &head.headers, head.body.len()), (get.status, &get.headers, 0));
            assert!(!get.body.is_empty());
        }
    }
}
