//! `equilibrium`: maps the arguments of the command line to one command (CONTRACT §4).

use clap::{Parser, Subcommand};
use equilibrium_api_client::explain::Explain;
use equilibrium_local::commands::city::CityCommand;
use equilibrium_local::commands::compare::Compare;
#[cfg(feature = "aws")]
use equilibrium_local::commands::deployment::DeploymentCommand;
use equilibrium_local::commands::lanes::LanesCommand;
use equilibrium_local::commands::replay::Replay;
use equilibrium_local::commands::serve::Serve;
use equilibrium_local::commands::stop_signals;
use equilibrium_local::commands::terminal::Exit;
use equilibrium_local_access::TokenCommand;

/// Real-time surge pricing for ride-hailing and delivery marketplaces.
#[derive(Parser)]
#[command(name = "equilibrium", version, args_conflicts_with_subcommands = true)]
#[cfg_attr(
    not(feature = "aws"),
    command(after_help = "A build with the cargo feature `aws` adds run-event-sources, feed and policies.")
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API with all functions in one process; the default command.
    Serve(Serve),
    /// Price a file of market events tick by tick, in event time, as fast as possible.
    Replay(Replay),
    /// Price a file of market events under two policies, and compare what is reported.
    Compare(Compare),
    /// Write the events of the simulated city; the same seed gives the same file on every machine.
    City(CityCommand),
    /// Explain why a price is what it is, or was within the last 24 hours.
    Explain(Explain),
    /// List the checkpoint logs that cannot go on and resume them.
    Lanes(LanesCommand),
    /// Issue a bearer token that `serve --auth on` takes.
    Token(TokenCommand),
    #[cfg(feature = "aws")]
    #[command(flatten)]
    Deployment(DeploymentCommand),
}

fn main() -> Exit {
    let Arguments { command, serve } = Arguments::parse();
    stop_signals::fail_writes_beyond_the_file_size_limit();
    match command.unwrap_or(Command::Serve(serve)) {
        Command::Serve(serve) => serve.execute(),
        Command::Replay(replay) => replay.execute(),
        Command::Compare(compare) => compare.execute(),
        Command::City(city) => city.execute(),
        Command::Explain(explain) => Exit::page(explain.run()),
        Command::Lanes(lanes) => lanes.execute(),
        Command::Token(token) => Exit::page(token.run()),
        #[cfg(feature = "aws")]
        Command::Deployment(command) => command.execute(),
    }
}
