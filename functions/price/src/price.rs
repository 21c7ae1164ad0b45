//! `GET /v1/price`: what a ride from a point is multiplied by.

use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::price::map_reader::Timer;
use equilibrium_app::surge::ports::MapStore;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::cell_at;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response};
use h3o::Resolution;
use serde::Serialize;

use crate::json::{self, AsDisplay, CellHex};
use crate::{PriceApi, with_no_cache};
use equilibrium_http::parameters;

#[derive(Serialize)]
struct Price<'a> {
    city: &'a str,
    cell: AsDisplay<CellHex>,
    product: &'a str,
    multiplier: f64,
    as_of: Option<AsDisplay<Timestamp>>,
    age_ms: Option<i64>,
    mode: AsDisplay<Mode>,
}

impl<M, K, T> PriceApi<'_, M, K, T>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn price(&self, request: &Request<'_>) -> Result<Response, Problem> {
        let [lat, lng, product, city] = request.parameters(["lat", "lng", "product", "city"])?;
        let lat = parameters::degrees("lat", lat.as_deref(), -90.0..=90.0)?;
        let lng = parameters::degrees("lng", lng.as_deref(), -180.0..=180.0)?;
        let place = Position { lat, lng };
        let view = self.view(&self.city_around(place, city.as_deref())?).await;
        let policy = view.policy();
        let product = &policy.products[view.product(product.as_deref())?].id;

        let resolution =
            Resolution::try_from(policy.resolution).expect("a policy's resolution is one of H3's");
        let cell = cell_at(place, resolution);
        let map = view.map.as_deref();
        let row = map.and_then(|map| map.row(map.product(product.as_str())?, cell));
        let ladder = view.ladder();
        let price = Price {
            city: policy.city.as_str(),
            cell: json::cell(cell),
            product: product.as_str(),
            multiplier: json::multiplier(ladder.multiplier(cell, row)),
            as_of: json::time(view.as_of()),
            age_ms: ladder.age_ms,
            mode: json::mode(ladder.mode),
        };
        Ok(with_no_cache(Response::of(200, "application/json", &price)))
    }

    /// The city named, or else the first by id, whose boundary holds the place.
    fn city_around(&self, place: Position, named: Option<&str>) -> Result<CityConfig, Problem> {
        let serves = |book: &CityConfig| book.pricing.policy.boundary.contains(place.lng, place.lat);
        let around = match named {
            Some(named) => Some(self.city(named)?).filter(serves),
            None => self.book.cities(None).find(|book| serves(book)).cloned(),
        };
        around.ok_or_else(|| Problem::new(404, "outside_service_area", "no city serves this place"))
    }
}
