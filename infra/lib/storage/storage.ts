// What a deployment stores outside its functions: streams, tables, queues, secrets and the cache.
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import type * as kinesis from "aws-cdk-lib/aws-kinesis";
import type * as secretsmanager from "aws-cdk-lib/aws-secretsmanager";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { QueueName, SecretName, StreamName, TableName } from "../deployment.ts";
import { createCache } from "./cache.ts";
import { createQueues } from "./queues.ts";
import { createSecrets } from "./secrets.ts";
import { createStreams } from "./streams.ts";
import { createTables } from "./tables.ts";

export interface StorageProps {
  /** The prefix of all names. */
  deployment: string;
  /** Shards of the streams of events and counts. */
  shards: number;
}

export class Storage extends Construct {
  readonly streams: Record<StreamName, kinesis.Stream>;
  readonly tables: Record<TableName, dynamodb.Table>;
  readonly queues: Record<QueueName, sqs.Queue>;
  readonly secrets: Record<SecretName, secretsmanager.Secret>;
  /** `redis://host:port` of the cache's primary. */
  readonly cacheUrl: string;

  constructor(scope: Construct, id: string, { deployment, shards }: StorageProps) {
    super(scope, id);
    this.streams = createStreams(this, deployment, shards);
    this.tables = createTables(this, deployment);
    this.queues = createQueues(this, deployment);
    this.secrets = createSecrets(this, deployment);
    this.cacheUrl = createCache(this, deployment);
  }
}
