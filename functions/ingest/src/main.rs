//! `ingest` on AWS: requests of API Gateway in, events in a Kinesis stream out.

use equilibrium_app::config::Variables;
use equilibrium_app::ingesting::Ingester;
use equilibrium_app::library::Library;
use equilibrium_app::metrics::Measured;
use equilibrium_aws::deployment;
use equilibrium_aws::dynamodb::{self, Policies};
use equilibrium_aws::function::{self, Ended, Invocation};
use equilibrium_aws::kinesis::{self, Events};
use equilibrium_aws::patience::Patience;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    function::trace();
    let mut variables = Variables::new(function::variable);
    let (tables, streams) = deployment::names(&mut variables);
    let (lanes, bounds) = (variables.lanes(), variables.bounds());
    variables.finish()?;

    let sdk = function::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, Patience::default());
    let kinesis = kinesis::Connection::new(&sdk, Patience::default());
    let library = &Library::new(Policies::new(&dynamodb, &tables), bounds);
    let ingester = &Ingester::new(Events::new(&kinesis, &streams, lanes), lanes);
    function::run("ingest", async move |Invocation { payload, now_ms, .. }| {
        let book = library.book(now_ms).await?;
        let (answer, tally) = equilibrium_ingest::handle(ingester, &payload, &book, now_ms).await?;
        Ok((answer, tally.measures()))
    })
    .await
}
