// `quote`: issues, reads and confirms quotes. It writes confirmations and their events alone.
import type { Construct } from "constructs";
import { accessEnvironment } from "../access.ts";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";

export class QuoteFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    const { cacheUrl, secrets, streams, tables } = props.storage;
    super(scope, "quote", props, { EQUILIBRIUM_CACHE_URLS: cacheUrl, ...accessEnvironment(props.access) });
    tables.policies.grantReadData(this);
    tables.overrides.grantReadData(this);
    tables.days.grant(this, "dynamodb:Query");
    tables.maps.grantReadData(this);
    tables.quotes.grant(this, "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem");
    secrets["quote-key"].grantRead(this);
    streams.events.grantWrite(this);
  }
}
