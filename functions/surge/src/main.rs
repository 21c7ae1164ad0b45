//! `surge` on AWS: counts of a Kinesis stream in, maps in DynamoDB and their copies in the cache out.

use equilibrium_app::config::Variables;
use equilibrium_app::library::Library;
use equilibrium_app::memory::Nowhere;
use equilibrium_app::metrics::Measured;
use equilibrium_app::pricing::{Outlets, Pricer};
use equilibrium_aws::cache::Cache;
use equilibrium_aws::deployment;
use equilibrium_aws::dynamodb::{self, Checkpoints, Maps, Policies};
use equilibrium_aws::function::{self, Ended, Invocation};
use equilibrium_aws::kinesis::{self, Changes};
use equilibrium_aws::patience::Patience;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    function::trace();
    let mut variables = Variables::new(function::variable);
    let (tables, streams) = deployment::names(&mut variables);
    let (settings, bounds) = (variables.counting(), variables.bounds());
    let cache = deployment::cache(&mut variables);
    variables.finish()?;

    let sdk = function::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, Patience::default());
    let kinesis = kinesis::Connection::new(&sdk, Patience::default());
    let library = &Library::new(Policies::new(&dynamodb, &tables), bounds);
    let outlets = Outlets {
        checkpoints: Checkpoints::new(&dynamodb, &tables),
        maps: Maps::new(&dynamodb, &tables),
        cache: Cache::new(&cache)?,
        changes: Changes::new(&kinesis, &streams),
        ticks: Nowhere,
    };
    let pricer = &Pricer::new(settings.lanes, outlets);
    function::run("surge", async move |Invocation { payload, now_ms, .. }| {
        let book = library.book(now_ms).await?;
        let (answer, tally) = equilibrium_surge::handle(pricer, &payload, &book, now_ms).await?;
        Ok((answer, tally.measures()))
    })
    .await
}
