//! `GET /v1/cities/{city}/surge`: the map, as JSON or as GeoJSON hexagons (RFC 7946).

use equilibrium_app::price::city_view::{CityView, ProductIndex};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::price::report::ReportedCell;
use equilibrium_app::timer::Timer;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::geo::outline::outline;
use equilibrium_domain::geo::polygon::Position;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, etag_matches, excludes, negotiate};
use serde::Serialize;

use crate::{PriceApi, product, with_no_cache};

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

impl<M, K, T, P> PriceApi<'_, M, K, T, P>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn surge_map(&self, request: &Request<'_>, city: &str) -> Result<Response, Problem> {
        let config = self.city(city)?;
        let [id] = request.parameters(["product"])?;
        let view = self.view(&config).await;
        let product = id.map(|id| product(&view, &id)).transpose()?;
        let media_type = media_type(request.header("accept"))?;

        let tag = entity_tag(&view, product, media_type);
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
            if media_type == GEO_JSON {
                array(features(&view, product))
            } else {
                array(cells(&view, product))
            }
        });
        let start = start(&view, product, media_type);
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

/// Everything that the content depends on except the age (CONTRACT §5): the run of the store, for another one counts its
/// versions from 1 again, the version, the policy, the changes of overrides, the laws in force, mode, product and media type; in mode `static`
/// also the hour, for each hour has its own multiplier.
fn entity_tag(view: &CityView<'_>, product: Option<ProductIndex<'_>>, media_type: &str) -> String {
    let (version, bounds, mode) = (view.version(), view.bounds.number, view.fallback.mode);
    let hour = view.fallback.hour.map(|hour| hour.to_string()).unwrap_or_default();
    let product = product.map_or("", |product| product.id);
    let format = if media_type == GEO_JSON { "geo" } else { "json" };
    let (run, policy, laws) = (view.began_ms(), view.policy_fingerprint, view.bounds.laws);
    format!("{run:x}.{version}.{policy:x}.{bounds}.{laws:x}.{mode}{hour}.{product}.{format}")
}

fn header<'a>(view: &CityView<'a>, product: Option<ProductIndex<'a>>) -> MapHeader<'a> {
    MapHeader {
        city: view.policy.city.as_str(),
        product: product.map(|product| product.id),
        as_of: view.as_of_ms().and_then(Timestamp::from_ms),
        version: view.version(),
        bounds: view.bounds.number,
        age_ms: view.fallback.age_ms,
        mode: view.fallback.mode,
        feed: view.feed(),
        completeness: view.completeness(),
    }
}

/// The cells of one product, or of all products in the policy's order.
fn cells<'a>(
    view: &CityView<'a>,
    product: Option<ProductIndex<'a>>,
) -> impl Iterator<Item = CellProperties<'a>> {
    listed(view, product).map(move |(of, reported)| properties(reported, product, of))
}

fn features<'a>(view: &CityView<'a>, product: Option<ProductIndex<'a>>) -> impl Iterator<Item = Feature<'a>> {
    listed(view, product).map(move |(of, reported)| Feature {
        r#type: "Feature",
        geometry: Geometry::of(outline(reported.cell)),
        properties: properties(reported, product, of),
    })
}

/// The map up to its cells.
fn start(view: &CityView<'_>, product: Option<ProductIndex<'_>>, media_type: &str) -> Vec<u8> {
    let header = header(view, product);
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

/// What the map lists of one product, or of all products in the policy's order, each with its product.
fn listed<'a>(
    view: &CityView<'a>,
    product: Option<ProductIndex<'a>>,
) -> impl Iterator<Item = (ProductIndex<'a>, ReportedCell)> {
    let products = product.map_or_else(|| view.products().collect(), |product| vec![product]);
    products
        .into_iter()
        .flat_map(|product| view.listed(product).into_iter().map(move |reported| (product, reported)))
}

/// A cell of the map; it names its product `of` in a map of all.
fn properties<'a>(
    reported: ReportedCell,
    product: Option<ProductIndex<'_>>,
    of: ProductIndex<'a>,
) -> CellProperties<'a> {
    let ReportedCell { cell, multiplier, demand, supply, .. } = reported;
    CellProperties { cell, product: product.is_none().then_some(of.id), multiplier, demand, supply }
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
