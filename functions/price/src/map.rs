//! `GET /v1/cities/{city}/surge`: the map, as JSON or as GeoJSON hexagons (RFC 7946).

use equilibrium_app::surge::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::geo::outline::outline;
use equilibrium_domain::geo::polygon::Position;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::surge::map::Row;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, etag_matches, excludes, negotiate};
use serde::Serialize;

use crate::city_view::{CityView, ProductIndex};
use crate::{PriceApi, with_no_cache};

const JSON: &str = "application/json";
const GEO_JSON: &str = "application/geo+json";

/// The members of the whole map in both media types; in GeoJSON they are foreign members (RFC 7946 §6.1).
#[derive(Serialize)]
struct MapHeader<'a> {
    city: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    as_of: Option<Timestamp>,
    version: u64,
    bounds: u64,
    age_ms: Option<i64>,
    mode: Mode,
    feed: Feed,
    completeness: f64,
}

#[derive(Serialize)]
struct CellProperties<'a> {
    cell: Cell,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    multiplier: Multiplier,
    demand: u32,
    supply: u32,
}

/// A GeoJSON map without its features.
#[derive(Serialize)]
struct CollectionHeader<'a> {
    r#type: &'static str,
    #[serde(flatten)]
    header: MapHeader<'a>,
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
    /// A cell cut by the antimeridian (RFC 7946 §3.1.9).
    MultiPolygon(Vec<Rings>),
}

impl<M, K, T> PriceApi<'_, M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn surge_map(&self, request: &Request<'_>, city: &str) -> Result<Response, Problem> {
        let config = self.city(city)?;
        let [product] = request.parameters(["product"])?;
        let view = self.view(&config).await;
        let product = product.map(|id| view.product(&id)).transpose()?;
        let media_type = media_type(request.header("accept"))?;

        let tag = view.entity_tag(product, media_type);
        let tagged = |response: Response| {
            // Weak: responses of the same tag differ in their age.
            with_no_cache(response)
                .with("etag", format!("W/\"{tag}\""))
                .with("vary", "accept, accept-encoding")
        };
        if request.header("if-none-match").is_some_and(|tags| etag_matches(tags, &tag)) {
            return Ok(tagged(Response::empty(304)));
        }
        // The age alone differs between answers of the same tag, and it is in the header.
        let cells = self.rendered.get(city, &tag, || {
            if media_type == GEO_JSON { array(view.features(product)) } else { array(view.cells(product)) }
        });
        let start = view.start(product, media_type);
        Ok(tagged(Response::sharing(media_type, start, &cells, request.header("accept-encoding"))))
    }
}

/// The media type for a client with this `Accept`. A client that lists neither type gets JSON, unless it excludes it
/// (RFC 9110 §12.5.1 leaves the choice).
fn media_type(accept: Option<&str>) -> Result<&'static str, Problem> {
    let Some(accept) = accept else { return Ok(JSON) };
    match negotiate(accept, &[JSON, GEO_JSON]) {
        None if excludes(accept, JSON) => {
            Err(Problem::new(406, "not_acceptable", "the map is application/json or application/geo+json"))
        }
        found => Ok(found.unwrap_or(JSON)),
    }
}

impl CityView<'_> {
    /// Everything that the content depends on except the age (CONTRACT §5): the run of the store, for another one counts
    /// its versions from 1 again, the version, the policy, mode, product and media type; in mode `static` also the hour, for each hour has its
    /// own multiplier.
    fn entity_tag(&self, product: Option<ProductIndex<'_>>, media_type: &str) -> String {
        let (version, mode) = (self.version(), self.fallback.mode);
        let hour = self.fallback.hour.map(|hour| hour.to_string()).unwrap_or_default();
        let product = product.map_or("", |product| product.id);
        let format = if media_type == GEO_JSON { "geo" } else { "json" };
        let (run, policy) = (self.began_ms(), self.policy_fingerprint);
        format!("{run:x}.{version}.{policy:x}.{mode}{hour}.{product}.{format}")
    }

    fn header<'a>(&'a self, product: Option<ProductIndex<'a>>) -> MapHeader<'a> {
        MapHeader {
            city: self.policy.city.as_str(),
            product: product.map(|product| product.id),
            as_of: self.as_of_ms().and_then(Timestamp::from_ms),
            version: self.version(),
            bounds: self.policy_version,
            age_ms: self.fallback.age_ms,
            mode: self.fallback.mode,
            feed: self.feed(),
            completeness: self.completeness(),
        }
    }

    /// The cells of one product, or of all products in the policy's order.
    fn cells<'a>(&'a self, product: Option<ProductIndex<'a>>) -> impl Iterator<Item = CellProperties<'a>> {
        let names_product = product.is_none();
        self.listed_rows(product).map(move |(of, row)| self.cell(row, names_product.then_some(of.id)))
    }

    fn features<'a>(&'a self, product: Option<ProductIndex<'a>>) -> impl Iterator<Item = Feature<'a>> {
        let names_product = product.is_none();
        self.listed_rows(product).map(move |(of, row)| Feature {
            r#type: "Feature",
            geometry: Geometry::of(outline(row.cell)),
            properties: self.cell(row, names_product.then_some(of.id)),
        })
    }

    /// The map up to its cells.
    fn start(&self, product: Option<ProductIndex<'_>>, media_type: &str) -> Vec<u8> {
        let header = self.header(product);
        let (header, cells) = if media_type == GEO_JSON {
            (serde_json::to_vec(&CollectionHeader { r#type: "FeatureCollection", header }), "features")
        } else {
            (serde_json::to_vec(&header), "cells")
        };
        let mut start = header.expect("keys are strings");
        start.pop();
        start.extend_from_slice(format!(",\"{cells}\":").as_bytes());
        start
    }

    /// The rows of one product, or of all products in the policy's order, each with its product.
    fn listed_rows<'a>(
        &'a self,
        product: Option<ProductIndex<'a>>,
    ) -> impl Iterator<Item = (ProductIndex<'a>, &'a Row)> {
        let products = product.map_or_else(|| self.products().collect(), |product| vec![product]);
        products.into_iter().flat_map(|product| self.rows(product).map(move |row| (product, row)))
    }

    fn cell<'a>(&self, row: &Row, product: Option<&'a str>) -> CellProperties<'a> {
        CellProperties {
            cell: row.cell,
            product,
            multiplier: self.fallback.multiplier(row.cell, Some(row)),
            demand: row.demand,
            supply: row.supply,
        }
    }
}

/// The elements of an array, and the end of the object that it is the last member of.
fn array(elements: impl Iterator<Item = impl Serialize>) -> Vec<u8> {
    let mut array = vec![b'['];
    for element in elements {
        if array.len() > 1 {
            array.push(b',');
        }
        serde_json::to_writer(&mut array, &element)
            .expect("keys are strings, and a vector accepts every write");
    }
    array.extend_from_slice(b"]}");
    array
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
