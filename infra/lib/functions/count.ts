// `count`: the stream of events → per-lane counts of each city's ticks.
import type { Construct } from "constructs";
import { deployment } from "../deployment.ts";
import { EquilibriumFunction, type FunctionProps, readStream } from "./function.ts";

export class CountFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    const { queues, streams, tables } = props.storage;
    const deadLetters = queues["dead-letters"];
    super(scope, "count", props, {
      EQUILIBRIUM_DEAD_LETTERS_URL: deadLetters.queueUrl,
      EQUILIBRIUM_RETENTION_HOURS: String(deployment.streams.events.retentionHours),
    });
    tables.checkpoints.grantReadWriteData(this);
    tables.policies.grantReadData(this);
    streams.counts.grantWrite(this);
    deadLetters.grantSendMessages(this);
    readStream(this, "count", props);
  }
}
