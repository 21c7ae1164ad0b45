// `price`: GET of cities, maps, prices, explanations and histories. Its grants are for
// reading, and to have the pipeline looked at where a price is overdue.
import * as iam from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import { accessEnvironment } from "../access.ts";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";
import { functionArn } from "./recover.ts";

export class PriceFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    const { cacheUrl, tables } = props.storage;
    super(scope, "price", props, { EQUILIBRIUM_CACHE_URLS: cacheUrl, ...accessEnvironment(props.access) });
    tables.policies.grantReadData(this);
    tables.overrides.grantReadData(this);
    tables.days.grant(this, "dynamodb:Query");
    tables.maps.grantReadData(this);
    tables.checkpoints.grantReadData(this);
    tables.history.grantReadData(this);
    this.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ["lambda:InvokeFunction"],
        resources: [functionArn(this, props, "recover")],
      }),
    );
  }
}
