// `ingest`: POST /v1/events → the stream of events.
import type { Construct } from "constructs";
import { accessEnvironment } from "../access.ts";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";

export class IngestFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    const { cacheUrl, secrets, streams, tables } = props.storage;
    super(scope, "ingest", props, { EQUILIBRIUM_CACHE_URLS: cacheUrl, ...accessEnvironment(props.access) });
    streams.events.grantWrite(this);
    tables.policies.grantReadData(this);
    secrets["pseudonym-key"].grantRead(this);
    tables.watermarks.grantReadWriteData(this);
  }
}
