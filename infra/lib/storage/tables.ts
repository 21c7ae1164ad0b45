// The tables of checkpoints, histories, maps, policies and the watermark board.
import { RemovalPolicy } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import type { Construct } from "constructs";
import { deployment, mapValues, type Key, type TableName } from "../deployment.ts";

export function createTables(scope: Construct, prefix: string): Record<TableName, dynamodb.Table> {
  return mapValues(
    deployment.tables,
    (name, { partitionKey, sortKey, timeToLiveAttribute }) =>
      new dynamodb.Table(scope, name, {
        tableName: `${prefix}-${name}`,
        partitionKey: attribute(partitionKey),
        ...(sortKey ? { sortKey: attribute(sortKey) } : {}),
        ...(timeToLiveAttribute ? { timeToLiveAttribute } : {}),
        billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
  );
}

function attribute({ name, type }: Key): dynamodb.Attribute {
  return { name, type: type === "S" ? dynamodb.AttributeType.STRING : dynamodb.AttributeType.NUMBER };
}
