// `policy`: GET and PUT of cities' policies, and their overrides. It writes policies and overrides alone, and deletes nothing: past
// versions and ended overrides expire.
import type { Construct } from "constructs";
import { accessEnvironment } from "../access.ts";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";

export class PolicyFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    const { cacheUrl, tables } = props.storage;
    super(scope, "policy", props, { EQUILIBRIUM_CACHE_URLS: cacheUrl, ...accessEnvironment(props.access) });
    tables.policies.grant(
      this,
      "dynamodb:BatchGetItem",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:UpdateItem",
    );
    tables.overrides.grant(
      this,
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateItem",
    );
    tables.days.grant(this, "dynamodb:Query");
    // What a version would change in the map, before it is saved.
    tables.maps.grantReadData(this);
  }
}
