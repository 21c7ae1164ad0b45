//! `GET /v1/price`: the multiplier of a ride from a point.

use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_domain::event::Position;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::Mode;
use equilibrium_domain::surge::feed_guard::Feed;
use equilibrium_domain::time::Timestamp;
use equilibrium_http::{Problem, Request, Response, parameters};
use serde::Serialize;

use crate::{PriceApi, with_no_cache};

#[derive(Serialize)]
struct Price<'a> {
    city: &'a str,
    cell: Cell,
    product: &'a str,
    multiplier: Multiplier,
    as_of: Option<Timestamp>,
    age_ms: Option<i64>,
    mode: Mode,
    feed: Feed,
}

impl<M, K, T, P> PriceApi<'_, M, K, T, P>
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
        let config = self.city_around(place, city.as_deref())?;
        let view = self.view(&config).await;
        let product = match product.as_deref() {
            Some(id) => crate::product(&view, id)?,
            None => view.default_product(),
        };

        let cell = view.policy.cell_at(place);
        let multiplier = view.reported(product, cell).multiplier;
        view.sample((self.maps, &config), (product, cell), multiplier, self.now_ms);
        let price = Price {
            city: view.policy.city.as_str(),
            cell,
            product: product.id,
            multiplier,
            as_of: view.as_of_ms().and_then(Timestamp::from_ms),
            age_ms: view.fallback.age_ms,
            mode: view.fallback.mode,
            feed: view.feed(),
        };
        Ok(with_no_cache(Response::of(200, "application/json", &price)))
    }

    /// The city called `id`, or without one the first by id, whose boundary contains the place.
    fn city_around(&self, place: Position, id: Option<&str>) -> Result<CityConfig, Problem> {
        let around = match id {
            Some(id) => Some(self.city(id)?).filter(|city| city.serves(place)),
            None => self.policies.city_around(place).cloned(),
        };
        around.ok_or_else(|| Problem::new(404, "outside_service_area", "no city serves this place"))
    }
}
