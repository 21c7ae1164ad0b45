// `ingest`: POST /v1/events → the stream of events.
import type { Construct } from "constructs";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";

export class IngestFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    super(scope, "ingest", props, {});
    const { secrets, streams, tables } = props.storage;
    streams.events.grantWrite(this);
    tables.policies.grantReadData(this);
    secrets["pseudonym-key"].grantRead(this);
    tables.watermarks.grantReadWriteData(this);
  }
}
