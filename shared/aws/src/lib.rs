//! The ports of Equilibrium on AWS: one feature a service, none by default.

#[cfg(feature = "cache")]
pub mod cache;
#[cfg(any(feature = "dynamodb", feature = "function", feature = "sqs"))]
mod clock;
#[cfg(feature = "cloudwatch")]
pub mod cloudwatch;
#[cfg(all(feature = "cache", feature = "dynamodb", feature = "kinesis"))]
pub mod deployment;
#[cfg(feature = "sqs")]
pub mod discards;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
#[cfg(feature = "elasticache")]
pub mod elasticache;
#[cfg(feature = "function")]
pub mod function;
#[cfg(feature = "lambda")]
pub mod invoke;
#[cfg(feature = "kinesis")]
pub mod kinesis;
#[cfg(feature = "sqs")]
pub mod letters;
#[cfg(any(feature = "dynamodb", feature = "kinesis"))]
pub mod patience;
#[cfg(any(feature = "dynamodb", feature = "kinesis"))]
pub mod provision;
