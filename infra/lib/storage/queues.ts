// The queues of dead letters and of discarded batches.
import { Duration } from "aws-cdk-lib";
import * as sqs from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import { deployment, mapValues, type QueueName } from "../deployment.ts";

export function createQueues(scope: Construct, prefix: string): Record<QueueName, sqs.Queue> {
  return mapValues(
    deployment.queues,
    (name, queue) =>
      new sqs.Queue(scope, name, {
        queueName: `${prefix}-${name}`,
        retentionPeriod: Duration.days(queue.retentionDays),
        enforceSSL: true,
      }),
  );
}
