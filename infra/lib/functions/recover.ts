// `recover`: recoveries of the stream processor over HTTP, by the schedule, and by functions that answer an overdue price.
import { ArnFormat, Stack } from "aws-cdk-lib";
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import * as iam from "aws-cdk-lib/aws-iam";
import type { Construct } from "constructs";
import { accessEnvironment } from "../access.ts";
import { deployment, type MappedFunctionName } from "../deployment.ts";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";

export class RecoverFunction extends EquilibriumFunction {
  constructor(scope: Construct, props: FunctionProps) {
    const { cacheUrl, streams, tables } = props.storage;
    super(scope, "recover", props, { EQUILIBRIUM_CACHE_URLS: cacheUrl, ...accessEnvironment(props.access) });
    tables.recoveries.grant(
      this,
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateItem",
    );
    tables.checkpoints.grantReadWriteData(this);
    tables.policies.grantReadData(this);
    tables.maps.grantReadData(this);
    streams.events.grantRead(this);
    streams.counts.grantRead(this);
    const recovered = Object.keys(deployment.mappings) as MappedFunctionName[];
    this.addToRolePolicy(
      new iam.PolicyStatement({
        actions: [
          "lambda:GetFunctionConfiguration",
          "lambda:InvokeFunction",
          "lambda:UpdateFunctionConfiguration",
        ],
        resources: recovered.map((name) => functionArn(this, props, name)),
      }),
    );
    this.addToRolePolicy(
      new iam.PolicyStatement({
        actions: ["lambda:InvokeFunction"],
        resources: [functionArn(this, props, "recover")],
      }),
    );
    this.addToRolePolicy(
      // Lambda's API takes no resource here; nothing but a mapping can be made.
      new iam.PolicyStatement({
        actions: ["lambda:CreateEventSourceMapping", "lambda:ListEventSourceMappings"],
        resources: ["*"],
      }),
    );
    new events.Rule(this, "schedule", {
      schedule: events.Schedule.expression("rate(1 minute)"),
      targets: [
        new targets.LambdaFunction(this, {
          event: events.RuleTargetInput.fromObject({ reason: "schedule" }),
          retryAttempts: 0,
        }),
      ],
      // An emulator's tests start recoveries themselves.
      enabled: !props.endpoint,
    });
  }
}

/** The ARN of a function of the deployment, from its name: `recover` and what it recovers do not refer to each other. */
export function functionArn(scope: Construct, props: FunctionProps, name: string): string {
  return Stack.of(scope).formatArn({
    service: "lambda",
    resource: "function",
    resourceName: `${props.deployment}-${name}`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
