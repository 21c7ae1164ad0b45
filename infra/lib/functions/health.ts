// `health`: looks at the deployment each minute, and GET /v1/health*. It invokes what it probes, reads stores and streams, and
// writes verdicts alone.
import * as iam from "aws-cdk-lib/aws-iam";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import * as scheduler from "aws-cdk-lib/aws-scheduler";
import type { Construct } from "constructs";
import { accessEnvironment } from "../access.ts";
import { EquilibriumFunction, type FunctionProps } from "./function.ts";

/** What a schedule sends: of EventBridge Scheduler's own event, the members that the function recognises it by. */
const EVENT = { source: "aws.scheduler", "detail-type": "Scheduled Event" };

export class HealthFunction extends EquilibriumFunction {
  /** `probed`: the functions whose answers are probed. */
  constructor(scope: Construct, props: FunctionProps, probed: lambda.Function[]) {
    const { cacheUrl, streams, tables } = props.storage;
    super(scope, "health", props, { EQUILIBRIUM_CACHE_URLS: cacheUrl, ...accessEnvironment(props.access) });
    tables.health.grant(this, "dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem");
    tables.policies.grantReadData(this);
    tables.overrides.grantReadData(this);
    tables.days.grant(this, "dynamodb:Query");
    tables.maps.grantReadData(this);
    tables.checkpoints.grantReadData(this);
    tables.watermarks.grantReadData(this);
    streams.events.grantRead(this);
    streams.counts.grantRead(this);
    probed.forEach((target) => target.grantInvoke(this));
    this.schedule(scope, props.deployment);
  }

  private schedule(scope: Construct, deployment: string): void {
    const role = new iam.Role(scope, "health-schedule-role", {
      assumedBy: new iam.ServicePrincipal("scheduler.amazonaws.com"),
    });
    this.grantInvoke(role);
    new scheduler.CfnSchedule(scope, "health-schedule", {
      name: `${deployment}-health`,
      scheduleExpression: "rate(1 minute)",
      flexibleTimeWindow: { mode: "OFF" },
      target: {
        arn: this.functionArn,
        roleArn: role.roleArn,
        input: JSON.stringify(EVENT),
        // A look that is late is none: the next minute has one.
        retryPolicy: { maximumRetryAttempts: 0, maximumEventAgeInSeconds: 60 },
      },
    });
    this.configureAsyncInvoke({ retryAttempts: 0 });
  }
}
