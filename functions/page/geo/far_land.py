"""Writes far.json: the land around New York City that is not part of it, with the Hudson cut out."""

import json

from shapely.geometry import Polygon, mapping, shape
from shapely.ops import unary_union

# The counties end at the sea, but not at rivers: the Hudson is traced by hand.
HUDSON = Polygon([
    (-74.040, 40.690), (-74.031, 40.716), (-74.022, 40.745), (-74.014, 40.769), (-73.993, 40.797), (-73.971, 40.825),
    (-73.956, 40.851), (-73.935, 40.895), (-73.915, 40.945), (-73.905, 41.0), (-73.903, 41.04), (-73.91, 41.1),
    (-73.95, 41.2), (-73.96, 41.26), (-73.93, 41.26), (-73.90, 41.19), (-73.868, 41.08), (-73.880, 41.0),
    (-73.898, 40.945), (-73.912, 40.905), (-73.915, 40.89), (-73.94, 40.83), (-74.0, 40.74), (-74.02, 40.69),
])
# The frame to which the counties are clipped. Land that does not reach it is a sliver between two coastlines.
WEST, SOUTH, EAST, NORTH = -74.74, 40.26, -73.16, 41.24
MIN_AREA = 2e-5


def read(path):
    document = json.load(open(path))
    geometries = document.get("geometries") or [feature["geometry"] for feature in document["features"]]
    return unary_union([shape(geometry).buffer(0) for geometry in geometries])


def reaches_frame(part):
    west, south, east, north = part.bounds
    return west < WEST or south < SOUTH or east > EAST or north > NORTH


city, counties = read("areas.json"), read("counties.json")
# Closing and opening by a tenth of a mile removes strips where the two sources disagree about the city's border.
land = counties.difference(HUDSON).difference(city.buffer(0.0006)).buffer(-0.0018).buffer(0.0017)
parts = [part for part in getattr(land, "geoms", [land]) if part.area > MIN_AREA and reaches_frame(part)]
features = [{"type": "Feature", "properties": {}, "geometry": mapping(part)} for part in parts]
json.dump({"type": "FeatureCollection", "features": features}, open("far.json", "w"))
