// `capacity`: projects bottlenecks and costs, when it is asked and once a day. It reads metrics and writes nothing: its own
// metrics are lines of its log.
import * as cdk from "aws-cdk-lib";
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import * as iam from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import { accessEnvironment } from "../access.ts";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";

export class CapacityFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    super(scope, "capacity", props, {
      EQUILIBRIUM_CACHE_URLS: props.storage.cacheUrl,
      EQUILIBRIUM_SHARDS: String(props.shards),
      ...accessEnvironment(props.access),
    });
    // Metrics have no resources that a policy could name.
    this.addToRolePolicy(
      new iam.PolicyStatement({ actions: ["cloudwatch:GetMetricStatistics"], resources: ["*"] }),
    );
    new events.Rule(scope, "capacity-daily", {
      ruleName: `${props.deployment}-capacity`,
      description: "Projects the deployment's capacity once a day",
      schedule: events.Schedule.rate(cdk.Duration.days(1)),
      targets: [new targets.LambdaFunction(this, { retryAttempts: 2 })],
    });
  }
}
