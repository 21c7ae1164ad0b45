//! `GET /v1/cities/{city}/surge`: the map, as JSON or as GeoJSON hexagons (RFC 7946).

use equilibrium_app::price::map_reader::Timer;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::geo::outline::outline;
use equilibrium_domain::geo::polygon::Position;
use equilibrium_domain::surge::fallback::{Fallback, Mode};
use equilibrium_domain::surge::map::Row;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, etag_matches, negotiate};
use serde::Serialize;

use crate::json::{self, AsDisplay, CellHex};
use crate::{CityView, PriceApi, with_no_cache};

const JSON: &str = "application/json";
const GEO_JSON: &str = "application/geo+json";

/// What both media types say of the whole map; in GeoJSON as foreign members (RFC 7946 §6.1).
#[derive(Serialize)]
struct MapHeader<'a> {
    city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    as_of: Option<AsDisplay<Timestamp>>,
    version: u64,
    age_ms: Option<i64>,
    mode: AsDisplay<Mode>,
    completeness: f64,
}

#[derive(Serialize)]
struct Cells<'a> {
    #[serde(flatten)]
    facts: MapHeader<'a>,
    cells: Vec<CellProperties<'a>>,
}

#[derive(Serialize)]
struct CellProperties<'a> {
    cell: AsDisplay<CellHex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    multiplier: f64,
    demand: u32,
    supply: u32,
}

#[derive(Serialize)]
struct Collection<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    facts: MapHeader<'a>,
    features: Vec<Feature<'a>>,
}

#[derive(Serialize)]
struct Feature<'a> {
    r#type: &'static str,
    geometry: Geometry,
    properties: CellProperties<'a>,
}

type Rings = Vec<Vec<Position>>;

#[derive(Serialize)]
#[serde(tag = "type", content = "coordinates")]
enum Geometry {
    Polygon(Rings),
    /// Cut by the antimeridian (RFC 7946 §3.1.9).
    MultiPolygon(Vec<Rings>),
}

impl<M, K, T> PriceApi<'_, M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn surge_map(&self, request: &Request<'_>, city: &str) -> Result<Response, Problem> {
        let book = self.city(city)?;
        let [product] = request.parameters(["product"])?;
        let view = self.view(&book).await;
        let product = product.map(|named| view.product(Some(&named))).transpose()?;
        let media_type =
            request.header("accept").and_then(|accept| negotiate(accept, &[JSON, GEO_JSON])).unwrap_or(JSON);

        let tag = view.tag(product, media_type);
        let tagged = |response: Response| {
            // Weak: the age differs between answers of one tag.
            with_no_cache(response)
                .with("etag", format!("W/\"{tag}\""))
                .with("vary", "accept, accept-encoding")
        };
        if request.header("if-none-match").is_some_and(|tags| etag_matches(tags, &tag)) {
            return Ok(tagged(Response::empty(304)));
        }
        let response = if media_type == GEO_JSON {
            Response::of(200, GEO_JSON, &view.features(product))
        } else {
            let cells = Cells { facts: view.facts(product), cells: view.cells(product).collect() };
            Response::of(200, JSON, &cells)
        };
        Ok(tagged(response).compressed_for(request))
    }
}

impl CityView {
    fn version(&self) -> u64 {
        self.map.as_ref().map_or(0, |map| map.head().version)
    }

    fn product_id(&self, at: usize) -> &str {
        self.policy().products[at].id.as_str()
    }

    /// What the answer depends on, its age aside; of the static table the hour, for each has a multiplier.
    fn tag(&self, product: Option<usize>, media_type: &str) -> String {
        let Fallback { mode, hour, .. } = self.ladder();
        let product = product.map_or("", |at| self.product_id(at));
        let hour = hour.map(|hour| hour.to_string()).unwrap_or_default();
        let format = if media_type == GEO_JSON { "geo" } else { "json" };
        format!("{}.{mode}{hour}.{product}.{format}", self.version())
    }

    fn facts(&self, product: Option<usize>) -> MapHeader<'_> {
        let ladder = self.ladder();
        MapHeader {
            city: self.policy().city.as_str(),
            product: product.map(|at| self.product_id(at)),
            as_of: json::time(self.as_of()),
            version: self.version(),
            age_ms: ladder.age_ms,
            mode: json::mode(ladder.mode),
            completeness: self.map.as_ref().map_or(0.0, |map| map.completeness()),
        }
    }

    /// The cells of one product, or of all of the policy's in their order.
    fn cells(&self, product: Option<usize>) -> impl Iterator<Item = CellProperties<'_>> {
        self.rows(product).map(move |(at, row, ladder)| self.cell_facts(at, row, &ladder, product.is_none()))
    }

    fn features(&self, product: Option<usize>) -> Collection<'_> {
        let features = self.rows(product).map(|(at, row, ladder)| Feature {
            r#type: "Feature",
            geometry: Geometry::of(outline(row.cell)),
            properties: self.cell_facts(at, row, &ladder, product.is_none()),
        });
        let features = features.collect();
        Collection { r#type: "FeatureCollection", facts: self.facts(product), features }
    }

    fn rows(&self, product: Option<usize>) -> impl Iterator<Item = (usize, &Row, Fallback<'_>)> {
        let ladder = self.ladder();
        let asked =
            (0..self.policy().products.len()).filter(move |at| product.is_none_or(|asked| asked == *at));
        self.map.iter().flat_map(move |map| {
            let mapped = asked.clone().filter_map(|at| Some((at, map.product(self.product_id(at))?)));
            mapped.flat_map(move |(at, in_map)| map.rows(in_map).map(move |row| (at, row, ladder)))
        })
    }

    fn cell_facts(
        &self,
        product: usize,
        row: &Row,
        ladder: &Fallback<'_>,
        names_it: bool,
    ) -> CellProperties<'_> {
        CellProperties {
            cell: json::cell(row.cell),
            product: names_it.then(|| self.product_id(product)),
            multiplier: json::multiplier(ladder.multiplier(row.cell, Some(row))),
            demand: row.demand,
            supply: row.supply,
        }
    }
}

impl Geometry {
    fn of(mut rings: Rings) -> Self {
        if rings.len() > 1 {
            Self::MultiPolygon(rings.drain(..).map(|ring| vec![ring]).collect())
        } else {
            Self::Polygon(rings)
        }
    }
}
