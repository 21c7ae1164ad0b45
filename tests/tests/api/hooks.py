"""What schemathesis needs to know of this API beyond its description: a media type, and where and when requests succeed."""

import datetime
import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """A text is one of lines already, as the examples are."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    return json.dumps(value).encode()


@schemathesis.hook
def map_body(ctx, body):
    """Moves rides into the simulated city and the ends of overrides into the next hours, if they are valid."""
    if not isinstance(body, dict) or ctx.operation is None:
        return body
    operation = ctx.operation.definition.raw["operationId"]
    if operation == "issueQuote":
        return {name: in_city(value) for name, value in body.items()}
    if operation == "createOverride" and is_time(body.get("ends_at")):
        hours = 1 + len(json.dumps(body)) % 20
        ends_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        return body | {"ends_at": ends_at.isoformat()}
    return body


def in_city(place):
    """A valid place, within New York."""
    if not isinstance(place, dict):
        return place
    lat, lng = place.get("lat"), place.get("lng")
    if not (is_within(lat, 90) and is_within(lng, 180)):
        return place
    return place | {"lat": 40.72 + lat / 900, "lng": -73.97 + lng / 900}


def is_within(value, most):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -most <= value <= most


def is_time(value):
    try:
        return datetime.datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False
