//! Adapters that implement the ports of Equilibrium on AWS: one feature per service, none by default.

#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "cloudwatch")]
pub mod cloudwatch;
#[cfg(feature = "sqs")]
pub mod dead_letters;
#[cfg(feature = "dynamodb")]
pub mod dependencies;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
#[cfg(feature = "elasticache")]
pub mod elasticache;
#[cfg(feature = "lambda")]
pub mod invoke;
#[cfg(feature = "issuer-keys")]
pub mod issuer_keys;
#[cfg(feature = "kinesis")]
pub mod kinesis;
#[cfg(feature = "lambda")]
pub mod launch;
#[cfg(feature = "recovery")]
pub mod levers;
#[cfg(feature = "sqs")]
pub mod on_failure;
#[cfg(any(feature = "dynamodb", feature = "kinesis"))]
pub mod provision;
pub mod resources;
#[cfg(any(feature = "dynamodb", feature = "kinesis"))]
pub mod retry;
#[cfg(feature = "function")]
pub mod runtime;
#[cfg(feature = "secretsmanager")]
pub mod secrets;
pub mod system_timer;
