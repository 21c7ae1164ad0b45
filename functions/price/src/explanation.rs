//! `GET /v1/cities/{city}/surge/{cell}/explain`: why a price is what it is, or was.

use std::sync::Arc;

use equilibrium_app::history::bounds::PastBounds;
use equilibrium_app::history::explainer::{Question, observe};
use equilibrium_app::history::ports::PastStores;
use equilibrium_app::policy::bounds::BoundsInForce;
use equilibrium_app::policy::policy_set::CityConfig;
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_domain::policy::Published;
use equilibrium_domain::surge::bounds::Bounds;
use equilibrium_domain::surge::city_pricing::CellAtTick;
use equilibrium_domain::surge::explain::Explanation;
use equilibrium_http::{Problem, Request, Response};
use h3o::LatLng;

use crate::{PriceApi, cell_of, instant, past_unavailable, product_of, with_no_cache};

impl<M, K, T, P> PriceApi<'_, M, K, T, P>
where
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
    P: PastStores,
{
    pub(crate) async fn explanation(
        &self,
        request: &Request<'_>,
        city: &str,
        cell: &str,
    ) -> Result<Response, Problem> {
        let [product, at] = request.parameters(["product", "at"])?;
        let config = self.city(city)?;
        let policy = &config.pricing.policy;
        let question = Question {
            city: policy.city.clone(),
            cell: cell_of(policy, cell, None)?,
            product: product.as_deref().map(|id| product_of(policy, id)).transpose()?,
            at: at.as_deref().map(|text| instant("at", text)).transpose()?,
        };
        let observed = observe(self.past.logs(), &question, self.now_ms).await.map_err(past_unavailable)?;
        // The city may have had cells of another resolution then.
        let observed = observed.filter(|observed| observed.config.policy.resolution == policy.resolution);
        let observed = observed.ok_or_else(|| {
            Problem::new(404, "not_retained", "no tick of the last 24 hours had closed then")
        })?;
        let bounds = self.bounds_at(&config, &question, &observed).await?;
        let frozen = self.frozen(&config, &observed, bounds.bounds()).await;
        let explanation = Explanation::of(&observed, bounds.bounds(), frozen);
        let centre = question.cell.h3().map(LatLng::from);
        let is_served = centre.is_some_and(|centre| policy.boundary.contains(centre.lng(), centre.lat()));
        // Entities at the border count in cells whose centres are outside.
        if !is_served && !explanation.is_reported() {
            return Err(Problem::new(404, "outside_service_area", "the city does not serve this cell"));
        }
        let response = with_no_cache(Response::of(200, "application/json", &explanation));
        let accepted = request.header("accept-encoding");
        Ok(response.with("vary", "accept-encoding").compressed_for(accepted))
    }

    /// The bounds in force at the moment of the question: those of now, which price the newest tick, or those of its tick.
    async fn bounds_at(
        &self,
        config: &CityConfig,
        question: &Question,
        observed: &CellAtTick,
    ) -> Result<Arc<BoundsInForce>, Problem> {
        if question.at.is_none() && *observed.config == *config.pricing {
            return Ok(config.bounds.in_force(self.now_ms));
        }
        let past = PastBounds::from(self.past.bounds(), &question.city, observed.at).await;
        let mut past = past.map_err(past_unavailable)?;
        past.in_force(&observed.config, observed.at).await.map_err(past_unavailable)
    }

    /// The published multiplier of the cell at the start of the freeze that was in force; `None` if it is that of the tick.
    async fn frozen(&self, config: &CityConfig, observed: &CellAtTick, bounds: &Bounds) -> Option<Published> {
        let start_ms = observed.freeze(bounds)?;
        let policy = &config.pricing.policy;
        let frozen = self.maps.frozen_maps(&policy.city, bounds, Some(observed.at), self.now_ms).await;
        let frozen = frozen.get(start_ms)?;
        Some(frozen.published(observed.product_id().as_str(), observed.cell))
    }
}
