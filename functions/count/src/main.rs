//! `count` on AWS: events of a Kinesis stream in, checkpoints in DynamoDB and counts in Kinesis out.

use equilibrium_app::config::Variables;
use equilibrium_app::counting::Counter;
use equilibrium_app::library::Library;
use equilibrium_app::metrics::Measured;
use equilibrium_aws::deployment::{self, LETTERS_DEADLINE};
use equilibrium_aws::dynamodb::{self, Checkpoints, Policies};
use equilibrium_aws::function::{self, Ended, Invocation};
use equilibrium_aws::kinesis::{self, Counts};
use equilibrium_aws::letters::LetterQueue;
use equilibrium_aws::patience::Patience;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Ended> {
    function::trace();
    let mut variables = Variables::new(function::variable);
    let (tables, streams) = deployment::names(&mut variables);
    let (settings, bounds) = (variables.counting(), variables.bounds());
    let letters = variables.text("EQUILIBRIUM_DEAD_LETTERS_URL");
    variables.finish()?;

    let sdk = function::sdk().await;
    let dynamodb = dynamodb::Connection::new(&sdk, Patience::default());
    let kinesis = kinesis::Connection::new(&sdk, Patience::default());
    let library = &Library::new(Policies::new(&dynamodb, &tables), bounds);
    let counter = &Counter::new(
        settings,
        Checkpoints::new(&dynamodb, &tables),
        Counts::new(&kinesis, &streams, deployment::groups(settings.groups)),
        LetterQueue::at(&sdk, letters, LETTERS_DEADLINE),
    );
    function::run("count", async move |Invocation { payload, now_ms, .. }| {
        let book = library.book(now_ms).await?;
        let (answer, tally) = equilibrium_count::handle(counter, &payload, &book, now_ms).await?;
        Ok((answer, tally.measures()))
    })
    .await
}
