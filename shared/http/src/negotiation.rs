//! Content negotiation and conditional requests: `Accept`, `Accept-Encoding` and `If-None-Match` (RFC 9110).

/// The media type among `offers` that the client prefers, on a tie the first; `None` if it accepts none of
/// them (§12.5.1).
#[must_use]
pub fn negotiate(accept: &str, offers: &[&'static str]) -> Option<&'static str> {
    let mut best = (0, None);
    for offer in offers {
        let quality = media_quality(accept, offer);
        if quality > best.0 {
            best = (quality, Some(*offer));
        }
    }
    best.1
}

/// Whether `Accept` excludes `offer`: the most specific range that includes it has the weight 0 (§12.4.2).
#[must_use]
pub fn excludes(accept: &str, offer: &str) -> bool {
    most_specific(accept, offer) == Some(0)
}

/// What a client says of the two codings of an answer (§12.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codings {
    /// Whether it accepts gzip, and prefers it to `identity` or ranks both alike.
    pub prefers_gzip: bool,
    /// Whether it accepts gzip.
    pub gzip: bool,
    /// Whether it accepts content without a coding, as it does unless it says otherwise.
    pub identity: bool,
}

impl Codings {
    /// The codings of a request's `Accept-Encoding`; without the header, `identity` alone.
    #[must_use]
    pub fn of(accept_encoding: Option<&str>) -> Self {
        let accept_encoding = accept_encoding.unwrap_or_default();
        let quality = |coding: &str| {
            let is_it = |name: &str| name.eq_ignore_ascii_case(coding);
            elements(accept_encoding).find(|(name, _)| is_it(name)).map(|(_, quality)| quality)
        };
        let (others, identity) = (quality("*"), quality("identity"));
        let gzip = quality("gzip").or_else(|| quality("x-gzip")).or(others).unwrap_or(0);
        Self {
            prefers_gzip: gzip > 0 && gzip >= identity.unwrap_or(0),
            gzip: gzip > 0,
            identity: identity.or(others) != Some(0),
        }
    }
}

/// Whether `If-None-Match` is `*` or lists the entity tag `"opaque"`, by weak comparison (§13.1.2).
#[must_use]
pub fn etag_matches(if_none_match: &str, opaque: &str) -> bool {
    let mut rest = if_none_match.trim();
    if rest == "*" {
        return true;
    }
    // A tag may contain commas, so tags are read from quote to quote.
    while let Some((_, tag)) = rest.split_once('"') {
        let Some((tag, after)) = tag.split_once('"') else { return false };
        if tag == opaque {
            return true;
        }
        rest = after;
    }
    false
}

/// Whether an `If-Match` lists the entity tag with this opaque part. The tag of a weak validator matches none (strong
/// comparison, RFC 9110 §8.8.3.2).
#[must_use]
pub fn etag_is_listed(if_match: &str, opaque: &str) -> bool {
    let mut rest = if_match.trim();
    if rest == "*" {
        return true;
    }
    while let Some((before, tag)) = rest.split_once('"') {
        let Some((tag, after)) = tag.split_once('"') else { return false };
        if tag == opaque && !before.ends_with("W/") {
            return true;
        }
        rest = after;
    }
    false
}

/// The quality of `offer`, in thousandths; 0 if no range includes it.
fn media_quality(accept: &str, offer: &str) -> u16 {
    most_specific(accept, offer).unwrap_or(0)
}

/// The quality of the most specific range that includes `offer`, in thousandths.
fn most_specific(accept: &str, offer: &str) -> Option<u16> {
    let mut best = (0, None);
    for (range, quality) in elements(accept) {
        let specificity = match range.split_once('/') {
            Some(("*", "*")) => 1,
            Some((kind, "*"))
                if offer.split_once('/').is_some_and(|(of, _)| of.eq_ignore_ascii_case(kind)) =>
            {
                2
            }
            Some(_) if range.eq_ignore_ascii_case(offer) => 3,
            _ => continue,
        };
        if specificity > best.0 {
            best = (specificity, Some(quality));
        }
    }
    best.1
}

/// The elements of a list, each without its parameters, with its quality in thousandths.
fn elements(list: &str) -> impl Iterator<Item = (&str, u16)> {
    unquoted(list, ',').map(|element| {
        let mut parts = unquoted(element, ';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim_end().eq_ignore_ascii_case("q").then(|| thousandths(value.trim_start()))
        });
        (name, weight.unwrap_or(1_000))
    })
}

/// The parts of `text` between separators that are not within quotes (§5.6.4).
fn unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match c {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        c == separator && !is_quoted
    })
}

/// A weight: 0 to 1 with up to three decimals; anything else is read as 0, not acceptable.
fn thousandths(weight: &str) -> u16 {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return 0;
    }
    let digit = |place: usize| decimals.as_bytes().get(place).map_or(0, |byte| u16::from(byte - b'0'));
    let fraction = digit(0) * 100 + digit(1) * 10 + digit(2);
    (u16::from(whole == "1") * 1_000 + fraction).min(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "application/json";
    const GEO: &str = "application/geo+json";

    #[test]
    fn the_most_specific_range_decides_the_quality_of_a_media_type() {
        for (accept, expected) in [
            ("*/*", Some(JSON)),
            ("application/*", Some(JSON)),
            (GEO, Some(GEO)),
            ("APPLICATION/GEO+JSON", Some(GEO)),
            ("application/geo+json, application/json", Some(JSON)),
            ("application/json;q=0.8, application/geo+json", Some(GEO)),
            ("application/geo+json;q=0.5, */*;q=0.1", Some(GEO)),
            ("application/geo+json;q=0.1, */*;q=0.5", Some(JSON)),
            ("application/json;q=0, */*", Some(GEO)),
            ("application/geo+json ; charset=utf-8 ; Q = 0.9 , application/json;q=0.899", Some(GEO)),
            ("application/geo+json;q=0", None),
            ("application/geo+json;q=2", None),
            ("application/geo+json;q=x, text/html", None),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(JSON)),
            ("application/json, text/plain, */*", Some(JSON)),
            ("application/*;q=0, */*", None),
            ("text/html;x=\"a,application/geo+json;b\\\",\", application/json;q=0.1", Some(JSON)),
            ("text/html", None),
            ("", None),
        ] {
            assert_eq!(negotiate(accept, &[JSON, GEO]), expected, "{accept}");
        }
    }

    #[test]
    fn a_media_type_is_excluded_by_the_weight_0_of_its_most_specific_range_alone() {
        for (accept, excluded) in [
            ("application/json;q=0", true),
            ("*/*;q=0", true),
            ("application/*;q=0, application/json;q=0.1", false),
            ("application/json;q=0.001, */*;q=0", false),
            ("text/html", false),
            ("", false),
        ] {
            assert_eq!(excludes(accept, JSON), excluded, "{accept}");
        }
    }

    #[test]
    fn content_without_a_coding_is_acceptable_unless_it_is_excluded() {
        for (accept_encoding, gzip, identity) in [
            (None, false, true),
            (Some(""), false, true),
            (Some("gzip, identity;q=0"), true, false),
            (Some("gzip;q=0.5, *;q=0"), true, false),
            (Some("*;q=0"), false, false),
            (Some("identity;q=0"), false, false),
            (Some("identity;q=0, *"), true, false),
            (Some("identity;q=0.1, *;q=0"), false, true),
            (Some("br"), false, true),
        ] {
            let codings = Codings::of(accept_encoding);
            assert_eq!((codings.gzip, codings.identity), (gzip, identity), "{accept_encoding:?}");
        }
    }

    #[test]
    fn gzip_is_used_if_the_client_accepts_it_and_does_not_prefer_identity() {
        for (accept_encoding, allowed) in [
            ("gzip", true),
            ("GZip, deflate, br", true),
            ("x-gzip", true),
            ("*", true),
            ("br;q=1.0, gzip;q=0.8, *;q=0.1", true),
            ("identity;q=0.5, gzip;q=1.000", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.5, identity", false),
            ("identity", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(Codings::of(Some(accept_encoding)).prefers_gzip, allowed, "{accept_encoding}");
        }
    }

    #[test]
    fn a_tag_is_found_in_a_list_whether_weak_or_strong() {
        for (if_none_match, listed) in [
            (r#"W/"7.fresh""#, true),
            (r#""7.fresh""#, true),
            (r#""6.fresh", W/"7.fresh""#, true),
            (r#""a,b","7.fresh""#, true),
            (" * ", true),
            (r#""7""#, false),
            (r#""6.fresh""#, false),
            ("7.fresh", false),
            (r#""7.fresh"#, false),
            (r#""*""#, false),
            ("", false),
        ] {
            assert_eq!(etag_matches(if_none_match, "7.fresh"), listed, "{if_none_match}");
        }
    }

    #[test]
    fn a_precondition_compares_strongly() {
        for (if_match, listed) in [
            ("\"7\"", true),
            ("*", true),
            ("\"6\", \"7\"", true),
            ("\"6,\",\"7\"", true),
            ("W/\"7\"", false),
            ("W/\"7\", \"7\"", true),
            ("\"17\"", false),
            ("7", false),
            ("", false),
            ("\"7", false),
        ] {
            assert_eq!(etag_is_listed(if_match, "7"), listed, "{if_match}");
        }
    }
}
