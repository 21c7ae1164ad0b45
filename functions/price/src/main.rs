//! `price` on AWS: requests of API Gateway answered from maps in memory, the cache and DynamoDB.

use equilibrium_app::config::Variables;
use equilibrium_app::library::Library;
use equilibrium_app::maps::MapReader;
use equilibrium_app::metrics::Measured;
use equilibrium_aws::cache::Cache;
use equilibrium_aws::deployment;
use equilibrium_aws::dynamodb::{self, Maps, Policies};
use equilibrium_aws::function::{self, Ended, Invocation, RuntimeTimer};
use equilibrium_aws::patience::Patience;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    function::trace();
    let mut variables = Variables::new(function::variable);
    let (tables, _) = deployment::names(&mut variables);
    let bounds = variables.bounds();
    let cache = deployment::cache(&mut variables);
    variables.finish()?;

    let sdk = function::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, Patience::default());
    let library = &Library::new(Policies::new(&dynamodb, &tables), bounds);
    let maps = &MapReader::new(Maps::new(&dynamodb, &tables), Cache::new(&cache)?, RuntimeTimer);
    function::run("price", async move |Invocation { payload, now_ms, .. }| {
        let book = library.book(now_ms).await?;
        let answer = equilibrium_price::handle(maps, &payload, &book, now_ms).await?;
        Ok((answer, maps.take_tally().measures()))
    })
    .await
}
