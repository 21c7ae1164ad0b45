// `surge`: the stream of counts → each city's surge map and the stream of changes.
import type { Construct } from "constructs";
import { deployment } from "../deployment.ts";
import { EquilibriumFunction, type FunctionProps, readStream } from "./function.ts";

export class SurgeFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    const { cacheUrl, streams, tables } = props.storage;
    super(scope, "surge", props, {
      EQUILIBRIUM_CACHE_URLS: cacheUrl,
      EQUILIBRIUM_RETENTION_HOURS: String(deployment.streams.counts.retentionHours),
    });
    tables.checkpoints.grantReadWriteData(this);
    tables.policies.grantReadData(this);
    tables.overrides.grantReadData(this);
    tables.maps.grantReadWriteData(this);
    tables.history.grantWriteData(this);
    tables.days.grant(this, "dynamodb:PutItem", "dynamodb:Query");
    streams.changes.grantWrite(this);
    readStream(this, "surge", props);
  }
}
