// The streams between the functions.
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as kinesis from "aws-cdk-lib/aws-kinesis";
import type { Construct } from "constructs";
import { deployment, mapValues, type StreamName } from "../deployment.ts";

/** Creates each stream with `shards` shards, or with as many as the list gives it. */
export function createStreams(
  scope: Construct,
  prefix: string,
  shards: number,
): Record<StreamName, kinesis.Stream> {
  return mapValues(
    deployment.streams,
    (name, stream) =>
      new kinesis.Stream(scope, name, {
        streamName: `${prefix}-${name}`,
        shardCount: stream.shards ?? shards,
        retentionPeriod: Duration.hours(stream.retentionHours),
        removalPolicy: RemovalPolicy.DESTROY,
      }),
  );
}
